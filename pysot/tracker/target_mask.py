"""Mask of a target on one frame: probabilities in a square of the frame, and the rotated box around its contour."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from pysot.utils.masks import Mask

_MIN_AREA = 100  # pixels of a contour; a smaller one is no target


@dataclass(frozen=True, eq=False)
class TargetMask:
    """Mask of a target as the network gives it; it is laid back into the frame when a method is called.

    probabilities  (P, P) float32
    square         (4,) xywh, the part of the frame that they cover, in pixels; it may leave the frame
    frame_size     width and height of the frame, pixels
    threshold      probability above which a pixel is target
    box            (4,) xywh, the tracker's box, which is the region of a target without a contour
    is_wanted      TRACK.MASK_OUTPUT: the mask, not only its polygon, is a part of the tracker's output
    """

    probabilities: np.ndarray
    square: np.ndarray
    frame_size: tuple[int, int]
    threshold: float
    box: np.ndarray
    is_wanted: bool = False

    def polygon(self) -> np.ndarray:
        """Return the corners (8,) x1, y1, ..., x4, y4 of the smallest rotated box around the largest contour.

        Without a contour of more than 100 pixels, they are those of `box`, clockwise from the upper left one.
        """
        contours = self.region().outline()
        areas = [cv2.contourArea(contour) for contour in contours]
        if not areas or max(areas) <= _MIN_AREA:
            x, y, w, h = self.box
            return np.array([x, y, x + w, y, x + w, y + h, x, y + h])
        return cv2.boxPoints(cv2.minAreaRect(contours[int(np.argmax(areas))])).astype(np.float64).ravel()

    def region(self) -> Mask:
        """Return the pixels of the target."""
        left, top, values = self.window
        return Mask(left, top, values > self.threshold)

    def in_frame(self) -> np.ndarray:
        """Return the probabilities of all pixels of the frame, (H, W) float32, 0 outside the square."""
        left, top, values = self.window
        frame = np.zeros(self.frame_size[::-1], np.float32)
        frame[top : top + values.shape[0], left : left + values.shape[1]] = values
        return frame

    @cached_property
    def window(self) -> tuple[int, int, np.ndarray]:
        """Left and top pixel of the part of the frame that the square reaches, and probabilities there (h, w) float32.

        Values between those of `probabilities` are interpolated linearly in each direction, to 0 beyond their border.
        """
        (left, columns, right_share), (top, rows, lower_share) = (
            _samples(self.square[axis], self.square[2 + axis], len(self.probabilities), self.frame_size[axis])
            for axis in (0, 1)
        )
        padded = np.pad(self.probabilities.astype(np.float32), 1)
        across = padded[:, columns] * (1 - right_share) + padded[:, columns + 1] * right_share
        values = across[rows] * (1 - lower_share)[:, None] + across[rows + 1] * lower_share[:, None]
        return left, top, values


def _samples(start: float, side: float, count: int, size: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Return where pixels of a frame of `size` lie between `count` values that cover `side` pixels from `start`.

    They are the first pixel between values, for each pixel the value before it (0 is the zero before the first one),
    and the share of the value after it, float32.
    """
    # pysot-compat: the mask is smaller, and nearer to the frame's corner, by the factor (size - 1) / size.
    # test: tracker/test_target_mask.py::test_a_mask_lies_where_the_original_puts_it
    shrink = (size - 1) / size if size > 1 else 1.0
    step, origin = shrink * side / count, shrink * start
    first = max(0, int(np.floor(origin - step)) + 1)
    last = min(size - 1, int(np.ceil(origin + step * count)) - 1)
    positions = (np.arange(first, last + 1) - origin) / step + 1
    before = np.clip(np.floor(positions), 0, count).astype(np.int64)
    return first, before, (positions - before).astype(np.float32)
