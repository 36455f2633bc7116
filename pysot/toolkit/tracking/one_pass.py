"""One pass: the tracker starts on the first frame and continues to the last, with or without the target."""

from collections.abc import Callable

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.protocol import Request, Steps, Tracker
from pysot.toolkit.results.trajectory import START, Trajectory
from pysot.toolkit.tracking.alone import track_alone
from pysot.toolkit.tracking.step import Step, is_usable, mask_text, polygon_of
from pysot.utils.bbox import init_box_from_region


def run_one_pass(
    tracker: Tracker,
    sequence: Sequence,
    on_frame: Callable[[Step], None] | None = None,
    with_start_code: bool = False,
) -> Trajectory:
    """Track one sequence with one tracker, see `one_pass_steps`. Errors as `run_supervised`."""
    return track_alone(tracker, sequence, one_pass_steps(sequence, on_frame, with_start_code))


def one_pass_steps(
    sequence: Sequence,
    on_frame: Callable[[Step], None] | None = None,
    with_start_code: bool = False,
    with_polygon: bool = False,
) -> Steps:
    """Track one sequence from its first frame to the last.

    The first entry is the start box, or with `with_start_code` a 1. A region is the tracker's box, or with
    `with_polygon` its polygon if it has one; one that is not finite is replaced by the previous one. Raises ValueError
    without ground truth in the first frame, and for a region with another count of numbers.
    """
    truth = sequence.ground_truth[0]
    if not is_usable(truth):
        raise ValueError(f"sequence {sequence.name} has no ground truth in its first frame to start from")
    box = np.asarray(init_box_from_region(truth), np.float64)
    entries, answers, confidence, masks = [box], [], [], []
    for index in range(len(sequence)):
        answer = yield Request(index, None if index else box)
        outputs = answer.outputs
        answers.append((answer.seconds, answer.batch))
        confidence.append(np.nan if outputs is None else float(outputs.get("best_score", np.nan)))
        masks.append(mask_text(outputs))
        if outputs is not None:
            polygon = polygon_of(outputs) if with_polygon else None
            region = np.asarray(outputs["bbox"] if polygon is None else polygon, np.float64).reshape(-1)
            if region.size != (4 if polygon is None else 8):
                expected = "a box of 4 numbers (x, y, w, h)" if polygon is None else "a polygon of 8 (four corners)"
                raise ValueError(f"the tracker returned a region of {region.size} numbers, expected {expected}")
            entries.append(region if np.isfinite(region).all() else entries[-1])
        if on_frame:
            on_frame(Step(index, answer.image, entries[-1], outputs))
    seconds, batch = zip(*answers, strict=True)
    frames = [START, *entries[1:]] if with_start_code else entries
    return Trajectory.from_frames(frames, seconds, confidence, batch, masks)
