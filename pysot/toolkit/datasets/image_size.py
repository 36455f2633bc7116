"""Size of an image from its header, without decoding it."""

import os

from pysot.utils.image import read_image

_JPEG_SIZE_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Width and height as stored (EXIF orientation ignored), from the header of a JPEG or PNG; other formats are decoded.

    Raises FileNotFoundError if there is no such file, ValueError if it is no image.
    """
    try:
        with open(path, "rb") as stream:
            size = _png_size(stream) or _jpeg_size(stream)
    except FileNotFoundError:
        size = None
    if size is None:
        height, width = read_image(path).shape[:2]
        return width, height
    return size


def _png_size(stream):
    stream.seek(0)
    head = stream.read(24)
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def _jpeg_size(stream):
    stream.seek(0)
    if stream.read(2) != b"\xff\xd8":
        return None
    while True:
        marker = stream.read(2)
        if len(marker) < 2 or marker[0] != 0xFF:
            return None
        if marker[1] == 0xFF:
            stream.seek(-1, os.SEEK_CUR)
            continue
        if marker[1] == 0x01 or 0xD0 <= marker[1] <= 0xD8:
            continue
        segment = stream.read(7)
        length = int.from_bytes(segment[:2], "big")
        if len(segment) < 7 or length < 2:
            return None
        if marker[1] in _JPEG_SIZE_MARKERS:
            return int.from_bytes(segment[5:7], "big"), int.from_bytes(segment[3:5], "big")
        stream.seek(length - 7, os.SEEK_CUR)
