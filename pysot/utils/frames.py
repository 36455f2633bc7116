"""Read frames from a video file or a folder of images through one interface; for cameras and streams see `live`."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pysot.utils.frame_format import FrameFormat
from pysot.utils.image import IMAGE_SUFFIXES, read_image
from pysot.utils.names import list_images

logger = logging.getLogger(__name__)

_DEFAULT_FPS = 25.0
_MOST_FRAMES = 2**40  # streams state the largest number or a negative one
VIDEO_SUFFIXES = tuple(
    f".{suffix}" for suffix in "mp4 avi mov mkv webm m4v mpg mpeg wmv flv ts mts m2ts 3gp ogv vob gif".split()
)


@dataclass(frozen=True)
class FrameSource:
    """Frames (H, W, 3) uint8 BGR of one size, to be read once.

    `count` is None for a video that does not contain it; `fps` is the playback rate.
    """

    name: str
    frames: Iterator[np.ndarray]
    count: int | None
    fps: float


def open_frames(source: str | os.PathLike) -> FrameSource:
    """Open a folder of images (in the order of the numbers in their names) or a video file.

    Raises FileNotFoundError if nothing exists there, ValueError if it is no video, has no frame, or (while reading) has
    an image that is damaged or differs in size from the first, or a frame of another aspect ratio.
    """
    path = Path(source)
    if path.is_dir():
        return _open_folder(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no video or folder {path}; name a video file, a folder of images, a camera number or a stream"
        )
    return _open_video(path)


def _open_folder(path: Path) -> FrameSource:
    images = list_images(path)
    if not images:
        raise ValueError(f"folder {path} has no images ({', '.join(IMAGE_SUFFIXES)})")
    return FrameSource(path.resolve().name, _read_images(images), len(images), _DEFAULT_FPS)


def _read_images(paths: list[Path]) -> Iterator[np.ndarray]:
    size: tuple[int, int] | None = None
    for path in paths:
        image = read_image(path)
        height, width = image.shape[:2]
        if size is not None and size != (width, height):
            raise ValueError(
                f"image {path} is {width}x{height}, the ones before are {size[0]}x{size[1]}: not frames of one video"
            )
        size = width, height
        yield image


def _open_video(path: Path) -> FrameSource:
    capture = cv2.VideoCapture(str(path))
    first = capture.read()[1] if capture.isOpened() else None
    if first is None:
        raise ValueError(
            f"{path} is not a video that OpenCV can read (damaged, empty, or an unknown codec); convert it, e.g. "
            "ffmpeg -i in out.mp4"
        )
    return recorded(capture, first, path.stem, str(path))


def recorded(capture: cv2.VideoCapture, first: np.ndarray, name: str, description: str) -> FrameSource:
    """Return the frames of an open video, of which `first` was read already; `description` is for messages."""
    count = frame_count(capture)
    return FrameSource(name, _read_capture(capture, first, description, count), count, playback_rate(capture))


def frame_count(capture: cv2.VideoCapture) -> int | None:
    """Return the number of frames of an open video, None if the video does not contain it."""
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return int(count) if 0 < count < _MOST_FRAMES else None


def playback_rate(capture: cv2.VideoCapture) -> float:
    """Return the frames per second that an open video, camera or stream states, 25 if that is no usual rate."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 0 < fps < 1000 else _DEFAULT_FPS


def _read_capture(
    capture: cv2.VideoCapture, first: np.ndarray, description: str, count: int | None
) -> Iterator[np.ndarray]:
    frames = FrameFormat(description)
    frame, number = first, 0
    while frame is not None:
        yield frames.convert(frame)
        number += 1
        frame = capture.read()[1]
    capture.release()
    if count is not None and number < count:
        logger.warning("%s should have %d frames, %d could be read: it may be cut off", description, count, number)
