"""Tracking a data set: once through each sequence, from each of its anchors, or in the supervised VOT protocol, which after a loss starts again on the ground
truth five frames later.
"""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.experiments.realtime import RealtimeTracker
from pysot.toolkit.region.raster import overlap
from pysot.toolkit.results.files import (
    LOST,
    SKIPPED,
    START,
    ResultError,
    Trajectory,
    anchor_file,
    is_nested,
    load_baseline,
    load_ope,
    load_ope_seconds,
    load_run,
    ope_file,
    save_ope,
    save_vot,
    vot_file,
)
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


def run_one_pass(tracker, sequence: Sequence, on_frame: Callable[[Step], None] | None = None, code: bool = False) -> Trajectory:
    """Track one sequence from its first frame to the end; the first entry is the start box, or with `code` a 1. Tracker and errors as `run_supervised`; a
    region that is not finite is the last one again.
    """
    truth = sequence.ground_truth[0]
    if not _is_usable(truth):
        raise ValueError(f"sequence {sequence.name} has no ground truth in its first frame to start from")
    box = np.asarray(init_box_from_region(truth), np.float64)
    entries, seconds, scores = [box], [], []
    for index in range(len(sequence)):
        image, outputs, began = _frame(sequence, index), None, time.perf_counter()
        if index == 0:
            tracker.init(image, box)
        else:
            outputs = tracker.track(image)
        seconds.append(time.perf_counter() - began)
        scores.append(np.nan if outputs is None else float(outputs.get("best_score", np.nan)))
        if outputs is not None:
            region = np.asarray(outputs["bbox"], np.float64).reshape(-1)
            if region.size != 4:
                raise ValueError(f"the tracker returned a box of {region.size} numbers, expected 4 (x, y, w, h)")
            entries.append(region if np.isfinite(region).all() else entries[-1])
        if on_frame:
            on_frame(Step(index, image, entries[-1], outputs))
    return Trajectory.from_frames([START, *entries[1:]] if code else entries, seconds, scores)


@dataclass(frozen=True)
class Task:
    """A part of a sequence to track, the file its result goes to, and how to run, save and check it."""

    sequence: Sequence
    path: Path
    run: Callable[..., Trajectory]
    save: Callable[[Trajectory], object]
    load: Callable[[Path, int], object]


def tasks_of(dataset: Dataset, sequence: Sequence, tracker_dir: str | os.PathLike, experiment: str) -> list[Task]:
    """What is to be done for a sequence: one run, or one from each anchor."""
    if dataset.one_pass:
        def save_boxes(trajectory: Trajectory) -> None:
            save_ope(tracker_dir, sequence.name, trajectory.regions[:, :4], trajectory.seconds, nested=is_nested(dataset))

        load = _load_with_times if is_nested(dataset) else load_ope
        return [Task(sequence, ope_file(tracker_dir, sequence.name, is_nested(dataset)), run_one_pass, save_boxes, load)]
    if dataset.protocol == "multistart" and experiment != "unsupervised":
        starts = [(sequence.run_from(frame, back), anchor_file(tracker_dir, sequence.name, frame, experiment, sequence.alike))
                  for frame, back in sequence.anchors]
    else:
        starts = [(sequence, vot_file(tracker_dir, sequence.name, experiment=experiment, alike=sequence.alike))]
    if dataset.protocol == "supervised" and experiment != "unsupervised":
        run, load = partial(run_supervised, skipping=dataset.settings.skipping), load_baseline
    else:
        run, load = partial(run_one_pass, code=True), load_run
    return [Task(part, path, run, partial(save_vot, path) if dataset.protocol == "longterm" else partial(_save_without_scores, path), load)
            for part, path in starts]


def _load_with_times(path: Path, frames: int) -> np.ndarray:
    """Boxes whose seconds are there as well, which the server of GOT-10k wants. Raises ResultError."""
    boxes = load_ope(path, frames)
    if not len(load_ope_seconds(path)):
        raise ResultError(f"{path} has no seconds per frame beside it")
    return boxes


def _save_without_scores(path, trajectory):
    save_vot(path, replace(trajectory, scores=None))


def frames_of_runs(dataset: Dataset, sequence: Sequence, experiment: str) -> int:
    """How many frames the runs on a sequence see."""
    if dataset.protocol != "multistart" or experiment == "unsupervised":
        return len(sequence)
    return sum(frame + 1 if backwards else len(sequence) - frame for frame, backwards in sequence.anchors)


def run_sequence(tracker, tasks: list[Task], watch: Callable[[Step], None] | None = None) -> Trajectory | None:
    """Track what has no valid result yet and write each result as soon as it is there. Returns the last trajectory, None if all were there. Raises what the
    tracker or an image raises, as TrackingError, and OSError of writing as it is.
    """
    trajectory = None
    for task in tasks:
        if _is_done(task):
            continue
        try:
            trajectory = task.run(tracker, task.sequence, watch)
        except Exception as error:  # a tracker may raise anything; the other sequences do not depend on it
            raise TrackingError(error) from error
        task.save(trajectory)
    return trajectory


class TrackingError(Exception):
    """What a tracker or an image raised on a sequence."""

    def __init__(self, cause: Exception):
        super().__init__(f"{type(cause).__name__}: {cause}")


def run_dataset(tracker, dataset: Dataset, tracker_dir: str | os.PathLike, on_frame: Callable[[Sequence, Step], None] | None = None,
                on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None = None, experiment: str | None = None) -> Progress:
    """Track all sequences and write each result as soon as it is there: a second call goes on where a killed one stopped.

    A valid result that is already there is kept. An exception of the tracker or of an image ends that sequence only and is reported in `failed`; one
    while writing (a full disk) is raised. on_sequence(sequence, 'kept' | 'tracked' | 'failed', trajectory if tracked) is called after each. `experiment` is
    one of the set's, by default its usual one.
    """
    progress, experiment = Progress(), dataset.experiment(experiment)
    tracker = RealtimeTracker(tracker) if experiment == "realtime" else tracker
    for sequence in dataset.sequences:
        state, trajectory = "failed", None
        try:
            trajectory = run_sequence(tracker, tasks_of(dataset, sequence, tracker_dir, experiment), on_frame and partial(on_frame, sequence))
        except TrackingError as error:
            progress.failed[sequence.name] = str(error)
            expected = isinstance(error.__cause__, (ValueError, OSError))
            logger.error("%s failed and has no result: %s", sequence.name, error.__cause__, exc_info=not expected)
        else:
            state = "kept" if trajectory is None else "tracked"
            getattr(progress, state).append(sequence.name)
        if on_sequence:
            on_sequence(sequence, state, trajectory)
    return progress


def _is_done(task):
    if not task.path.exists():
        return False
    try:
        task.load(task.path, len(task.sequence))
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
    # test: toolkit/experiments/test_runner.py::test_first_box_of_four_numbers
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
