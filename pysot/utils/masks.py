"""Masks in the format of VOT sets since 2020, and ground truth that may contain masks.

As text a mask is `m` and whole numbers x,y,width,height,n0,n1,...: n0 pixels are off, the next n1 on, and so on, row by
row inside the given rectangle.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pysot.utils.numbers import parse_lines, split_numbers

_MAX_PIXELS = 1 << 28  # a larger number is damaged


@dataclass(frozen=True)
class Mask:
    """Mask `pixels` (h, w) bool, whose upper left pixel is at (x, y) of the image."""

    x: int
    y: int
    pixels: np.ndarray

    @property
    def box(self) -> np.ndarray:
        """Upright box xywh, float64 (4,), around the pixels that are on; zeros if none is."""
        rows, columns = np.flatnonzero(self.pixels.any(axis=1)), np.flatnonzero(self.pixels.any(axis=0))
        if len(rows) == 0:
            return np.zeros(4)
        size = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
        return np.array([self.x + columns[0], self.y + rows[0], *size], np.float64)

    def outline(self) -> list[np.ndarray]:
        """Return the outer contours, arrays (K, 2) int32 of pixels x, y of the image, in the order of cv2."""
        if not self.pixels.any():
            return []
        # OpenCV 3 returns three values, later ones two.
        found = cv2.findContours(
            self.pixels.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(self.x, self.y)
        )
        return [np.asarray(contour, np.int32).reshape(-1, 2) for contour in found[-2]]

    def text(self) -> str:
        """Return the mask in the form that `parse_mask` reads."""
        flat = np.concatenate([[False], self.pixels.ravel()])
        runs = np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat)), [self.pixels.size]]))
        return "m" + ",".join(map(str, [self.x, self.y, *self.pixels.shape[::-1], *runs.tolist()]))


def parse_mask(text: str) -> Mask:
    """Parse a mask from text. Raises ValueError that names the error."""
    try:
        x, y, width, height, *runs = [int(word) for word in text.strip().lstrip("m").split(",")]
    except ValueError:
        raise ValueError(f"a mask is m and whole numbers x,y,width,height,runs..., got {text.strip()[:60]!r}") from None
    return mask_from_runs(x, y, width, height, runs)


def mask_from_runs(x: int, y: int, width: int, height: int, runs: Sequence[int]) -> Mask:
    """Make a mask from the lengths of its runs, alternately off and on; the pixels after the last run are off.

    Raises ValueError if the runs are longer than the mask.
    """
    lengths = np.array(runs, np.int64) if max(runs, default=0) <= _MAX_PIXELS else np.array([_MAX_PIXELS + 1])
    too_large = width * height > _MAX_PIXELS
    if min(width, height) < 0 or too_large or (lengths < 0).any() or lengths.sum() > width * height:
        raise ValueError(f"a mask of {width} x {height} pixels cannot have runs of {lengths.sum()}")
    flat = np.zeros(width * height, bool)
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    flat[: len(values)] = values
    return Mask(x, y, flat.reshape(height, width))


def region_lines(path: str | os.PathLike) -> tuple[list[np.ndarray], dict[int, Mask]]:
    """Read the 4 or 8 numbers on each line of ground truth, and the masks by line from 0.

    The numbers of a mask are its box. They are NaN for an empty mask, and for a single number in a file with masks.
    Raises ValueError as `number_lines`.
    """
    regions = parse_lines(path, _parse_region)
    if not any(isinstance(region, Mask) for region in regions):
        return [region for region in regions if not isinstance(region, Mask)], {}
    masks = {index: region for index, region in enumerate(regions) if isinstance(region, Mask) and region.pixels.any()}
    return [_numbers(region) for region in regions], masks


def _parse_region(line: str) -> Mask | np.ndarray:
    return parse_mask(line) if line.startswith("m") else np.array(split_numbers(line))


def _numbers(region: Mask | np.ndarray) -> np.ndarray:
    is_empty = not region.pixels.any() if isinstance(region, Mask) else len(region) == 1
    if is_empty:
        return np.full(4, np.nan)
    return region.box if isinstance(region, Mask) else region
