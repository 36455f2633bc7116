"""Decoding of a region of a JPEG with restart markers.

A JPEG is coded in blocks of 8 x 8 to 32 x 32 pixels, from left to right and top to bottom. A restart marker after every
few blocks ends a segment that can be decoded on its own. The segments that cover a region, behind a header with their
size, are a smaller JPEG. Its pixels are those of the complete one.
"""

import struct
from dataclasses import dataclass

import cv2
import numpy as np

RESTART_BLOCKS = 4  # blocks per segment of the crops that pysot writes: 64 of 511 pixels, for 2% of the bytes
WITH_RESTARTS = (cv2.IMWRITE_JPEG_RST_INTERVAL, RESTART_BLOCKS)  # for cv2.imencode
_SOI, _EOI, _SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
_BASELINE, _RESTART_INTERVAL = 0xC0, 0xDD
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of all ways to code an image
_BASELINE_SCAN = bytes([0, 63, 0])  # all coefficients, in full precision
_NEIGHBOURS = 1  # pixels beyond a region that its pixels depend on, because colours are interpolated


@dataclass(frozen=True)
class JpegSegments:
    """Header of a JPEG whose rows of blocks are `segments_per_row` segments each.

    A segment is `segment_width` x `segment_height` pixels. Height and width are two bytes each at `size_at` of the
    file. The coded data begin at `start`.
    """

    width: int
    height: int
    size_at: int
    start: int
    segment_width: int
    segment_height: int

    @property
    def segments_per_row(self) -> int:
        """Number of segments from left to right."""
        return -(-self.width // self.segment_width)

    @property
    def rows(self) -> int:
        """Number of segments from top to bottom."""
        return -(-self.height // self.segment_height)


def find_segments(data: bytes) -> JpegSegments | None:
    """Read the header of an image file.

    Returns None for anything but a complete colour JPEG of one scan whose rows of blocks are whole numbers of segments:
    such a file can only be decoded completely.
    """
    if data[:2] != _SOI or data[-2:] != _EOI:
        return None
    interval, position, frame = 0, 2, 0
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _BASELINE:
            frame = position + 4
        elif marker in _FRAMES:
            return None
        elif marker == _RESTART_INTERVAL:
            interval = int.from_bytes(data[position + 4 : position + 6], "big")
        elif marker == _SCAN:
            start = position + 2 + length
            is_whole = length == 12 and data[start - 3 : start] == _BASELINE_SCAN
            return _segments(data, frame, start, interval) if frame and interval and is_whole else None
        position += 2 + length
    return None


def _segments(data: bytes, frame: int, start: int, interval: int) -> JpegSegments | None:
    precision, height, width, components = struct.unpack_from(">BHHB", data, frame)
    if precision != 8 or components != 3 or not height or not width:
        return None
    sampling = data[frame + 7 : frame + 16 : 3]  # of each component: factors in x and y, 4 bits each
    block_width, block_height = 8 * max(each >> 4 for each in sampling), 8 * max(each & 15 for each in sampling)
    if not block_width or not block_height or -(-width // block_width) % interval:
        return None
    return JpegSegments(width, height, frame + 1, start, interval * block_width, block_height)


def decode_region(
    data: bytes, segments: JpegSegments, left: int, top: int, width: int, height: int
) -> tuple[np.ndarray, int, int] | None:
    """Decode the segments that cover a region of a JPEG to (h, w, 3) uint8 BGR; also return their left and top.

    Returns None if that is not possible because the markers are not those that the header announces, or because the
    data are damaged.
    """
    first_column, end_column = _covering(left, width, segments.width, segments.segment_width)
    first_row, end_row = _covering(top, height, segments.height, segments.segment_height)
    bounds = _segment_bounds(data, segments)
    if bounds is None:
        return None
    begins, ends = bounds
    columns = segments.segments_per_row
    pieces = [
        data[begins[row * columns + first_column] : ends[row * columns + end_column - 1] + 2]
        for row in range(first_row, end_row)
    ]
    part = np.frombuffer(bytearray().join([data[: segments.start], *pieces]), np.uint8)
    left, top = first_column * segments.segment_width, first_row * segments.segment_height
    width = min(segments.width, end_column * segments.segment_width) - left
    height = min(segments.height, end_row * segments.segment_height) - top
    struct.pack_into(">HH", part.data, segments.size_at, height, width)
    chosen = (np.arange(first_row, end_row)[:, None] * columns + np.arange(first_column, end_column)).ravel()
    markers = segments.start + np.cumsum((ends - begins)[chosen] + 2) - 1
    part[markers] = 0xD0 + np.arange(len(markers)) % 8
    part[markers[-1]] = _EOI[1]
    try:
        pixels = cv2.imdecode(part, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    return None if pixels is None or pixels.shape != (height, width, 3) else (pixels, left, top)


def _covering(first: int, length: int, total: int, step: int) -> tuple[int, int]:
    """Return first and end of the segments of `step` pixels that cover some of `total` pixels and their neighbours."""
    return max(0, first - _NEIGHBOURS) // step, -(-min(total, first + length + _NEIGHBOURS) // step)


def _segment_bounds(data: bytes, segments: JpegSegments) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the first byte of each segment and the marker behind it; None if the markers are not as announced."""
    count = segments.rows * segments.segments_per_row
    coded = np.frombuffer(data, np.uint8)[segments.start :]
    escapes = np.flatnonzero(coded[:-1] == 0xFF)
    codes = coded[escapes + 1]
    markers, codes = escapes[codes != 0], codes[codes != 0]  # FF 00 is a value
    if len(markers) != count or markers[-1] != len(coded) - 2 or (codes[:-1] != 0xD0 + np.arange(count - 1) % 8).any():
        return None
    ends = segments.start + markers
    return np.concatenate([[segments.start], ends[:-1] + 2]), ends
