"""Frames from a video file, a folder of images or a camera, in one form."""

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

_CAMERA_WARM_UP = 5
VIDEO_SUFFIXES = (
    ".mp4",
    ".avi",
    ".mov",
    ".mkv",
    ".webm",
    ".m4v",
    ".mpg",
    ".mpeg",
    ".wmv",
    ".flv",
    ".ts",
    ".mts",
    ".m2ts",
    ".3gp",
    ".ogv",
    ".vob",
    ".gif",
)
_STREAM = re.compile(
    r"(rtsps?|rtmps?|https?|udp|tcp|srt|rtp)://?(?=[^/])", re.IGNORECASE
)  # a Path has lost one of the slashes


@dataclass(frozen=True)
class FrameSource:
    """Frames (H, W, 3) uint8 BGR of one size, to be read once; count is None for a camera and where the video does not say; fps of the playback."""

    name: str
    frames: Iterator[np.ndarray]
    count: int | None
    fps: float


def open_frames(source: str | os.PathLike | int) -> FrameSource:
    """Open a folder of images (in the order of the numbers in their names), a video file, a camera (its number, '' for camera 0, or /dev/video0) or a stream
    (rtsp://..., http://...).

    Raises FileNotFoundError if there is nothing, ValueError if it is no video, has no frame, or (while reading) an image that is damaged
    or of another size than the first.
    """
    if str(source) == "" or (str(source).isdecimal() and not Path(str(source)).exists()):
        return _live(int(source or 0), f"camera {source or 0}", f"camera{source or 0}")
    path = Path(source)
    if scheme := _STREAM.match(str(source)):
        address = f"{scheme[1].lower()}://{str(source)[scheme.end() :]}"
        return _live(
            address,
            f"stream {address}",
            re.sub(r"[^A-Za-z0-9]+", "_", str(source)[scheme.end() :]).strip("_") or "stream",
        )
    if path.is_char_device():
        return _live(str(source), f"camera {source}", path.name)
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no video or folder {path}; name a video file, a folder of images, a camera number or a stream"
        )
    return _video(path)


def _folder(path):
    images = list_images(path)
    if not images:
        raise ValueError(f"folder {path} has no images ({', '.join(IMAGE_SUFFIXES)})")
    return FrameSource(path.resolve().name, _images(images), len(images), 25.0)


def _images(paths):
    size = None
    for path in paths:
        image = read_image(path)
        if size not in (None, image.shape[:2]):
            raise ValueError(
                f"image {path} is {image.shape[1]}x{image.shape[0]}, the ones before are {size[1]}x{size[0]}: not frames of one video"
            )
        size = image.shape[:2]
        yield image


def _video(path):
    capture = cv2.VideoCapture(str(path))
    first = capture.read()[1] if capture.isOpened() else None
    if first is None:
        raise ValueError(
            f"{path} is not a video that OpenCV can read (damaged, empty, or an unknown codec); convert it, e.g. ffmpeg -i in out.mp4"
        )
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    fps = capture.get(cv2.CAP_PROP_FPS)
    count = count if count > 0 else None
    return FrameSource(path.stem, _read_all(capture, first, path, count), count, fps if 0 < fps < 1000 else 25.0)


def _read_all(capture, first, path, count):
    frame, number = first, 0
    while frame is not None:
        yield frame
        number += 1
        frame = capture.read()[1]
    capture.release()
    if count is not None and number < count:
        logger.warning("%s says it has %d frames, %d could be read: it may be cut off", path, count, number)


def _live(source: int | str, told: str, name: str):
    """A camera or a stream, which has no end that is known."""
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        kind = "stream" if told.startswith("stream") else "camera"
        raise ValueError(
            f"no {told} can be opened; "
            + (
                "check its address, and that it is being sent"
                if kind == "stream"
                else "name a video file or a folder of images"
            )
        )
    for _ in range(_CAMERA_WARM_UP if isinstance(source, int) else 0):
        capture.read()
    first, fps = capture.read()[1], capture.get(cv2.CAP_PROP_FPS)
    if first is None:
        raise ValueError(f"{told} gives no frame; is another program using it?")
    return FrameSource(
        name,
        _read_all(capture, first, told, None),
        None,
        fps if 0 < fps < 1000 and not isinstance(source, int) else 25.0,
    )
