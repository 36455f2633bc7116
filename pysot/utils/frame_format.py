"""Frames of any depth and size as 8-bit BGR frames of one size."""

import logging

import cv2
import numpy as np

from pysot.utils.image import as_bgr

logger = logging.getLogger(__name__)

_USED_BITS = (8, 10, 12, 14, 16)  # of 16-bit cameras
_SAME_SHAPE = 0.01  # largest relative difference of two equal aspect ratios


class FrameFormat:
    """Format of a source's frames: uint8 BGR, of the size of the first.

    Conversions are logged when they begin or change. `source` names the source in messages.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._size: tuple[int, int] | None = None  # width, height of the first frame
        self._last_size: tuple[int, int] | None = None
        self._bits = 0  # used by the 16-bit frames so far
        self._is_grey = False

    def convert(self, frame: np.ndarray) -> np.ndarray:
        """Return a frame as (H, W, 3) uint8 BGR.

        Grey frames (H, W) or (H, W, 1) are repeated. Of uint16 the highest 8 used bits are taken; as many are used as
        the brightest pixel so far needs. A frame of another size than the first is scaled. Raises ValueError for other
        types, and for a frame whose aspect ratio differs from that of the first.
        """
        if isinstance(frame, np.ndarray) and frame.dtype == np.uint16 and frame.size:
            frame = self._eight_bits(frame)
        try:
            image = as_bgr(frame)
        except ValueError as error:
            raise ValueError(f"{self._source}: {error}; set the camera to 8-bit colour or grey, or to Y16") from None
        if not self._is_grey and (frame.ndim == 2 or frame.shape[2] == 1):
            self._is_grey = True
            logger.info("%s: frames are grey, they are tracked as colours", self._source)
        return self._scaled(image)

    def _eight_bits(self, frame: np.ndarray) -> np.ndarray:
        needed = int(frame.max()).bit_length()
        bits = max(self._bits, next(bits for bits in _USED_BITS if bits >= needed))
        if bits != self._bits:
            self._bits = bits
            logger.info("%s: frames have 16 bits, of which %d are used; the highest 8 are tracked", self._source, bits)
        return (frame >> (bits - 8)).astype(np.uint8)

    def _scaled(self, image: np.ndarray) -> np.ndarray:
        size = (image.shape[1], image.shape[0])
        self._size = first = self._size or size
        if size != first and abs(size[0] * first[1] / (size[1] * first[0]) - 1) > _SAME_SHAPE:
            raise ValueError(
                f"{self._source}: frames were {first[0]}x{first[1]} and are now {size[0]}x{size[1]}, another aspect "
                "ratio, so the boxes do not fit any more; start again"
            )
        if size != (self._last_size or size):
            scaled = "" if size == first else f"; they are scaled to {first[0]}x{first[1]}"
            logger.warning("%s: frames are now %dx%d%s", self._source, *size, scaled)
        self._last_size = size
        return image if size == first else cv2.resize(image, first, interpolation=cv2.INTER_AREA)
