"""Boxes: conversions, overlap and the axis-aligned box of a polygon.

Conventions: xyxy = (x1, y1, x2, y2), xywh = (left, top, width, height), cxcywh = centre and size. All are in pixels,
x to the right, y down. A polygon is a flat array of 2K numbers x1, y1, x2, y2, ...
"""

from collections import namedtuple
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

Corner = namedtuple("Corner", "x1 y1 x2 y2")
BBox = Corner
Center = namedtuple("Center", "x y w h")


@overload
def corner2center(corner: Corner) -> Center: ...
@overload
def corner2center(corner: Iterable[Any]) -> tuple[Any, Any, Any, Any]: ...
def corner2center(corner: Iterable[Any]) -> tuple[Any, Any, Any, Any]:
    """Convert four numbers or arrays xyxy to cxcywh: a Corner to a Center, anything else to a tuple.

    What follows the four, such as a score, is left out.
    """
    x1, y1, x2, y2 = islice(corner, 4)
    center = Center((x1 + x2) * 0.5, (y1 + y2) * 0.5, x2 - x1, y2 - y1)
    return center if isinstance(corner, Corner) else tuple(center)


@overload
def center2corner(center: Center) -> Corner: ...
@overload
def center2corner(center: Iterable[Any]) -> tuple[Any, Any, Any, Any]: ...
def center2corner(center: Iterable[Any]) -> tuple[Any, Any, Any, Any]:
    """Convert four numbers or arrays cxcywh to xyxy: a Center to a Corner, anything else to a tuple."""
    x, y, w, h = islice(center, 4)
    corner = Corner(x - w * 0.5, y - h * 0.5, x + w * 0.5, y + h * 0.5)
    return corner if isinstance(center, Center) else tuple(corner)


def IoU(rect1: Iterable[Any], rect2: Iterable[Any]) -> np.ndarray:
    """Return the overlap in [0, 1] of boxes, each given as four broadcastable arrays xyxy; 0 where both are empty.

    For four numbers it is a number. What follows the four, such as a score, is left out.
    """
    x1, y1, x2, y2 = islice(rect1, 4)
    tx1, ty1, tx2, ty2 = islice(rect2, 4)
    width = np.maximum(0.0, np.minimum(x2, tx2) - np.maximum(x1, tx1))
    height = np.maximum(0.0, np.minimum(y2, ty2) - np.maximum(y1, ty1))
    inter = width * height
    union = (x2 - x1) * (y2 - y1) + (tx2 - tx1) * (ty2 - ty1) - inter
    overlap = np.divide(inter, union, out=np.zeros_like(np.asarray(inter, np.float64)), where=np.asarray(union) > 0)
    return overlap[()]


def cxy_wh_2_rect(pos: Sequence[float] | np.ndarray, sz: Sequence[float] | np.ndarray) -> np.ndarray:
    """Convert a centre (x, y) and a size (w, h) to xywh."""
    return np.array([pos[0] - sz[0] / 2, pos[1] - sz[1] / 2, sz[0], sz[1]])


def rect_2_cxy_wh(rect: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert xywh to two arrays: centre (x, y) and size (w, h)."""
    return np.array([rect[0] + rect[2] / 2, rect[1] + rect[3] / 2]), np.array([rect[2], rect[3]])


def cxy_wh_2_rect1(pos: Sequence[float] | np.ndarray, sz: Sequence[float] | np.ndarray) -> np.ndarray:
    """Convert a centre (x, y), from 0, and a size (w, h) to xywh whose pixels are counted from 1."""
    return cxy_wh_2_rect(pos, sz) + [1, 1, 0, 0]


def rect1_2_cxy_wh(rect: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert xywh whose pixels are counted from 1 to a centre (x, y), from 0, and a size (w, h)."""
    centre, size = rect_2_cxy_wh(rect)
    return centre - 1, size


def get_axis_aligned_bbox(region: ArrayLike) -> tuple[float, float, float, float]:
    """Return centre x, centre y, width and height of the upright box that represents a region.

    Four numbers are xywh. A polygon of four corners gives the box with its centroid, the aspect ratio of its bounds and
    its area (the VOT rule, one pixel added to each side). Raises ValueError for any other count of numbers and for NaN
    or infinity.
    """
    region = np.asarray(region, dtype=np.float64).reshape(-1)
    if region.size not in (4, 8):
        raise ValueError(
            f"a region has 4 numbers (x, y, w, h) or 8 (four corners), got {region.size}: {region.tolist()}"
        )
    if not np.isfinite(region).all():
        raise ValueError(
            f"a region needs finite numbers, got {region.tolist()}: this frame has no ground truth to start from"
        )
    if region.size == 4:
        x, y, w, h = region
        return x + w / 2, y + h / 2, w, h
    xs, ys = region[0::2], region[1::2]
    bound_w, bound_h = np.ptp(xs), np.ptp(ys)
    area = np.linalg.norm(region[0:2] - region[2:4]) * np.linalg.norm(region[2:4] - region[4:6])
    bound_area = bound_w * bound_h
    scale = np.sqrt(area / bound_area) if bound_area > 0 else 0.0
    return xs.mean(), ys.mean(), scale * bound_w + 1, scale * bound_h + 1


def get_min_max_bbox(region: ArrayLike) -> tuple[float, float, float, float]:
    """Return centre x, centre y, width and height of the bounds of a region (4 numbers xywh or 2K of a polygon).

    The centre of a polygon is the mean of its corners.
    """
    region = np.asarray(region, dtype=np.float64).reshape(-1)
    if region.size == 4:
        x, y, w, h = region
        return x + w / 2, y + h / 2, w, h
    xs, ys = region[0::2], region[1::2]
    return xs.mean(), ys.mean(), np.ptp(xs), np.ptp(ys)


def init_box_from_region(region: ArrayLike) -> np.ndarray:
    """Return the xywh box, float64 (4,), from which a tracker starts on an annotated region (4 or 8 numbers)."""
    cx, cy, w, h = get_axis_aligned_bbox(region)
    # pysot-compat: the corner is half a pixel right of and below cx - w/2; published trajectories start from it.
    # test: utils/test_bbox.py::test_init_box_offset
    return np.array([cx - (w - 1) / 2, cy - (h - 1) / 2, w, h])


def check_box(box_xywh: ArrayLike) -> np.ndarray:
    """Return the box as float64 (4,).

    Raises ValueError unless it is four finite numbers with width and height above 0.
    """
    box = np.asarray(box_xywh, np.float64).reshape(-1)
    if box.shape != (4,) or not np.isfinite(box).all() or box[2] <= 0 or box[3] <= 0:
        raise ValueError(
            "expected a box x, y, width, height of finite numbers with width and height above 0; "
            f"got {np.asarray(box_xywh).tolist()}"
        )
    return box
