"""Overlap of regions painted on the pixel grid, as the official VOT toolkit counts it."""

import numpy as np

from pysot.toolkit.region.official_raster import paint
from pysot.utils.masks import Mask


def mask_overlap(a: "Mask | np.ndarray", b: "Mask | np.ndarray", width: int, height: int) -> float:
    """Return the overlap in [0, 1] of two regions, masks or 4 or 8 numbers, in an image of width x height pixels.

    Two regions without extent count as equal. A mask without pixels has the extent of its first pixel.
    """
    (left_a, top_a, right_a, bottom_a), (left_b, top_b, right_b, bottom_b) = _pixel_bounds(a), _pixel_bounds(b)
    low = np.array([min(left_a, left_b), min(top_a, top_b)])
    high = np.array([max(right_a, right_b), max(bottom_a, bottom_b)])
    if (low >= high).any():
        return 1.0
    origin, end = np.maximum(low, 0), np.minimum(high, [width - 1, height - 1])
    if (origin >= end).any():
        return 0.0
    size = (end - origin + 1).astype(int)
    painted = [painted_region(region, origin.astype(int), size) for region in (a, b)]
    union = (painted[0] | painted[1]).sum()
    return float((painted[0] & painted[1]).sum() / union) if union else 0.0


def equals_none(region: "Mask | np.ndarray") -> bool:
    """Return whether a region has overlap 1 with a region that does not exist; it has 0 otherwise.

    The official toolkit gives the latter the extent of the image's first pixel.
    """
    left, top, right, bottom = _pixel_bounds(region)
    return bool((left >= 0 and right <= 0) or (top >= 0 and bottom <= 0))


def _pixel_bounds(region: "Mask | np.ndarray") -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom pixel of a region, all included."""
    if isinstance(region, Mask) and not region.pixels.any():
        return region.x, region.y, region.x, region.y
    numbers = region.box if isinstance(region, Mask) else np.rint(region)
    if len(numbers) == 4:
        x, y, w, h = numbers
        return x, y, x + w - 1, y + h - 1
    return numbers[0::2].min(), numbers[1::2].min(), numbers[0::2].max(), numbers[1::2].max()


def painted_region(region: "Mask | np.ndarray", origin: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the region as a bool mask of `size` (columns, rows) whose upper left pixel is `origin` (x, y)."""
    if not isinstance(region, Mask):
        return paint(np.rint(np.pad(region, (0, 8 - len(region)), constant_values=np.nan)), origin, size)
    columns, rows = size
    canvas = np.zeros((rows, columns), bool)
    left, top = region.x - origin[0], region.y - origin[1]
    height, width = region.pixels.shape
    window = canvas[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    window[:] = region.pixels[max(0, -top) :, max(0, -left) :][: window.shape[0], : window.shape[1]]
    return canvas
