"""Parts that all ways of tracking a sequence share: the result of one frame, requests, usable ground truth."""

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from pysot.toolkit.protocol import Answer, Request, Steps
from pysot.toolkit.results.trajectory import Trajectory
from pysot.utils.masks import Mask


@dataclass(frozen=True)
class Step:
    """Result of one frame.

    `index` counts from 0; `image` is None if the frame was skipped and not read; `entry` is that of the result file (0,
    1, 2, a region of numbers or a mask); `outputs` are the tracker's, None unless it tracked. On a loss `outputs` still
    has the region that missed.
    """

    index: int
    image: np.ndarray | None
    entry: int | np.ndarray | Mask
    outputs: dict[str, Any] | None


def as_outputs(returned: Any) -> dict[str, Any]:
    """Return what `track` of a tracker has returned as its outputs.

    It is a dict with "bbox", a box x, y, width, height, or a pair (box, confidence). Raises ValueError for others.
    """
    if isinstance(returned, dict) and "bbox" in returned:
        return returned
    with contextlib.suppress(TypeError, ValueError):
        box, confidence = (returned, np.nan) if len(returned) == 4 else returned
        numbers = np.asarray(box, np.float64)
        if numbers.shape == (4,):
            return {"bbox": numbers, "best_score": float(confidence)}
    raise ValueError(
        'expected of track a dict with "bbox" and "best_score", a box x, y, width, height or a pair (box, confidence), '
        f"got {_shorten(returned)}"
    )


def _shorten(value: object) -> str:
    """Describe a value in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def is_usable(region: np.ndarray) -> bool:
    """Return whether ground truth is known and has an area: a tracker may start on it, and can miss it."""
    return bool(np.isfinite(region).all()) and (len(region) == 8 or min(region[2:]) > 0)


def polygon_of(outputs: dict[str, Any]) -> Any:
    """Return the target's polygon, 8 numbers; None in the outputs of a tracker of boxes."""
    polygon, mask = outputs.get("polygon"), outputs.get("target_mask")
    return mask.polygon() if polygon is None and mask is not None else polygon


def mask_of(outputs: dict[str, Any], image: np.ndarray) -> Mask | None:
    """Return the target's mask in the frame `image`, None in the outputs of a tracker of boxes.

    It is that of outputs["target_mask"]; or of an array outputs["mask"] (H, W): where it is True, or above 0.5. Raises
    ValueError for an array that has not the size of the frame.
    """
    target, array = outputs.get("target_mask"), outputs.get("mask")
    if target is not None:
        return target.region().tight()
    if array is None:
        return None
    pixels = np.asarray(array)
    if pixels.shape != image.shape[:2]:
        raise ValueError(
            f"the tracker returned a mask of shape {pixels.shape}, expected that of the frame, {image.shape[:2]}"
        )
    return Mask(0, 0, pixels > 0.5).tight()


def mask_text(outputs: dict[str, Any] | None) -> str:
    """Return the target's mask as text, "" if the outputs have none or it was not asked for."""
    mask = None if outputs is None else outputs.get("target_mask")
    return mask.region().text() if mask is not None and mask.is_wanted else ""


def advance(steps: Steps, answer: Answer | None = None) -> Request | Trajectory:
    """Return the next request of `steps` after an answer (None at its start), or at its end the trajectory."""
    try:
        return next(steps) if answer is None else steps.send(answer)
    except StopIteration as end:
        return end.value
