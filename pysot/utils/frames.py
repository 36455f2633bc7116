"""Read frames from a video file, a folder of images, a camera or a stream through one interface."""

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pysot.utils.image import IMAGE_SUFFIXES, read_image
from pysot.utils.names import list_images

logger = logging.getLogger(__name__)

_CAMERA_WARM_UP = 5  # frames
VIDEO_SUFFIXES = tuple(
    f".{suffix}" for suffix in "mp4 avi mov mkv webm m4v mpg mpeg wmv flv ts mts m2ts 3gp ogv vob gif".split()
)
# A Path has only one of the slashes.
_STREAM = re.compile(r"(rtsps?|rtmps?|https?|udp|tcp|srt|rtp)://?(?=[^/])", re.IGNORECASE)


@dataclass(frozen=True)
class FrameSource:
    """Frames (H, W, 3) uint8 BGR of one size, to be read once.

    `count` is None for a camera and for a video that does not contain it; `fps` is the playback rate.
    """

    name: str
    frames: Iterator[np.ndarray]
    count: int | None
    fps: float


def open_frames(source: str | os.PathLike | int) -> FrameSource:
    """Open a folder of images (in the order of the numbers in their names), a video file, a camera or a stream.

    A camera is given by its number, '' for camera 0, or /dev/video0; a stream by its address (rtsp://..., http://...).

    Raises FileNotFoundError if nothing exists there, ValueError if it is no video, has no frame, or (while reading) has
    an image that is damaged or differs in size from the first.
    """
    text = str(source)
    if text == "" or (text.isdecimal() and not Path(text).exists()):
        return _open_live(int(text or 0), f"camera {text or 0}", f"camera{text or 0}")
    if scheme := _STREAM.match(text):
        rest = text[scheme.end() :]
        address = f"{scheme[1].lower()}://{rest}"
        return _open_live(address, f"stream {address}", re.sub(r"[^A-Za-z0-9]+", "_", rest).strip("_") or "stream")
    assert not isinstance(source, int), f"camera {source} and a file of that name"
    path = Path(source)
    if path.is_char_device():
        return _open_live(text, f"camera {text}", path.name)
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
    return FrameSource(path.resolve().name, _read_images(images), len(images), 25.0)


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
    frame_count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    fps = capture.get(cv2.CAP_PROP_FPS)
    count = frame_count if frame_count > 0 else None
    frames = _read_capture(capture, first, str(path), count)
    return FrameSource(path.stem, frames, count, fps if 0 < fps < 1000 else 25.0)


def _read_capture(
    capture: cv2.VideoCapture, first: np.ndarray, description: str, count: int | None
) -> Iterator[np.ndarray]:
    frame, number = first, 0
    while frame is not None:
        yield frame
        number += 1
        frame = capture.read()[1]
    capture.release()
    if count is not None and number < count:
        logger.warning("%s should have %d frames, %d could be read: it may be cut off", description, count, number)


def _open_live(source: int | str, description: str, name: str) -> FrameSource:
    """Open a camera or a stream, which has no known end."""
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        remedy = "name a video file or a folder of images"
        if description.startswith("stream"):
            remedy = "check its address, and that it is being sent"
        raise ValueError(f"no {description} can be opened; {remedy}")
    is_numbered = isinstance(source, int)
    for _ in range(_CAMERA_WARM_UP if is_numbered else 0):
        capture.read()
    first, fps = capture.read()[1], capture.get(cv2.CAP_PROP_FPS)
    if first is None:
        raise ValueError(f"{description} gives no frame; is another program using it?")
    frames = _read_capture(capture, first, description, None)
    return FrameSource(name, frames, None, fps if 0 < fps < 1000 and not is_numbered else 25.0)
