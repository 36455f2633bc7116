"""Regions painted on the pixel grid, as VOT sets since 2020 have them, and their overlap as the official toolkit counts it.

As text a mask is `m` and whole numbers x,y,width,height,n0,n1,...: n0 pixels are off, the next n1 on, and so forth, row by row inside the given rectangle.
"""

from dataclasses import dataclass

import numpy as np

from pysot.toolkit.region.official_raster import paint

_MOST = 1 << 28  # pixels: beyond, a number is damaged


@dataclass(frozen=True)
class Mask:
    """pixels (h, w) bool, whose upper left one is at (x, y) of the image."""

    x: int
    y: int
    pixels: np.ndarray

    @property
    def box(self) -> np.ndarray:
        """The upright box xywh around the painted pixels, zeros if there is none."""
        rows, columns = np.flatnonzero(self.pixels.any(axis=1)), np.flatnonzero(self.pixels.any(axis=0))
        if len(rows) == 0:
            return np.zeros(4)
        return np.array([self.x + columns[0], self.y + rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1], np.float64)

    def text(self) -> str:
        """The mask as `parse_mask` reads it."""
        flat = np.concatenate([[False], self.pixels.ravel()])
        runs = np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat)), [self.pixels.size]]))
        return "m" + ",".join(map(str, [self.x, self.y, *self.pixels.shape[::-1], *runs.tolist()]))


def parse_mask(text: str) -> Mask:
    """Raises ValueError that says what is wrong."""
    try:
        x, y, width, height, *runs = [int(word) for word in text.strip().lstrip("m").split(",")]
    except ValueError:
        raise ValueError(f"a mask is m and whole numbers x,y,width,height,runs..., got {text.strip()[:60]!r}") from None
    return mask_of_runs(x, y, width, height, runs)


def mask_of_runs(x: int, y: int, width: int, height: int, runs) -> Mask:
    """A mask from the lengths of its runs, off and on by turns; what they leave over is off. Raises ValueError if they are more than its pixels."""
    runs = np.array(runs, np.int64) if max(runs, default=0) <= _MOST else np.array([_MOST + 1])
    if min(width, height) < 0 or width * height > _MOST or (runs < 0).any() or runs.sum() > width * height:
        raise ValueError(f"a mask of {width} x {height} pixels cannot have runs of {runs.sum()}")
    flat = np.zeros(width * height, bool)
    painted = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    flat[:len(painted)] = painted
    return Mask(x, y, flat.reshape(height, width))


def mask_overlap(a: "Mask | np.ndarray", b: "Mask | np.ndarray", width: int, height: int) -> float:
    """Overlap in [0, 1] of two regions, masks or 4 or 8 numbers, in an image of width x height pixels; two without extent count as equal."""
    (left_a, top_a, right_a, bottom_a), (left_b, top_b, right_b, bottom_b) = _bounds(a), _bounds(b)
    low, high = np.array([min(left_a, left_b), min(top_a, top_b)]), np.array([max(right_a, right_b), max(bottom_a, bottom_b)])
    if (low >= high).any():
        return 1.0
    origin, end = np.maximum(low, 0), np.minimum(high, [width - 1, height - 1])
    if (origin >= end).any():
        return 0.0
    size = (end - origin + 1).astype(int)
    painted = [_paint(region, origin.astype(int), size) for region in (a, b)]
    union = (painted[0] | painted[1]).sum()
    return float((painted[0] & painted[1]).sum() / union) if union else 0.0


def _bounds(region) -> tuple[float, float, float, float]:
    """Left, top, right and bottom pixel."""
    numbers = region.box if isinstance(region, Mask) else np.rint(region)
    if len(numbers) == 4:
        x, y, w, h = numbers
        return x, y, x + w - 1, y + h - 1
    return numbers[0::2].min(), numbers[1::2].min(), numbers[0::2].max(), numbers[1::2].max()


def _paint(region, origin, size) -> np.ndarray:
    if not isinstance(region, Mask):
        return paint(np.rint(np.pad(region, (0, 8 - len(region)), constant_values=np.nan)), origin, size)
    columns, rows = size
    canvas = np.zeros((rows, columns), bool)
    left, top = region.x - origin[0], region.y - origin[1]
    height, width = region.pixels.shape
    inside = slice(max(0, top), max(0, top + height)), slice(max(0, left), max(0, left + width))
    shown = canvas[inside]
    shown[:] = region.pixels[max(0, -top):, max(0, -left):][:shown.shape[0], :shown.shape[1]]
    return canvas
