"""Files of crops: JPEG crops and PNG masks, each of which records its origin.

They are not flushed to disk one by one, since there are millions: `crop.crop_all` flushes all at its end.
"""

import contextlib
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pysot.datasets.raw.masks import Mask
from pysot.datasets.raw.video import MASK, RawFrame
from pysot.utils.image import decode_image
from pysot.utils.jpeg import WITH_RESTARTS

_JPEG_HEADER_BYTES = 20  # bytes of a JPEG before its first segment
_COMMENT_MARKER = b"\xff\xfe"  # of a JPEG comment; its length in two bytes and its text follow
_PNG_HEADER_BYTES = 33  # signature and first chunk of a PNG; a chunk is length, type, data and checksum
_PNG_TEXT = b"tEXtComment\0"  # type and beginning of a PNG comment
_FAST_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)  # decoded in a quarter of the time of the default, for 17% more bytes
_MAX_COMMENT = 60000  # bytes
_HALF = 127  # larger grey values of a mask belong to the object


class MaskSizeError(ValueError):
    """A mask has another size than its crop."""


def describe_origin(frame: RawFrame, box: Sequence[float]) -> str:
    """Return the text that a crop's file records: the end of the image's path, the box, and the size of the image."""
    origin = f"{'/'.join(frame.image.parts[-3:])} {_format_box(box)}"
    with contextlib.suppress(OSError):  # crops stay valid after their images are removed
        origin += f" {frame.image.stat().st_size} bytes"
    return origin


def describe_mask_origin(mask: Mask | None, box: Sequence[float]) -> str:
    """Return the text that the file of a mask records: the box, and what identifies the mask."""
    return f"{_format_box(box)} {mask.describe() if mask else 'without a mask'}"


def remove_outdated_mask(path: Path, box: Sequence[float]) -> None:
    """Remove a mask that was made for another box, because its crop is now made for this one. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        origin = read_origin(path)
        if origin and not origin.startswith(_format_box(box)):
            path.unlink()


def _format_box(box: Sequence[float]) -> str:
    return " ".join(f"{float(value):.3f}" for value in box)


def read_origin(path: Path) -> str:
    """Return the origin that a file records in a comment at its beginning; "" for crops of earlier versions."""
    with open(path, "rb") as stream:
        head = stream.read(_PNG_HEADER_BYTES + 4 + len(_PNG_TEXT))
        if path.name.endswith(MASK):
            if head[_PNG_HEADER_BYTES + 4 :] != _PNG_TEXT:
                return ""
            length = int.from_bytes(head[_PNG_HEADER_BYTES : _PNG_HEADER_BYTES + 4], "big")
            return stream.read(length + 4 - len(_PNG_TEXT)).decode("utf-8", errors="replace")
        if head[_JPEG_HEADER_BYTES : _JPEG_HEADER_BYTES + 2] != _COMMENT_MARKER:
            return ""
        length = int.from_bytes(head[_JPEG_HEADER_BYTES + 2 : _JPEG_HEADER_BYTES + 4], "big")
        stream.seek(_JPEG_HEADER_BYTES + 4)
        return stream.read(length - 2).decode("utf-8", errors="replace")


def write_crop(path: Path, crop: np.ndarray, origin: str = "") -> None:
    """Write a JPEG that records its `origin` and of which regions can be decoded, atomically. Raises OSError."""
    data = cv2.imencode(".jpg", crop, WITH_RESTARTS)[1].tobytes()
    comment = origin.encode()[:_MAX_COMMENT]
    if comment:
        header, rest = data[:_JPEG_HEADER_BYTES], data[_JPEG_HEADER_BYTES:]
        data = header + _COMMENT_MARKER + (len(comment) + 2).to_bytes(2, "big") + comment + rest
    _write_file(path, data)


def write_mask(path: Path, mask: np.ndarray, origin: str = "") -> None:
    """Write a mask (H, W), 0 or 1, as a grey PNG of 0 and 255 that records its `origin`, atomically. Raises OSError."""
    data = cv2.imencode(".png", mask * np.uint8(255), _FAST_PNG)[1].tobytes()
    text = _PNG_TEXT + origin.encode()[:_MAX_COMMENT]
    chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    _write_file(path, data[:_PNG_HEADER_BYTES] + chunk + data[_PNG_HEADER_BYTES:])


def decode_mask(data: bytes, name: object, width: int, height: int) -> np.ndarray:
    """Decode the file of a mask to (height, width) uint8, 0 or 1; `name` names it in errors.

    Raises ValueError if it cannot be decoded, MaskSizeError if its crop, of width x height pixels, has another size.
    """
    try:
        pixels = decode_image(data, name, cv2.IMREAD_GRAYSCALE)
    except ValueError as error:
        raise ValueError(f"{str(error).rsplit(';', 1)[0]}; remove it and make it again with --with-masks") from None
    if pixels.shape != (height, width):
        raise MaskSizeError(
            f"mask {name} has {pixels.shape[1]} x {pixels.shape[0]} pixels, its crop {width} x {height}; remove it and "
            "make it again with --with-masks"
        )
    return cv2.threshold(pixels, _HALF, 1, cv2.THRESH_BINARY)[1]


def _write_file(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise OSError(
                error.errno,
                f"cannot write {path}: {error.strerror or error}. Free some space or choose another --out, and run the "
                "same command again: finished crops are kept",
            ) from error
        raise
