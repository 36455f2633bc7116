"""Boxes drawn on frames, and frames written as a video or a folder of images; no window, no display."""

import logging
import os
from pathlib import Path

import cv2
import numpy as np

from pysot.utils.files import atomic_write

logger = logging.getLogger(__name__)

# BGR, distinguishable with any colour vision
TRUTH, PREDICTED = (115, 158, 0), (0, 94, 213)
_VIDEO_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}


def draw_region(image: np.ndarray, region, colour=PREDICTED, label: str = "", thickness: int = 2) -> np.ndarray:
    """Draw a region (4 numbers xywh or 2K of a polygon, K > 2) with a label on `image` (H, W, 3) uint8, in place; returns it.

    A region with a number that is not finite is left out. Raises ValueError for other counts of numbers.
    """
    region = np.asarray(region, np.float64).reshape(-1)
    if region.size != 4 and (region.size < 6 or region.size % 2):
        raise ValueError(f"a region has 4 numbers (x, y, w, h) or 6, 8, ... of a polygon, got {region.size}")
    if not np.isfinite(region).all():
        return image
    if region.size == 4:
        x, y, w, h = region
        region = np.array([x, y, x + w, y, x + w, y + h, x, y + h])
    far = 4 * max(image.shape[:2])
    points = np.clip(np.round(region.reshape(-1, 2)), -far, far).astype(np.int32)
    cv2.polylines(image, [points.reshape(-1, 1, 2)], True, colour, thickness, cv2.LINE_AA)
    if label:
        left, top = points.min(axis=0)
        draw_label(image, label, (int(left), int(top) - 4), colour)
    return image


def draw_label(image: np.ndarray, text: str, at: tuple[int, int], colour=PREDICTED) -> np.ndarray:
    """Write `text` with its lower left corner at (x, y), moved into the image, with a dark edge that reads on any ground. In place; returns it."""
    scale = max(0.4, min(image.shape[:2]) / 800)
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x = min(max(at[0], 0), max(0, image.shape[1] - width))
    y = min(max(at[1], height), image.shape[0] - base)
    for ink, thickness in (((0, 0, 0), 3), (colour, 1)):
        cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)
    return image


def annotate(image: np.ndarray, region=None, truth=None, score: float | None = None, caption: str = "") -> np.ndarray:
    """A copy of `image` with the tracker's region and score, the ground truth, and a caption in the upper left corner."""
    canvas = image.copy()
    if truth is not None:
        draw_region(canvas, truth, TRUTH)
    if region is not None:
        draw_region(canvas, region, PREDICTED, "" if score is None else f"{score:.2f}")
    return draw_label(canvas, caption, (6, 0), (255, 255, 255)) if caption else canvas


class FrameWriter:
    """Context that takes frames one by one and writes a video (path ends in .mp4 or .avi) or a folder of 00000001.jpg, ... (any other path).

    `path` is what is really written: where no mp4 can be opened it is an .avi with motion JPEG, and a logged sentence says so. A video has its
    name once it is complete, also when the context ends with an error: the frames so far can be looked at.
    """

    def __init__(self, path: str | os.PathLike, fps: float = 25.0):
        self.path = Path(path)
        self.fps = fps if np.isfinite(fps) and fps > 0 else 25.0
        self.count = 0
        self._video, self._size, self._part = None, None, None
        if self.path.suffix.lower() not in _VIDEO_CODECS and self.path.is_file():
            raise FileExistsError(
                f"{self.path} is a file: name a folder for the frames, or a video ending in {' or '.join(_VIDEO_CODECS)}"
            )

    def write(self, frame: np.ndarray) -> None:
        """Add a frame (H, W, 3) uint8; all must have the size of the first. Raises ValueError if not, OSError if nothing can be written."""
        size = (frame.shape[1], frame.shape[0])
        if self._size not in (None, size):
            raise ValueError(
                f"frame {self.count + 1} for {self.path} is {size[0]}x{size[1]}, the ones before {self._size[0]}x{self._size[1]}"
            )
        self._size = size
        if self.path.suffix.lower() in _VIDEO_CODECS:
            self._video = self._video or self._open()
            self._video.write(frame)
        else:
            with atomic_write(self.path / f"{self.count + 1:08d}.jpg", "wb") as stream:
                stream.write(cv2.imencode(".jpg", frame)[1].tobytes())
        self.count += 1

    def __enter__(self) -> "FrameWriter":
        return self

    def __exit__(self, *error) -> None:
        if self._video is not None:
            self._video.release()
            self._video = None
            if not self._part.is_file() or self._part.stat().st_size == 0:
                raise OSError(f"cannot write {self.path}: the video stayed empty. Is the disk full?")
            with open(self._part, "rb") as video:
                os.fsync(video.fileno())
            os.replace(self._part, self.path)

    def _open(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        video = self._try_open()
        if video is None and self.path.suffix.lower() == ".mp4":
            logger.warning(
                "this OpenCV cannot write %s as mp4; writing %s (motion JPEG) instead",
                self.path,
                self.path.with_suffix(".avi"),
            )
            self.path = self.path.with_suffix(".avi")
            video = self._try_open()
        if video is None:
            raise OSError(
                f"cannot write the video {self.path}: no encoder, or no right to write there. Name a folder to get jpg frames instead"
            )
        return video

    def _try_open(self):
        suffix = self.path.suffix.lower()
        self._part = self.path.with_name(f".{self.path.stem}.part{suffix}")
        video = cv2.VideoWriter(str(self._part), cv2.VideoWriter_fourcc(*_VIDEO_CODECS[suffix]), self.fps, self._size)
        return video if video.isOpened() else None
