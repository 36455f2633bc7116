"""One pass: the tracker starts on the first frame and continues to the last, with or without the target."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.protocol import Answer, Request, Steps, Tracker
from pysot.toolkit.results.trajectory import START, Trajectory
from pysot.toolkit.tracking.alone import track_alone
from pysot.toolkit.tracking.step import Step, is_usable, mask_of, mask_text, polygon_of
from pysot.utils.bbox import init_box_from_region
from pysot.utils.masks import Mask


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
    with_mask: bool = False,
) -> Steps:
    """Track one sequence from its first frame to the last.

    The first entry is the start box, or with `with_start_code` a 1. A region is the tracker's box; with `with_polygon`
    its polygon, if it has one; with `with_mask` its mask, if it has one: a mask without a pixel is replaced by the box.
    A region that is not finite is replaced by the previous one. Raises ValueError without ground truth in the first
    frame, for a region with another count of numbers and for a mask of another size than the frame.
    """
    truth = sequence.ground_truth[0]
    if not is_usable(truth):
        raise ValueError(f"sequence {sequence.name} has no ground truth in its first frame to start from")
    box = np.asarray(init_box_from_region(truth), np.float64)
    entries: list[np.ndarray | Mask] = [box]
    answers, confidence, masks = [], [], []
    for index in range(len(sequence)):
        answer = yield Request(index) if index else Request(0, box, sequence.masks.get(0), truth)
        outputs = answer.outputs
        answers.append((answer.seconds, answer.batch))
        confidence.append(np.nan if outputs is None else float(outputs.get("best_score", np.nan)))
        masks.append("" if with_mask else mask_text(outputs))
        if outputs is not None:
            region = _region(answer, outputs, with_polygon, with_mask)
            entries.append(region if isinstance(region, Mask) or np.isfinite(region).all() else entries[-1])
        if on_frame:
            on_frame(Step(index, answer.image, entries[-1], outputs))
    seconds, batch = zip(*answers, strict=True)
    frames = [START, *entries[1:]] if with_start_code else entries
    return Trajectory.from_frames(frames, seconds, confidence, batch, masks)


def _region(answer: Answer, outputs: dict[str, Any], with_polygon: bool, with_mask: bool) -> np.ndarray | Mask:
    """Return the tracker's region as `one_pass_steps` wants it."""
    mask = mask_of(outputs, answer.image) if with_mask else None
    if mask is not None and mask.pixels.any():
        return mask
    polygon = polygon_of(outputs) if with_polygon and mask is None else None
    region = np.asarray(outputs["bbox"] if polygon is None else polygon, np.float64).reshape(-1)
    if region.size != (4 if polygon is None else 8):
        expected = "a box of 4 numbers (x, y, w, h)" if polygon is None else "a polygon of 8 (four corners)"
        raise ValueError(f"the tracker returned a region of {region.size} numbers, expected {expected}")
    return region
