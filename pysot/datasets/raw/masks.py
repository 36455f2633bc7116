"""Masks of objects in raw data: where they are kept, and their pixels.

pycocotools turns polygons into COCO's run-length code. What it gets is checked before, since it takes a polygon of NaN
for an empty one, and codes are decoded here, since it reads beyond the memory of a code that is too short.
"""

import contextlib
import logging
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pysot.utils import label_images
from pysot.utils.image import image_size

logger = logging.getLogger(__name__)
MAX_NAMED_MASKS = 20  # masks of a data set that cannot be used, named in the log; the others are only counted
Bounds = tuple[float, float, float, float]  # xyxy in pixels


@dataclass(frozen=True)
class LabelImage:
    """Pixels (H, W) uint8 of a mask file: in a palette image the number of the object, otherwise 0 and 1."""

    pixels: np.ndarray
    has_palette: bool

    def boxes(self) -> dict[int, Bounds]:
        """Return the xyxy bounds of each number above 0 that has pixels, x2 and y2 one past the last."""
        numbers = np.flatnonzero(np.bincount(self.pixels.ravel(), minlength=2)[1:]) + 1
        found = ((int(number), mask_bounds(self.pixels == number)) for number in numbers)
        return {number: box for number, box in found if box is not None}


@dataclass(frozen=True)
class LabelMask:
    """Mask of an object in an image file: the pixels with its `number`, see `LabelImage`."""

    path: Path
    number: int

    def describe(self) -> str:
        """Return what identifies the mask: number, file, and its size in bytes while it exists."""
        text = f"{self.number} of {'/'.join(self.path.parts[-3:])}"
        with contextlib.suppress(OSError):
            text += f" {self.path.stat().st_size} bytes"
        return text


@dataclass(frozen=True)
class RleMask:
    """Mask of height x width pixels as COCO's compressed run-length code; b"" for no pixel."""

    height: int
    width: int
    code: bytes

    def describe(self) -> str:
        """Return what identifies the mask: size and checksum."""
        return f"{self.width} x {self.height} {zlib.crc32(self.code):08x}"


Mask = LabelMask | RleMask


class MaskReader:
    """Pixels of the masks of one frame; an image file with several of them is read once."""

    def __init__(self) -> None:
        self._images: dict[Path, LabelImage] = {}

    def read(self, mask: Mask) -> np.ndarray:
        """Return a mask, (H, W) uint8, 0 or 1. Raises OSError or ValueError if its file cannot be read."""
        if isinstance(mask, RleMask):
            runs = _decode_runs(mask.code) or [mask.height * mask.width]
            pixels = np.repeat((np.arange(len(runs)) % 2).astype(np.uint8), runs)
            return np.ascontiguousarray(pixels.reshape(mask.width, mask.height).T)  # they are counted down the columns
        if mask.path not in self._images:
            self._images[mask.path] = read_label_image(mask.path)
        return (self._images[mask.path].pixels == mask.number).astype(np.uint8)


def read_label_image(path: Path) -> LabelImage:
    """Read a mask file. Raises FileNotFoundError if it is missing, ValueError if it cannot be decoded."""
    image = label_images.read_label_image(path)
    has_palette = image.form == "palette"
    return LabelImage(image.pixels if has_palette else (image.pixels > 0).astype(np.uint8), has_palette)


def read_frame_labels(path: Path, image: Path, counts: Counter, needs_palette: bool = False) -> LabelImage | None:
    """Return the numbers in the mask file of a frame; None for a file that cannot be used, which is logged and counted.

    It must have the size of the frame's `image`, since boxes are read from it; `needs_palette` if its objects must have
    numbers.
    """
    try:
        labels = read_label_image(path)
        if needs_palette and not labels.has_palette:
            raise ValueError(
                f"mask {path} is not a palette image, so its objects have no numbers; download it again, or save it "
                "with its palette"
            )
        _check_size(labels, path, image)
    except (OSError, ValueError) as error:
        counts["unreadable masks"] += 1
        if counts["unreadable masks"] <= MAX_NAMED_MASKS:
            logger.warning("left out: %s", error)
        return None
    return labels


