"""Masks in the format of VOT sets since 2020, and ground truth that may contain masks.

As text a mask is `m` and whole numbers x,y,width,height,n0,n1,...: n0 pixels are off, the next n1 on, and so on, row by
row, until the last pixel of the given rectangle.
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

    def tight(self) -> "Mask":
        """Return the mask in its smallest window; without a pixel that is on, a window of 0 x 0 pixels at (0, 0).

        A single column gets one that is off on its left: the official toolkit takes a mask for empty if only the first
        column of its window is on.
        """
        x, y, width, height = self.box.astype(int).tolist()
        columns = slice(x - self.x, x - self.x + width)
        pixels = self.pixels[y - self.y : y - self.y + height, columns].copy() if width else np.zeros((0, 0), bool)
        return Mask(x - 1, y, np.pad(pixels, ((0, 0), (1, 0)))) if width == 1 else Mask(x, y, pixels)

    def rotated_box(self) -> np.ndarray:
        """Return the corners (8,) x1, y1, ..., x4, y4 of the smallest rotated box around the pixels that are on.

        They are positions of pixels, as those of `outline`. Raises ValueError if no pixel is on.
        """
        outline = self.outline()
        if not outline:
            raise ValueError("a mask without pixels has no box around it")
        return cv2.boxPoints(cv2.minAreaRect(np.concatenate(outline))).astype(np.float64).ravel()

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
        return "m" + ",".join(map(str, [self.x, self.y, *self.pixels.shape[::-1], *self.runs()]))

    def runs(self) -> list[int]:
        """Return the lengths of the runs of pixels, alternately off and on, row by row; the first may be 0."""
        flat = np.concatenate([[False], self.pixels.ravel()])
        return np.diff(np.concatenate([[0], np.flatnonzero(np.diff(flat)), [self.pixels.size]])).tolist()


def parse_mask(text: str) -> Mask:
    """Parse a mask from text. Raises ValueError that names the error."""
    try:
        x, y, width, height, *runs = [int(word) for word in text.strip().lstrip("m").split(",")]
    except ValueError:
        cut = ": this run-length text is cut" if text.count(",") < 4 or text.rstrip().endswith(",") else ""
        raise ValueError(
            f"a mask is m and whole numbers x,y,width,height,runs..., got {text.strip()[:60]!r}{cut}"
        ) from None
    return mask_from_runs(x, y, width, height, runs)


def parse_region_mask(text: str) -> Mask:
    """Parse a mask of ground truth or of a result. Raises ValueError as `parse_mask`.

    As in the official toolkit (vot-toolkit 0.9), a mask of which only the first column is on has no pixel. All masks
    without a pixel are the same, 0 x 0 pixels at (0, 0).
    """
    mask = parse_mask(text)
    return mask if mask.pixels[:, 1:].any() else Mask(0, 0, np.zeros((0, 0), bool))


def mask_from_runs(x: int, y: int, width: int, height: int, runs: Sequence[int]) -> Mask:
    """Make a mask from the lengths of its runs, alternately off and on.

    Raises ValueError if they are not as long as the mask: the official toolkit writes all runs, those of the last
    pixels too.
    """
    pixels, covered = width * height, sum(runs)
    if min(width, height, *runs) < 0 or pixels > _MAX_PIXELS or covered > pixels:
        raise ValueError(f"a mask of {width} x {height} pixels cannot have runs of {covered}")
    if covered < pixels:
        raise ValueError(f"a mask of {width} x {height} pixels is cut: its runs have {covered} of {pixels} pixels")
    return Mask(x, y, np.repeat(np.arange(len(runs)) % 2 == 1, np.array(runs, np.int64)).reshape(height, width))


def region_lines(path: str | os.PathLike) -> tuple[list[np.ndarray], dict[int, Mask]]:
    """Read the 4 or 8 numbers on each line of ground truth, and the masks by line from 0.

    The numbers of a mask are its box. They are NaN for a mask without pixels, and for a single number in a file with
    masks. Raises ValueError as `number_lines`.
    """
    regions = parse_lines(path, _parse_region)
    if not any(isinstance(region, Mask) for region in regions):
        return [region for region in regions if not isinstance(region, Mask)], {}
    masks = {index: region for index, region in enumerate(regions) if isinstance(region, Mask)}
    return [_numbers(region) for region in regions], masks


def _parse_region(line: str) -> Mask | np.ndarray:
    return parse_region_mask(line) if line.startswith("m") else np.array(split_numbers(line))


def _numbers(region: Mask | np.ndarray) -> np.ndarray:
    is_empty = not region.pixels.any() if isinstance(region, Mask) else len(region) == 1
    if is_empty:
        return np.full(4, np.nan)
    return region.box if isinstance(region, Mask) else region
