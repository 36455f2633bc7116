"""From a 511x511 crop with its target in the middle to a network input.

Images are (H, W, 3) uint8 in BGR order, boxes are Corner xyxy in pixels of the image they belong to. All random numbers come from the generator that the
caller passes. A change of light is given as a number per channel, to be subtracted where the image becomes float: see pysot/engine/batch.py.
"""

import math
from dataclasses import dataclass, fields

import cv2
import numpy as np

from pysot.datasets.storage import Picture
from pysot.utils.bbox import Center, Corner, center2corner

CONTEXT = 0.5  # part of (w + h) that is added to each side of the target to get the exemplar square
# pysot-compat: AlexNet-style lighting noise with the published matrix, whose scale (about 7 grey values) the trained networks have seen.
# test: datasets/test_augmentation.py::test_colour_offsets_have_the_published_covariance
LIGHTING = np.array(
    [
        [-0.55919361, 0.98062831, -0.41940627],
        [1.72091413, 0.19879334, -1.82968581],
        [4.64467907, 4.73710203, 4.88324118],
    ]
)
BLUR_SIZES = np.arange(5, 46, 2)


def centred_box(image_shape, box, exemplar_size: int = 127) -> Corner:
    """The target in a crop511: in the middle, scaled so that its exemplar square has exemplar_size pixels. `box` is xyxy in the raw image."""
    height, width = image_shape[:2]
    w, h = float(box[2] - box[0]), float(box[3] - box[1])
    context = CONTEXT * (w + h)
    scale = exemplar_size / math.sqrt((w + context) * (h + context))
    return center2corner(Center(width // 2, height // 2, w * scale, h * scale))


def warp_box(image: np.ndarray, roi: Corner, size: int, fill=0) -> np.ndarray:
    """The region `roi` resampled to (size, size): x1 lands on pixel 0, x2 on pixel size - 1; outside of the image is `fill`."""
    a, b = (size - 1) / (roi.x2 - roi.x1), (size - 1) / (roi.y2 - roi.y1)
    matrix = np.array([[a, 0, -a * roi.x1], [0, b, -b * roi.y1]])
    border = [float(value) for value in np.broadcast_to(fill, 3)]
    return cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_CONSTANT, borderValue=border)


@dataclass(frozen=True)
class Augmentation:
    """How far a crop moves (shift: pixels, scale: share of its side) and how likely blur, flip and colour are."""

    shift: float
    scale: float
    blur: float
    flip: float
    color: float

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            upper = float("inf") if field.name == "shift" else 1.0
            if not 0 <= value <= upper or (field.name == "scale" and value == 1):
                raise ValueError(
                    f"augmentation {field.name.upper()} must be in [0, {upper}] (SCALE below 1), got {value!r}"
                )

    def needs(self, size: int) -> int:
        """The side of the square in the middle of an image in which every crop of `size` lies."""
        return 2 * math.ceil((size * (1 + self.scale) / 2) + self.shift + 1)

    def __call__(
        self, rng: np.random.Generator, image: Picture, box: Corner, size: int, gray: bool = False
    ) -> tuple[np.ndarray, Corner, np.ndarray]:
        """A (size, size, 3) crop around the middle of the whole image, the box in it, and what is to be subtracted from its channels, (3,) float32; `gray`
        takes the colour away first.
        """
        left, top, width, height = self._window(rng, (image.height, image.width), size)
        row, column = top - image.top, left - image.left
        crop = cv2.resize(image.pixels[row : row + height, column : column + width], (size, size))
        scale_x, scale_y = width / size, height / size
        box = Corner(
            (box.x1 + 0.5 - left) / scale_x - 0.5,
            (box.y1 + 0.5 - top) / scale_y - 0.5,
            (box.x2 + 0.5 - left) / scale_x - 0.5,
            (box.y2 + 0.5 - top) / scale_y - 0.5,
        )
        if gray:
            crop = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        light = lighting_offset(rng) if rng.random() < self.color else np.zeros(3, np.float32)
        if rng.random() < self.blur:
            crop = cross_blur(crop, int(rng.choice(BLUR_SIZES)), rng.random())
        if rng.random() < self.flip:
            crop = np.ascontiguousarray(crop[:, ::-1])
            box = Corner(size - 1 - box.x2, box.y1, size - 1 - box.x1, box.y2)
        return crop, box, light

    def _window(self, rng, image_shape, size: int) -> tuple[int, int, int, int]:
        """The region to cut in whole pixels, left, top, width, height: the nearest to that of `_roi`. Its edges are those of pixels, as resampling whole images
        has it and four times as fast as a warp; the box follows exactly.
        """
        roi, *scales = self._roi(rng, image_shape, size)
        sides = [
            min(side, max(1, round(size * scale)))
            for side, scale in zip((image_shape[1], image_shape[0]), scales, strict=True)
        ]
        corner = [
            min(side - length, max(0, round(start + 0.5 - 0.5 * scale)))
            for side, length, start, scale in zip((image_shape[1], image_shape[0]), sides, roi[:2], scales, strict=True)
        ]
        return *corner, *sides

    def _roi(self, rng, image_shape, size: int) -> tuple[Corner, float, float]:
        """The region to cut and its scales against (size - 1): scaled within the image's size, then shifted within its borders."""
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
    """A random change of light, (3,) float32 in BGR order, to be subtracted."""
    return (LIGHTING @ rng.standard_normal(3))[::-1].astype(np.float32)


def cross_blur(image: np.ndarray, size: int, vertical: float) -> np.ndarray:
    """Filter with a cross of `size` pixels: share `vertical` on its upright line, the rest on the level one. Two box filters, since they are fast; whole
    grey values, off by one at most.
    """
    upright, level = cv2.blur(image, (1, size)), cv2.blur(image, (size, 1))
    return cv2.addWeighted(upright, vertical, level, 1 - vertical, 0)