def _check_size(labels: LabelImage, path: Path, image: Path) -> None:
    """Raise ValueError unless a mask has the size of its image; cropping reports an image that cannot be read."""
    height, width = labels.pixels.shape
    try:
        size = image_size(image)
    except (OSError, ValueError):
        return
    if size != (width, height):
        raise ValueError(
            f"mask {path} has {width} x {height} pixels, its image {size[0]} x {size[1]}; use images and masks of one "
            "resolution"
        )


def mask_bounds(mask: np.ndarray) -> Bounds | None:
    """Return the xyxy bounds of the non-zero pixels of (H, W), x2 and y2 one past the last; None for an empty mask."""
    x, y, w, h = cv2.boundingRect(np.ascontiguousarray(mask, np.uint8))
    return (float(x), float(y), float(x + w), float(y + h)) if w else None


def encode_segmentation(segmentation: Any, height: int, width: int) -> RleMask:
    """Return the mask of a COCO segmentation: a list of polygons, or a run-length code with or without compression.

    `height` and `width` are those of the image, in pixels. Raises ValueError for one that does not decode, or for an
    image of another size.
    """
    if isinstance(segmentation, dict):
        return _encode_runs(segmentation, height, width)
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError(f"expected a list of polygons or a run-length code, got {_shorten(segmentation)}")
    for polygon in segmentation:
        _check_polygon(polygon, height, width)
    masks = _coco_masks()
    merged = masks.merge(masks.frPyObjects([list(map(float, polygon)) for polygon in segmentation], height, width))
    return RleMask(height, width, merged["counts"])


def _check_polygon(polygon: Any, height: int, width: int) -> None:
    """Raise ValueError unless a polygon has three points or more, none of them far outside of the image."""
    limit = 2 * max(height, width)
    if (
        not isinstance(polygon, list)
        or len(polygon) < 6
        or len(polygon) % 2
        or not all(isinstance(value, int | float) and value == value for value in polygon)  # NaN is not itself
    ):
        raise ValueError(f"a polygon needs x and y of three points or more, got {_shorten(polygon)}")
    if max(map(abs, polygon)) > limit:
        raise ValueError(f"a polygon is far outside of its image of {width} x {height} pixels: {_shorten(polygon)}")


def _encode_runs(segmentation: dict, height: int, width: int) -> RleMask:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise ValueError(
            f'a run-length code needs the "size" of its image, [{height}, {width}] pixels, got {_shorten(size)}'
        )
    if isinstance(counts, str):
        code = counts.encode("utf-8")
        runs = _decode_runs(code)
    elif isinstance(counts, list) and all(type(run) is int for run in counts):
        runs = counts
        code = b""
    else:
        raise ValueError(f'a run-length code needs "counts" of whole numbers or text, got {_shorten(counts)}')
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise ValueError(f"a run-length code has runs for {sum(runs)} pixels, expected {width} x {height}")
    if not code:
        code = _coco_masks().frPyObjects({"size": size, "counts": runs}, height, width)["counts"]
    return RleMask(height, width, code)


def _decode_runs(code: bytes) -> list[int]:
    """Return the runs of a compressed code: numbers of 5 bits per character, from the third on differences."""
    runs: list[int] = []
    value = shift = 0
    for character in code:
        bits = character - 48
        if not 0 <= bits < 64:
            raise ValueError(f"a run-length code has the character {chr(character)!r}")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("a run-length code is cut off")
    return runs


def _coco_masks() -> Any:
    """Return pycocotools.mask. Raises ModuleNotFoundError that says how to install it."""
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ModuleNotFoundError(f"COCO's masks need pycocotools ({error}): pip install pycocotools") from None
    return mask


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
