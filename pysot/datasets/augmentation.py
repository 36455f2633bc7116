"""Augmentation: cut a network input from a 511x511 crop with its target in the middle.

Images are (H, W, 3) uint8 in BGR order. Boxes are Corner xyxy in pixels of the image they belong to. All random numbers
come from the generator that the caller passes. A lighting offset is one number per channel. It is subtracted where the
image becomes float: see pysot/engine/batch.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike

from pysot.datasets.storage import CropView, JpegView
from pysot.utils.bbox import Center, Corner, center2corner

CONTEXT = 0.5  # share of (w + h) that is added to each side of the target to get the exemplar square
# pysot-compat: AlexNet-style lighting noise with the published matrix. The trained networks have seen its scale, about
# 7 grey values.
# test: datasets/test_augmentation.py::test_colour_offsets_have_the_published_covariance
LIGHTING = np.array(
    [
        [-0.55919361, 0.98062831, -0.41940627],
        [1.72091413, 0.19879334, -1.82968581],
        [4.64467907, 4.73710203, 4.88324118],
    ]
)
BLUR_SIZES = np.arange(5, 46, 2)


def centred_box(image_shape: Sequence[int], box: Sequence[float] | np.ndarray, exemplar_size: int = 127) -> Corner:
    """Return the box of the target in its crop511.

    The target is in the middle, scaled so that its exemplar square has exemplar_size pixels. `box` is xyxy in the raw
    image.
    """
    height, width = image_shape[:2]
    w, h = float(box[2] - box[0]), float(box[3] - box[1])
    context = CONTEXT * (w + h)
    scale = exemplar_size / math.sqrt((w + context) * (h + context))
    return center2corner(Center(width // 2, height // 2, w * scale, h * scale))


def warp_box(image: np.ndarray, roi: Corner, size: int, fill: ArrayLike = 0, nearest: bool = False) -> np.ndarray:
    """Resample the region `roi` to (size, size): x1 lands on pixel 0, x2 on pixel size - 1.

    Pixels outside of the image are `fill`, one value or one per channel. `nearest` takes the nearest pixel instead of
    interpolating.
    """
    a, b = (size - 1) / (roi.x2 - roi.x1), (size - 1) / (roi.y2 - roi.y1)
    matrix = np.array([[a, 0, -a * roi.x1], [0, b, -b * roi.y1]])
    border = [float(value) for value in np.broadcast_to(fill, 3)]
    flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    return cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=border)


@dataclass(frozen=True)
class Geometry:
    """Change of the geometry of a crop: the window left, top, width, height in its pixels, resized to (size, size)."""

    left: int
    top: int
    width: int
    height: int
    size: int
    flip: bool  # mirrored afterwards

    def box(self, box: Corner) -> Corner:
        """Return a box of the crop in pixels of the result."""
        scale_x, scale_y = self.width / self.size, self.height / self.size
        moved = Corner(
            (box.x1 + 0.5 - self.left) / scale_x - 0.5,
            (box.y1 + 0.5 - self.top) / scale_y - 0.5,
            (box.x2 + 0.5 - self.left) / scale_x - 0.5,
            (box.y2 + 0.5 - self.top) / scale_y - 0.5,
        )
        return Corner(self.size - 1 - moved.x2, moved.y1, self.size - 1 - moved.x1, moved.y2) if self.flip else moved

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """Return the mask (size, size) of the result from that of the complete crop, by the nearest pixels."""
        window = mask[self.top : self.top + self.height, self.left : self.left + self.width]
        resized = cv2.resize(window, (self.size, self.size), interpolation=cv2.INTER_NEAREST_EXACT)
        return np.ascontiguousarray(resized[:, ::-1]) if self.flip else resized


class AugmentedCrop(NamedTuple):
    """Result of an augmentation: `image` (size, size, 3), `box` in it, `light` (3,) float32 to be subtracted."""

    image: np.ndarray
    box: Corner
    light: np.ndarray
    geometry: Geometry


@dataclass(frozen=True)
class Augmentation:
    """Ranges and probabilities of the random changes of a crop.

    shift: largest translation in pixels. scale: largest change of the side, as a share of it. blur, flip, color:
    probabilities.
    """

    shift: float
    scale: float
    blur: float
    flip: float
    color: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            upper = float("inf") if field.name == "shift" else 1.0
            if not 0 <= value <= upper or (field.name == "scale" and value == 1):
                raise ValueError(
                    f"augmentation {field.name.upper()} must be in [0, {upper}] (SCALE below 1), got {value!r}"
                )

    def required_side(self, size: int) -> int:
        """Return the side of the centred square that contains every possible crop of `size`."""
        return 2 * math.ceil((size * (1 + self.scale) / 2) + self.shift + 1)

    def __call__(
        self, rng: np.random.Generator, image: CropView | JpegView, box: Corner, size: int, gray: bool = False
    ) -> AugmentedCrop:
        """Return a (size, size, 3) crop around the middle of the complete image, and `box` in it.

        `gray` first converts the crop to grey. Raises ValueError for an image that is damaged.
        """
        left, top, width, height = self._window(rng, (image.height, image.width), size)
        crop = cv2.resize(image.cut(left, top, width, height), (size, size))
        if gray:
            crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        light = lighting_offset(rng) if rng.random() < self.color else np.zeros(3, np.float32)
        if rng.random() < self.blur:
            crop = cross_blur(crop, int(rng.choice(BLUR_SIZES)), rng.random())
        geometry = Geometry(left, top, width, height, size, flip=rng.random() < self.flip)
        if geometry.flip:
            crop = np.ascontiguousarray(crop[:, ::-1])
        return AugmentedCrop(crop, geometry.box(box), light, geometry)

    def _window(self, rng: np.random.Generator, image_shape: Sequence[int], size: int) -> tuple[int, int, int, int]:
        """Return the region to cut as left, top, width, height in whole pixels, nearest to the region of `_roi`.

        It ends at pixel edges, as in resampling a complete image, which is four times as fast as a warp. The box
        follows exactly.
        """
        roi, *scales = self._roi(rng, image_shape, size)
        image_sides = (image_shape[1], image_shape[0])
        width, height = (
            min(image_side, max(1, round(size * scale))) for image_side, scale in zip(image_sides, scales, strict=True)
        )
        left, top = (
            min(image_side - side, max(0, round(start + 0.5 - 0.5 * scale)))
            for image_side, side, start, scale in zip(image_sides, (width, height), roi[:2], scales, strict=True)
        )
        return left, top, width, height

    def _roi(self, rng: np.random.Generator, image_shape: Sequence[int], size: int) -> tuple[Corner, float, float]:
        """Draw the region to cut and its scales relative to (size - 1).

        It is scaled up to the image's size, then shifted within the image's borders.
        """
        height, width = image_shape[:2]
        scale_x, scale_y = (1 + rng.uniform(-1, 1, 2) * self.scale).tolist()
        shift_x, shift_y = (rng.uniform(-1, 1, 2) * self.shift).tolist()
        # pysot-compat: the size is capped by the image's width and height, the shift by its last pixel.
        # test: datasets/test_augmentation.py::test_matches_the_literal_recipe
        scale_x, scale_y = min(scale_x, width / (size - 1)), min(scale_y, height / (size - 1))
        roi = center2corner(Center(width // 2, height // 2, (size - 1) * scale_x, (size - 1) * scale_y))
        shift_x = max(-roi.x1, min(width - 1 - roi.x2, shift_x))
        shift_y = max(-roi.y1, min(height - 1 - roi.y2, shift_y))
        return Corner(roi.x1 + shift_x, roi.y1 + shift_y, roi.x2 + shift_x, roi.y2 + shift_y), scale_x, scale_y


def lighting_offset(rng: np.random.Generator) -> np.ndarray:
    """Draw a lighting offset, (3,) float32 in BGR order, to be subtracted."""
    return (LIGHTING @ rng.standard_normal(3))[::-1].astype(np.float32)


def cross_blur(image: np.ndarray, size: int, vertical: float) -> np.ndarray:
    """Blur with a cross-shaped kernel of `size` pixels; share `vertical` of its weight is on the vertical line.

    Computed by two box filters, which are fast. Grey values are rounded, off by one at most.
    """
    vertical_blur = cv2.blur(image, (1, size))
    horizontal_blur = cv2.blur(image, (size, 1))
    return cv2.addWeighted(vertical_blur, vertical, horizontal_blur, 1 - vertical, 0)
