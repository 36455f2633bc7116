"""Region similarity J and contour accuracy F of masks, as the official evaluation of DAVIS counts them.

J is intersection over union. F compares boundaries: precision is the share of the result's boundary that lies within a
tolerance of the true one, recall the share of the true one within it of the result's, and F their harmonic mean.
Perazzi et al., A benchmark dataset and evaluation methodology for video object segmentation, CVPR 2016.
"""

import functools
import math
from collections.abc import Sequence

import cv2
import numpy as np

_TOLERANCE = 0.008  # share of the frame's diagonal


def measure_masks(truth: np.ndarray, result: np.ndarray, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return J (K,) and F (K,), in [0, 1], of the K objects with these numbers on a frame.

    `truth` and `result` are label images (H, W) uint8. Two empty masks are equal: J and F are 1. Raises ValueError if
    the images differ in size.
    """
    if truth.shape != result.shape:
        raise ValueError(f"masks of one frame need one size, got {truth.shape} and {result.shape} (rows, columns)")
    radius = tolerance(truth.shape)
    window = _window(truth | result)
    truth, result = truth[window], result[window]
    region, contour = np.ones(len(numbers)), np.ones(len(numbers))
    for place, number in enumerate(numbers):
        true_mask, mask = ((image == number).view(np.uint8) for image in (truth, result))
        window = _window(true_mask | mask)
        true_mask, mask = true_mask[window], mask[window]
        region[place] = _intersection_over_union(true_mask, mask)
        contour[place] = _boundary_match(_boundary(true_mask), _boundary(mask), radius)
    return region, contour


def tolerance(shape: tuple[int, ...]) -> int:
    """Return the distance in pixels within which boundaries match, on a frame of `shape` (H, W)."""
    return math.ceil(_TOLERANCE * float(np.linalg.norm(shape)))


def _window(image: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns around the pixels that are not 0, one more on each side where the image has them.

    A boundary is at most one pixel outside of its mask, so the boundary of a window is the window of the boundary.
    """
    x, y, width, height = cv2.boundingRect(image)
    return slice(max(0, y - 1), y + height + 1), slice(max(0, x - 1), x + width + 1)


def _intersection_over_union(a: np.ndarray, b: np.ndarray) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def _boundary(mask: np.ndarray) -> np.ndarray:
    """Return the boundary (H, W) uint8 of a mask of 0 and 1.

    It is the pixels that differ from their right, lower or lower right neighbour, as far as the image has them.
    """
    boundary = np.zeros_like(mask)
    boundary[:, :-1] = mask[:, :-1] ^ mask[:, 1:]
    boundary[:-1] |= mask[:-1] ^ mask[1:]
    boundary[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return boundary


def _boundary_match(true_boundary: np.ndarray, boundary: np.ndarray, radius: int) -> float:
    """Return F of two boundaries (H, W) uint8."""
    true_count, count = np.count_nonzero(true_boundary), np.count_nonzero(boundary)
    if not true_count or not count:
        return float(true_count == count)
    precision = np.count_nonzero(boundary & _dilate(true_boundary, radius)) / count
    recall = np.count_nonzero(true_boundary & _dilate(boundary, radius)) / true_count
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _dilate(image: np.ndarray, radius: int) -> np.ndarray:
    """Dilate by the disk x^2 + y^2 <= radius^2."""
    rectangles = _disk(radius)
    dilated = cv2.dilate(image, rectangles[0])
    for rectangle in rectangles[1:]:
        cv2.bitwise_or(dilated, cv2.dilate(image, rectangle), dilated)
    return dilated


@functools.cache
def _disk(radius: int) -> tuple[np.ndarray, ...]:
    """Return the upright rectangles whose union is a disk; by these, OpenCV dilates rows, then columns."""
    widths = [math.isqrt(radius**2 - y**2) for y in range(radius + 1)] + [-1]
    return tuple(
        np.ones((2 * y + 1, 2 * widths[y] + 1), np.uint8) for y in range(radius + 1) if widths[y] > widths[y + 1]
    )
