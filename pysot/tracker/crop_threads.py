"""Threads of a tracker that cut crops out of frames."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from pysot.utils.image import crop_square

_MAX_THREADS = 8
T = TypeVar("T")


class CropThreads:
    """Threads for the work on the frames of several targets; one target needs none."""

    def __init__(self, slots: int) -> None:
        self._pool = ThreadPoolExecutor(min(slots, os.cpu_count() or 1, _MAX_THREADS)) if slots > 1 else None

    def map(self, work: Callable[[T], object], items: Iterable[T]) -> None:
        """Call `work` with each item, and wait."""
        items = list(items)
        if self._pool is not None and len(items) > 1:
            list(self._pool.map(work, items))
        else:
            for item in items:
                work(item)

    def cut(
        self,
        images: Sequence[np.ndarray | None],
        targets: np.ndarray,
        sides: np.ndarray,
        colours: np.ndarray,
        out_side: int,
    ) -> np.ndarray:
        """Return crops (K, out_side, out_side, 3) with `sides` (K,) pixels around targets (K, 4).

        Pixels outside the frame are `colours` (K, 3). The crop of an image that is None is black.
        """
        crops = np.zeros((len(images), out_side, out_side, 3), np.uint8)

        def cut(row: int) -> None:
            image = images[row]
            if image is not None:
                crops[row] = crop_square(image, targets[row, :2], round(sides[row]), out_side, colours[row])

        self.map(cut, range(len(images)))
        return crops
