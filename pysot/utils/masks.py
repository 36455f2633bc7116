"""Masks as VOT sets write them since 2020, and ground truth that may have some.

As text a mask is `m` and whole numbers x,y,width,height,n0,n1,...: n0 pixels are off, the next n1 on, and so forth, row
by row inside the given rectangle.
"""

import os
from dataclasses import dataclass

import numpy as np

from pysot.utils.numbers import read_each, split_numbers

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
        size = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
        return np.array([self.x + columns[0], self.y + rows[0], *size], np.float64)

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
    """A mask from the lengths of its runs, off and on by turns; what they leave over is off. Raises ValueError if they
    are more than its pixels.
    """
    runs = np.array(runs, np.int64) if max(runs, default=0) <= _MOST else np.array([_MOST + 1])
    if min(width, height) < 0 or width * height > _MOST or (runs < 0).any() or runs.sum() > width * height:
        raise ValueError(f"a mask of {width} x {height} pixels cannot have runs of {runs.sum()}")
    flat = np.zeros(width * height, bool)
    painted = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    flat[: len(painted)] = painted
    return Mask(x, y, flat.reshape(height, width))


def region_lines(path: str | os.PathLike) -> tuple[list[np.ndarray], dict[int, Mask]]:
    """The 4 or 8 numbers on each line of ground truth, and the masks by line from 0. The numbers of a mask are its box,
    NaN where nothing is painted; so are those of a single number beside masks. Raises ValueError as `number_lines`.
    """
    lines = read_each(path, lambda line: parse_mask(line) if line.startswith("m") else np.array(split_numbers(line)))
    masks = {index: line for index, line in enumerate(lines) if isinstance(line, Mask)}
    painted = {index: mask for index, mask in masks.items() if mask.pixels.any()}
    return [_numbers(line) if masks else line for line in lines], painted


def _numbers(region: "Mask | np.ndarray") -> np.ndarray:
    nothing = not region.pixels.any() if isinstance(region, Mask) else len(region) == 1
    if nothing:
        return np.full(4, np.nan)
    return region.box if isinstance(region, Mask) else region
