"""Label images: one image with the masks of a frame's objects; a pixel is the number of its object, 0 the background.

They are palette images, as in DAVIS 2017 and YouTube-VOS, or grey ones.
"""

import io
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pysot.utils.image import decode_image, read_image_bytes

NO_OBJECT = 255  # number of void pixels in palette images
_MODES = {"P": "palette", "L": "grey", "1": "grey", "I;16": "grey", "I": "grey"}  # forms of Pillow's modes
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURED = 22  # entries of the palette of DAVIS with a colour; the others are grey


@dataclass(frozen=True)
class LabelImage:
    """Pixels (H, W) uint8 of an image, and its form.

    "palette" and "grey" images have numbers, those above 255 in an image of 16 bits are 255; in a "colour" image a
    pixel is 1 where any channel is not 0.
    """

    pixels: np.ndarray
    form: str


def read_label_image(path: Path) -> LabelImage:
    """Read an image. Raises FileNotFoundError if it is missing, ValueError if it cannot be decoded."""
    data = read_image_bytes(path)
    if data[:8] == _PNG_SIGNATURE:
        try:
            with Image.open(io.BytesIO(data)) as image:  # OpenCV replaces the numbers by colours
                if image.mode in _MODES:
                    return LabelImage(np.minimum(np.asarray(image), 255).astype(np.uint8), _MODES[image.mode])
        except (OSError, ValueError, SyntaxError, struct.error) as error:
            raise ValueError(f"mask {path} cannot be decoded ({error}); copy or extract it again") from None
    return LabelImage((decode_image(data, path).max(axis=2) > 0).astype(np.uint8), "colour")


def read_numbers(path: Path, joined: bool = False) -> np.ndarray:
    """Return the numbers (H, W) uint8 of the objects in a label image.

    255 in a palette image is background, as in the evaluation of DAVIS 2017. With `joined`, all objects are number 1,
    and any image will do, as in DAVIS 2016; 255 is then background only beside other numbers. Errors are those of
    `read_label_image`, and ValueError for an image whose pixels are colours.
    """
    image = read_label_image(path)
    if image.form == "palette" and image.pixels.max(initial=0) == NO_OBJECT:
        known = np.where(image.pixels == NO_OBJECT, 0, image.pixels)
        image = image if joined and not known.any() else LabelImage(known, image.form)
    if joined:
        return (image.pixels > 0).astype(np.uint8)
    if image.form == "colour":
        raise ValueError(
            f"mask {path} is a colour image, whose objects have no numbers; expected an indexed (palette) or grey png "
            "whose pixels are numbers of objects: save it again in that form"
        )
    return image.pixels


def is_black_and_white(path: Path) -> bool:
    """Return whether an image is grey with no number but 0 and 255: the mask of one object, as in DAVIS 2016.

    Errors are those of `read_label_image`.
    """
    image = read_label_image(path)
    return image.form == "grey" and np.unique(image.pixels).tolist() in ([0, 255], [255])


def davis_palette() -> np.ndarray:
    """Return the official palette of DAVIS, (256, 3) uint8 RGB.

    The three low bits of a number are the upper bits of red, green and blue, the next three the lower ones.
    """
    numbers = np.arange(256)
    bits = numbers[:, None] >> np.arange(6) & 1
    colours = np.minimum(bits[:, :3] * 128 + bits[:, 3:] * 64, 191)
    return np.where(numbers[:, None] < _COLOURED, colours, numbers[:, None]).astype(np.uint8)


def encode_label_image(numbers: np.ndarray) -> bytes:
    """Return numbers of objects (H, W) uint8 as the bytes of a png with the palette of DAVIS."""
    image = Image.fromarray(np.ascontiguousarray(numbers, np.uint8))
    image.putpalette(davis_palette().tobytes())
    stream = io.BytesIO()
    image.save(stream, "png")
    return stream.getvalue()
