"""Tracking of the objects of a sequence, each from the mask on which it starts."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from pysot.toolkit.datasets.label_files import LabelFiles
from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.protocol import Request, Steps
from pysot.toolkit.results.soft_masks import SoftMask
from pysot.toolkit.tracking.one_pass import one_pass_steps
from pysot.toolkit.tracking.step import Step, advance, mask_of, polygon_of

_LEAST = 1e-3  # confidence that a pixel of a target has at least


def object_steps(
    labels: LabelFiles, number: int, sequence: Sequence, on_frame: Callable[[Step], None] | None = None
) -> Steps:
    """Track an object from the first frame of `sequence`, the frames since it appears, to the last.

    The trajectory has a soft mask for each frame, see `soft_mask_of`. Raises the errors of `LabelFiles.start_mask` and
    of `one_pass_steps`, and ValueError for a frame of another size than that of the sequence.
    """
    start = labels.start_mask(number)
    part = replace(sequence, ground_truth=[start.box, *sequence.ground_truth[1:]], masks={0: start})
    steps, masks = one_pass_steps(part, on_frame), [SoftMask.given(start.x, start.y, start.pixels)]
    request = advance(steps)
    while isinstance(request, Request):
        answer = yield request
        _check_size(part, request.index, answer.image)
        request = advance(steps, answer)
        if answer.outputs is not None:
            found = soft_mask_of(answer.outputs, answer.image)
            masks.append(masks[-1] if found is None else found)
    return replace(request, soft_masks=masks, target_masks=())


def _check_size(sequence: Sequence, index: int, image: np.ndarray) -> None:
    height, width = image.shape[:2]
    if (width, height) != (sequence.width, sequence.height):
        raise ValueError(
            f"frame {sequence.frame_paths[index]} has {width} x {height} pixels, the first frame and the masks of "
            f"{sequence.name} have {sequence.width} x {sequence.height}; use frames of one resolution"
        )


def soft_mask_of(outputs: dict[str, Any], image: np.ndarray) -> SoftMask | None:
    """Return the target's pixels in the frame `image` with their confidences; None for a box with NaN.

    A tracker of masks has a probability for each pixel. The target of others is their polygon or box, filled, and each
    of its pixels has the tracker's confidence (1 without one), as has a mask without probabilities. Raises ValueError
    as `mask_of`.
    """
    target, array = outputs.get("target_mask"), outputs.get("mask")
    if target is not None:
        left, top, probabilities = target.window
        return SoftMask.of_tracker(left, top, np.where(probabilities > target.threshold, probabilities, 0))
    confidence = float(outputs.get("best_score", 1.0))
    confidence = float(np.clip(confidence, _LEAST, 1)) if confidence == confidence else 1.0
    mask = mask_of(outputs, image)
    if mask is not None:
        window = np.asarray(array)[mask.y :, mask.x :][: mask.pixels.shape[0], : mask.pixels.shape[1]]
        return SoftMask.of_tracker(mask.x, mask.y, mask.pixels * (confidence if window.dtype == bool else window))
    region = np.asarray(outputs["bbox"] if outputs.get("polygon") is None else polygon_of(outputs), np.float64).ravel()
    if not np.isfinite(region).all():
        return None
    fill = _fill_box if len(region) == 4 else _fill_polygon
    return SoftMask.of_tracker(0, 0, fill(region, *image.shape[:2]) * confidence)


def _fill_box(box: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the pixels (H, W) bool whose centres lie in a box xywh."""
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    return (abs(x - box[0] - box[2] / 2) <= box[2] / 2) & (abs(y - box[1] - box[3] / 2) <= box[3] / 2)


def _fill_polygon(polygon: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the pixels (H, W) bool of a polygon x1, y1, x2, y2, ..., its edges included."""
    limit = 4 * max(height, width)
    points = np.rint(np.clip(polygon, -limit, limit)).astype(np.int32).reshape(-1, 2)
    return cv2.fillPoly(np.zeros((height, width), np.uint8), [points], 1).astype(bool)
