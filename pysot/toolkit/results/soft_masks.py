"""Masks of objects with the confidence of each pixel, which decides where objects overlap."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

_CERTAIN = np.iinfo(np.uint16).max  # of given masks; a tracker is never as sure


@dataclass(frozen=True, eq=False)
class SoftMask:
    """Window `values` (h, w) uint16 of a frame, whose upper left pixel is (x, y); 0: the pixel is not target."""

    x: int
    y: int
    values: np.ndarray

    @classmethod
    def of_tracker(cls, x: int, y: int, confidences: np.ndarray) -> "SoftMask":
        """Make a mask from confidences (h, w) in [0, 1], 0 where a pixel is not target."""
        values = np.rint(np.clip(confidences, 0, 1) * (_CERTAIN - 2)).astype(np.uint16)
        values[confidences > 0] += 1
        return cls(x, y, values)._tight()

    @classmethod
    def given(cls, x: int, y: int, pixels: np.ndarray) -> "SoftMask":
        """Make a mask of pixels (h, w) bool that are target with certainty."""
        return cls(x, y, np.where(pixels, _CERTAIN, 0).astype(np.uint16))._tight()

    def _tight(self) -> "SoftMask":
        left, top, width, height = cv2.boundingRect((self.values > 0).astype(np.uint8))
        window = self.values[top : top + height, left : left + width].copy()  # the rest of the frame is not kept
        return SoftMask(self.x + left, self.y + top, window)


def join_masks(masks: Mapping[int, SoftMask], height: int, width: int) -> np.ndarray:
    """Return the numbers (height, width) uint8 of the objects with these masks, by number; 0 is the background.

    A pixel belongs to the object that is most confident of it; of several, to that with the lowest number.
    """
    numbers, best = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint16)
    for number, mask in sorted(masks.items()):
        left, top = max(0, mask.x), max(0, mask.y)
        window = best[top : max(0, mask.y + len(mask.values)), left : max(0, mask.x + mask.values.shape[1])]
        values = mask.values[top - mask.y :, left - mask.x :][: window.shape[0], : window.shape[1]]
        is_best = values > window
        window[is_best] = values[is_best]
        numbers[top : top + window.shape[0], left : left + window.shape[1]][is_best] = number
    return numbers
