"""Regions that a tracker starts on: a box, a polygon or a mask, as its attribute `starts_on` says."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pysot.toolkit.protocol import Request, Tracker
from pysot.toolkit.region.masks import painted_region
from pysot.utils.masks import Mask
from pysot.utils.registry import lookup


def start_region(tracker: Tracker, image: np.ndarray, request: Request) -> np.ndarray:
    """Return the region that a tracker starts on: a box (4,), a polygon (8,) or a mask (H, W) bool of the frame.

    The polygon of a mask is the smallest rotated box around it. Without an annotated mask, a polygon is the annotated
    region and a mask its pixels, as the official toolkit paints them. Raises ValueError if the tracker's `starts_on` is
    none of the three, and for a start on a mask that has no pixel.
    """
    if request.mask is not None and not request.mask.pixels.any():
        raise ValueError(f"frame {request.index + 1} has a mask without pixels, and no tracker can start on it")
    form = lookup(_FORMS, starts_on(tracker), key=f"the attribute starts_on of the tracker {type(tracker).__name__}")
    return form(request, image)


def starts_on(tracker: object) -> str:
    """Return the attribute `starts_on` of a tracker, "box" for one without."""
    return getattr(tracker, "starts_on", "box")


def start_outputs(form: str, region: Any) -> dict[str, Any]:
    """Return the region that a tracker of `starts_on` has started on as its outputs on that frame."""
    if form == "mask":
        return {"bbox": Mask(0, 0, np.asarray(region)).box, "best_score": 1.0, "mask": region}
    region = np.asarray(region, np.float64)
    if form == "polygon":
        x, y = region[0::2], region[1::2]
        return {"bbox": np.array([x.min(), y.min(), np.ptp(x), np.ptp(y)]), "best_score": 1.0, "polygon": region}
    return {"bbox": region, "best_score": 1.0}


def _box(request: Request, image: np.ndarray) -> np.ndarray:
    assert request.box_xywh is not None  # it is a request to start
    return request.box_xywh


def _polygon(request: Request, image: np.ndarray) -> np.ndarray:
    if request.mask is not None:
        return request.mask.rotated_box()
    region = _annotated(request, image)
    if len(region) == 8:
        return region
    x, y, w, h = region
    return np.array([x, y, x + w, y, x + w, y + h, x, y + h])


def _mask(request: Request, image: np.ndarray) -> np.ndarray:
    region = request.mask if request.mask is not None else _annotated(request, image)
    return painted_region(region, np.zeros(2, int), np.array(image.shape[1::-1]))


def _annotated(request: Request, image: np.ndarray) -> np.ndarray:
    return _box(request, image) if request.region is None else request.region


_FORMS: dict[str, Callable[[Request, np.ndarray], np.ndarray]] = {"box": _box, "polygon": _polygon, "mask": _mask}
