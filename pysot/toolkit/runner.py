"""The supervised VOT protocol: start on the ground truth, track, and after a loss start again five frames later."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from pysot.toolkit.region import overlap
from pysot.toolkit.results import LOST, SKIPPED, START, ResultError, Trajectory, baseline_file, load_baseline, save_baseline
from pysot.toolkit.sequence import Dataset, Sequence
from pysot.utils.bbox import init_box_from_region
from pysot.utils.image import read_image

logger = logging.getLogger(__name__)

SKIPPING = 5


@dataclass(frozen=True)
class Step:
    """What happened on one frame: its index from 0, its image (None if it was skipped and not read), the entry of the result file (0, 1, 2 or a
    region), and what the tracker said (None unless it tracked). On a loss `outputs` still has the region that missed.
    """

    index: int
    image: np.ndarray | None
    entry: object
    outputs: dict | None


@dataclass
class Progress:
    """Which videos of a set were tracked, which had a valid result already, and which failed, with the reason."""

    tracked: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def run_supervised(tracker, sequence: Sequence, on_frame: Callable[[Step], None] | None = None, skipping: int = SKIPPING) -> Trajectory:
    """Track one sequence. The tracker has init(image, box_xywh) and track(image) -> {'bbox': xywh, 'best_score': float[, 'polygon': 8 numbers]}.

    A frame without ground truth (NaN, or four numbers without area) is never a loss and never a start. Raises ValueError or FileNotFoundError that names
    sequence and frame when an image can't be read, ValueError when no frame has ground truth.
    """
    empty = [index for index, region in enumerate(sequence.ground_truth, 1) if np.isfinite(region).all() and not _is_usable(region)]
    if empty:
        text = "sequence %s: %d frames count as without ground truth, since their box has no area; the first is %d"
        logger.warning(text, sequence.name, len(empty), empty[0])
    if not any(map(_is_usable, sequence.ground_truth)):
        raise ValueError(f"sequence {sequence.name} has no frame with ground truth to start from")
    entries, seconds = [], []
    start_at, started = 0, False
    for index, truth in enumerate(sequence.ground_truth):
        image, outputs, elapsed = None, None, 0.0
        if started:
            image = _frame(sequence, index)
            entry, outputs, elapsed = _track(tracker, image, truth)
            if np.isscalar(entry):
                started, start_at = False, index + skipping
        elif index >= start_at and _is_usable(truth):
            image = _frame(sequence, index)
            elapsed = _init(tracker, image, truth)
            entry, started = START, True
        else:
            entry = SKIPPED
        entries.append(entry)
        seconds.append(elapsed)
        if on_frame:
            on_frame(Step(index, image, entry, outputs))
    return Trajectory.from_frames(entries, seconds)


def run_dataset(tracker, dataset: Dataset, tracker_dir: str | os.PathLike, on_frame: Callable[[Sequence, Step], None] | None = None,
                on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None = None, repetition: int = 1) -> Progress:
    """Track all sequences and write each result as soon as it is there: a second call goes on where a killed one stopped.

    A valid result that is already there is kept. An exception of the tracker or of an image ends that sequence only and is reported in `failed`; one
    while writing (a full disk) is raised. on_sequence(sequence, 'kept' | 'tracked' | 'failed', trajectory if tracked) is called after each.
    """
    progress = Progress()
    for sequence in dataset.sequences:
        trajectory = None
        if _is_done(tracker_dir, sequence, repetition):
            state = "kept"
            progress.kept.append(sequence.name)
        else:
            state = "tracked"
            try:
                trajectory = run_supervised(tracker, sequence, on_frame and partial(on_frame, sequence), dataset.settings.skipping)
            except Exception as error:  # a tracker may raise anything; the other sequences do not depend on it
                state = "failed"
                progress.failed[sequence.name] = f"{type(error).__name__}: {error}"
                expected = isinstance(error, (ValueError, OSError))
                logger.error("%s failed and has no result: %s", sequence.name, error, exc_info=not expected)
            else:
                save_baseline(tracker_dir, sequence.name, trajectory, repetition)
                progress.tracked.append(sequence.name)
        if on_sequence:
            on_sequence(sequence, state, trajectory)
    return progress


def _is_done(tracker_dir, sequence, repetition):
    path = baseline_file(tracker_dir, sequence.name, repetition)
    if not path.exists():
        return False
    try:
        load_baseline(path, len(sequence))
    except ResultError as error:
        logger.warning("%s: tracking it again", error)
        return False
    return True


def _frame(sequence, index):
    try:
        return read_image(sequence.frame_paths[index])
    except (OSError, ValueError) as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f"sequence {sequence.name}, frame {index + 1}: {error}") from error


def _init(tracker, image, truth):
    began = time.perf_counter()
    # pysot-compat: four numbers count as a polygon of pixel corners (x + w - 1) before the start box is taken from them, as for all VOT sets.
    # test: toolkit/test_runner.py::test_first_box_of_four_numbers
    tracker.init(image, init_box_from_region(_pixel_corners(truth)))
    return time.perf_counter() - began


def _track(tracker, image, truth):
    began = time.perf_counter()
    outputs = tracker.track(image)
    elapsed = time.perf_counter() - began
    region = np.asarray(outputs["polygon"] if outputs.get("polygon") is not None else outputs["bbox"], np.float64).reshape(-1)
    if region.size not in (4, 8):
        raise ValueError(f"the tracker returned a region of {region.size} numbers, expected 4 (x, y, w, h) or 8 (four corners)")
    if not np.isfinite(region).all():
        return LOST, outputs, elapsed
    height, width = image.shape[:2]
    missed = _is_usable(truth) and not overlap(region, _pixel_corners(truth), width, height) > 0
    return LOST if missed else region, outputs, elapsed


def _is_usable(region) -> bool:
    return bool(np.isfinite(region).all()) and (len(region) == 8 or min(region[2:]) > 0)


def _pixel_corners(region):
    if len(region) == 8:
        return region
    x, y, w, h = region
    return np.array([x, y, x, y + h - 1, x + w - 1, y + h - 1, x + w - 1, y])
