"""Read images and cut square crops.

An image is a (H, W, 3) uint8 array in BGR order. Positions are pixels; pixel (0, 0) has its centre at (0, 0).
"""

import contextlib
import functools
import logging
import os
import struct
import threading
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike

logger = logging.getLogger(__name__)
_bits_lock = threading.Lock()
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Decode an image file to (H, W, 3) uint8 BGR; grey, CMYK, 16-bit and transparent files are converted.

    EXIF orientation is ignored, since annotations are made on the stored pixels. Raises FileNotFoundError if the file
    is missing, ValueError if it is empty, cut off, or no image.
    """
    return decode_image(read_image_bytes(path), path)


def read_image_bytes(path: str | os.PathLike) -> bytes:
    """Return the bytes of an image file. Raises FileNotFoundError if it is missing."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no image {path}. Check the data set folder in the config or on the command line"
        ) from None


def decode_image(data: bytes, path: object, mode: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Decode the bytes of an image file as `read_image` does; `path` names them in errors.

    With mode IMREAD_GRAYSCALE of cv2, the result is (H, W).
    """
    if not data:
        raise ValueError(f"image {path} is an empty file; copy or extract it again")
    if _is_cut_off(data):
        raise ValueError(f"image {path} is cut off after {len(data)} bytes; copy or extract it again")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), mode | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ValueError(
            f"image {path} cannot be decoded ({error.err}); convert it to an ordinary JPEG or PNG"
        ) from None
    if image is None:
        raise ValueError(
            f"image {path} cannot be decoded (not an image, or damaged); copy it again or convert it to JPEG"
        )
    return _reduce_to_8_bits(data, image, path) if mode == cv2.IMREAD_COLOR and _may_have_16_bits(data) else image


def _may_have_16_bits(data: bytes) -> bool:
    """Return whether a file may have 16 bits per value: PNG files with that bit depth, and all TIFF files."""
    return data[:8] == b"\x89PNG\r\n\x1a\n" and data[24:25] == b"\x10" or data[:4] in (b"II*\0", b"MM\0*")


def _reduce_to_8_bits(data: bytes, image: np.ndarray, path: object) -> np.ndarray:
    """Return the highest 8 bits of an image: of 16, as in `image`, or of fewer if the files of its folder use no more.

    Many sensors use 10, 12 or 14 bits.
    """
    bits = 16
    if isinstance(path, str | os.PathLike):
        with _bits_lock:  # threads that decode frames of one folder log its bits once
            bits = _bits_in_folder(os.path.dirname(path), os.path.splitext(path)[1])
    raw = _decode_16_bit(data) if bits < 16 else None
    return image if raw is None else np.minimum(raw >> (bits - 8), 255).astype(np.uint8)


def _decode_16_bit(data: bytes) -> np.ndarray | None:
    """Decode an image to uint16; None if it has other values."""
    if not data:
        return None
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return image if image is not None and image.dtype == np.uint16 else None


@functools.lru_cache(maxsize=256)
def _bits_in_folder(folder: str, suffix: str) -> int:
    """Return how many bits the 16-bit images of a folder use, judged by eight of them; log if fewer than 16.

    The result is the same for all frames of a video.
    """
    names = sorted(name for name in os.listdir(folder or ".") if name.endswith(suffix))
    largest = 0
    for name in names[:: max(1, len(names) // 7)]:
        with contextlib.suppress(OSError, cv2.error):
            with open(os.path.join(folder, name), "rb") as stream:
                raw = _decode_16_bit(stream.read())
            largest = max(largest, 0 if raw is None else int(raw.max()))
    bits = next((bits for bits in (8, 10, 12, 14) if largest < 1 << bits), 16) if largest else 16
    if bits < 16:
        logger.warning(
            "the images of 16 bits in %s use %d of them: these count as the full range; otherwise the images would be "
            "almost black",
            folder or ".",
            bits,
        )
    return bits


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Read width and height from the header of an image file.

    Raises FileNotFoundError if the file is missing, ValueError if it is no image.
    """
    from PIL import Image  # a tracker needs no Pillow

    try:
        with Image.open(path) as image:
            return image.size
    except FileNotFoundError:
        raise
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise ValueError(f"image {path} cannot be read ({error}); copy or extract it again") from None


def as_bgr(frame: np.ndarray) -> np.ndarray:
    """Convert a frame to (H, W, 3) uint8 BGR: (H, W) and (H, W, 1) are repeated, a fourth (alpha) channel is dropped.

    Raises ValueError for other shapes, types other than uint8, and frames without pixels.
    """
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.size == 0:
        got = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ValueError(f"a frame is a uint8 array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) with pixels, got {got}")
    if frame.ndim == 2:
        frame = frame[:, :, None]
    if frame.ndim != 3 or frame.shape[2] not in (1, 3, 4):
        raise ValueError(f"a frame is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {frame.shape}")
    return np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame[:, :, :3]


def mean_colour(image: np.ndarray) -> np.ndarray:
    """Return the mean of each channel of a BGR image, float64 (3,): the same digits as image.mean((0, 1))."""
    return np.array(cv2.sumElems(image)[:3]) / (image.shape[0] * image.shape[1])


def crop_square(
    image: np.ndarray, center: Sequence[float] | np.ndarray, side: float, out_side: int, fill: ArrayLike
) -> np.ndarray:
    """Cut the square of `side` pixels around `center` (x, y) and scale it to (out_side, out_side, C) uint8.

    Pixels outside the image are `fill` (one number per channel, truncated to uint8 as in the original). Memory is
    limited by the visible part and the output, however large `side` is. A `side` below one pixel counts as one.
    """
    return cut_square(image, pixel_square(center, side), out_side, fill)


def pixel_square(center: Sequence[float] | np.ndarray, side: float) -> tuple[int, int, int]:
    """Return the square of pixels that `crop_square` cuts: left, top, side."""
    side = max(1, int(side))
    offset = (side + 1) / 2
    return int(np.floor(center[0] - offset + 0.5)), int(np.floor(center[1] - offset + 0.5)), side


def cut_square(image: np.ndarray, square: tuple[int, int, int], out_side: int, fill: ArrayLike) -> np.ndarray:
    """Cut a square of `pixel_square` and scale it, as `crop_square` does."""
    left, top, side = square
    height, width = image.shape[:2]
    if left >= 0 and top >= 0 and left + side <= width and top + side <= height:
        patch = image[top : top + side, left : left + side]
    elif side <= max(4 * out_side, 2 * max(height, width)):
        patch = _cut_padded(image, left, top, side, fill)
    else:
        return _warp(image, left, top, side, out_side, fill)
    return patch.copy() if side == out_side else cv2.resize(patch, (out_side, out_side))


def _cut_padded(image: np.ndarray, left: int, top: int, side: int, fill: ArrayLike) -> np.ndarray:
    height, width, channels = image.shape
    value = np.broadcast_to(np.asarray(fill).astype(image.dtype), channels)
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    if x2 <= x1 or y2 <= y1:
        return np.broadcast_to(value, (side, side, channels)).copy()
    around = (y1 - top, top + side - y2, x1 - left, left + side - x2)
    patch = cv2.copyMakeBorder(image[y1:y2, x1:x2], *around, cv2.BORDER_CONSTANT, value=value.tolist())
    return patch.reshape(side, side, channels)


def _warp(image: np.ndarray, left: int, top: int, side: int, out_side: int, fill: ArrayLike) -> np.ndarray:
    """Make the same crop without the padded square in memory, sampled like cv2.resize (pixel centres)."""
    scale = side / out_side
    shift = 0.5 * scale - 0.5
    matrix = np.array([[scale, 0, left + shift], [0, scale, top + shift]])
    border = [float(v) for v in np.asarray(fill).astype(image.dtype)]
    return cv2.warpAffine(
        image, matrix, (out_side, out_side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=border
    )


def _is_cut_off(data: bytes) -> bool:
    """True if the end marker of a JPEG or PNG file is missing."""
    if data[:2] == b"\xff\xd8":
        if data[-2:] == b"\xff\xd9":
            return b"\xff\xda" not in data[: 1 << 16] and b"\xff\xda" not in data
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda") or b"\xff\xda" not in data
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return b"IEND" not in data[-64:]
    return False
