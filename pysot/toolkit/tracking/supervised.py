"""The supervised VOT protocol: after a loss the tracker starts again on the ground truth, some frames later."""

import logging
from collections.abc import Callable

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.protocol import Answer, Request, Steps, Tracker
from pysot.toolkit.region.raster import do_overlap
from pysot.toolkit.results.trajectory import LOST, SKIPPED, START, Trajectory
from pysot.toolkit.tracking.alone import track_alone
from pysot.toolkit.tracking.step import Step, is_usable, mask_text, polygon_of
from pysot.utils.bbox import init_box_from_region

logger = logging.getLogger(__name__)

SKIPPING = 5  # frames from a loss to the next start


def run_supervised(
    tracker: Tracker,
    sequence: Sequence,
    on_frame: Callable[[Step], None] | None = None,
    skipping: int = SKIPPING,
) -> Trajectory:
    """Track one sequence with one tracker, see `supervised_steps`.

    Raises ValueError or FileNotFoundError that names sequence and frame when an image can't be read.
    """
    return track_alone(tracker, sequence, supervised_steps(sequence, on_frame, skipping))


def supervised_steps(
    sequence: Sequence, on_frame: Callable[[Step], None] | None = None, skipping: int = SKIPPING
) -> Steps:
    """Track one sequence; start again `skipping` frames after each loss.

    A frame without ground truth (NaN, or four numbers without area) is never a loss and never a start. Raises
    ValueError when no frame has ground truth, and for a region that has neither four nor eight numbers.
    """
    _check_ground_truth(sequence)
    entries: list[int | np.ndarray] = []
    seconds, batch, masks = [], [], []
    start_at, started = 0, False
    for index, truth in enumerate(sequence.ground_truth):
        answer = None
        entry: int | np.ndarray = SKIPPED
        if started:
            answer = yield Request(index)
            entry = _entry(answer, truth)
            if np.isscalar(entry):
                started, start_at = False, index + skipping
        elif index >= start_at and is_usable(truth):
            # pysot-compat: four numbers count as a polygon of pixel corners (x + w - 1) before the start box is taken
            # from them, as for all VOT sets. test: toolkit/experiments/test_runner.py::test_first_box_of_four_numbers
            region = _pixel_corners(truth)
            answer = yield Request(index, init_box_from_region(region), sequence.masks.get(index), region)
            entry, started = START, True
        entries.append(entry)
        seconds.append(answer.seconds if answer else 0.0)
        batch.append(answer.batch if answer else 0)
        masks.append(mask_text(answer.outputs) if answer and not np.isscalar(entry) else "")
        if on_frame:
            on_frame(Step(index, answer.image if answer else None, entry, answer.outputs if answer else None))
    return Trajectory.from_frames(entries, seconds, batch=batch, target_masks=masks)


def _check_ground_truth(sequence: Sequence) -> None:
    """Warn of ground truth boxes without area. Raises ValueError if no frame has usable ground truth."""
    without_area = [
        index
        for index, region in enumerate(sequence.ground_truth, 1)
        if np.isfinite(region).all() and not is_usable(region)
    ]
    if without_area:
        text = "sequence %s: %d frames have a box without area and count as frames without ground truth; first: %d"
        logger.warning(text, sequence.name, len(without_area), without_area[0])
    if not any(map(is_usable, sequence.ground_truth)):
        raise ValueError(f"sequence {sequence.name} has no frame with ground truth to start from")


def _entry(answer: Answer, truth: np.ndarray) -> int | np.ndarray:
    """Return the entry of a tracked frame: LOST, or the region."""
    outputs = answer.outputs
    assert outputs is not None  # the answer to a request without a box has outputs
    polygon = polygon_of(outputs)
    region = np.asarray(outputs["bbox"] if polygon is None else polygon, np.float64).reshape(-1)
    if region.size not in (4, 8):
        raise ValueError(
            f"the tracker returned a region of {region.size} numbers, expected 4 (x, y, w, h) or 8 (four corners)"
        )
    if not np.isfinite(region).all():
        return LOST
    height, width = answer.image.shape[:2]
    missed = is_usable(truth) and not do_overlap(region, _pixel_corners(truth), width, height)
    return LOST if missed else region


def _pixel_corners(region: np.ndarray) -> np.ndarray:
    """Return a region as 8 numbers, the corner pixels of a box."""
    if len(region) == 8:
        return region
    x, y, w, h = region
    return np.array([x, y, x, y + h - 1, x + w - 1, y + h - 1, x + w - 1, y])
