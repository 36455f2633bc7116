"""Draw boxes on frames, and write frames as a video or a folder of images, without a display."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import ArrayLike

from pysot.utils.files import atomic_write
from pysot.utils.masks import Mask

logger = logging.getLogger(__name__)

# BGR, distinguishable with any colour vision (the palette of Okabe and Ito).
TRUTH = (115, 158, 0)
PREDICTED = (0, 94, 213)
OUTLINE = (66, 228, 240)
TARGETS = (PREDICTED, (233, 180, 86), OUTLINE, TRUTH, (167, 121, 204), (0, 159, 230), (178, 114, 0))
_VIDEO_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}


def draw_region(
    image: np.ndarray, region: ArrayLike, colour: Sequence[int] = PREDICTED, label: str = "", thickness: int = 2
) -> np.ndarray:
    """Draw a region (4 numbers xywh or 2K of a polygon, K > 2) with a label on `image` (H, W, 3) uint8, in place.

    Returns the image. A region with non-finite numbers is not drawn. Raises ValueError for other counts of numbers.
    """
    region = np.asarray(region, np.float64).reshape(-1)
    if region.size != 4 and (region.size < 6 or region.size % 2):
        raise ValueError(f"a region has 4 numbers (x, y, w, h) or 6, 8, ... of a polygon, got {region.size}")
    if not np.isfinite(region).all():
        return image
    if region.size == 4:
        x, y, w, h = region
        region = np.array([x, y, x + w, y, x + w, y + h, x, y + h])
    limit = 4 * max(image.shape[:2])
    points = np.clip(np.round(region.reshape(-1, 2)), -limit, limit).astype(np.int32)
    cv2.polylines(image, [points.reshape(-1, 1, 2)], True, colour, thickness, cv2.LINE_AA)
    if label:
        left, top = points.min(axis=0)
        draw_label(image, label, (int(left), int(top) - 4), colour)
    return image


def draw_outline(image: np.ndarray, mask: Mask, colour: Sequence[int] = OUTLINE, thickness: int = 2) -> np.ndarray:
    """Draw the outer contours of a mask on `image` (H, W, 3) uint8, in place. Returns the image."""
    cv2.polylines(image, mask.outline(), True, colour, thickness, cv2.LINE_AA)
    return image


def draw_label(
    image: np.ndarray, text: str, position: tuple[int, int], colour: Sequence[int] = PREDICTED
) -> np.ndarray:
    """Write `text` on `image`, in place, with its lower left corner at `position` (x, y), moved into the image.

    A dark edge makes it readable on any background. Returns the image.
    """
    scale = max(0.4, min(image.shape[:2]) / 800)
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x = min(max(position[0], 0), max(0, image.shape[1] - width))
    y = min(max(position[1], height), image.shape[0] - base)
    # OpenCV 5 spaces thick letters wider, so the edge is the same letters, shifted.
    edge = [((x + right, y + down), (0, 0, 0)) for right in (-1, 1) for down in (-1, 1)]
    for place, text_colour in (*edge, ((x, y), colour)):
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, text_colour, 1, cv2.LINE_AA)
    return image


def annotate(
    image: np.ndarray,
    region: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    confidence: float | None = None,
    caption: str = "",
    mask: Mask | None = None,
) -> np.ndarray:
    """Return a copy of `image` with a tracker's region, confidence and mask, the ground truth, and a caption.

    The caption is in the upper left corner.
    """
    canvas = image.copy()
    if truth is not None:
        draw_region(canvas, truth, TRUTH)
    if mask is not None:
        draw_outline(canvas, mask)
    if region is not None:
        draw_region(canvas, region, PREDICTED, "" if confidence is None else f"{confidence:.2f}")
    return draw_label(canvas, caption, (6, 0), (255, 255, 255)) if caption else canvas


def annotate_targets(
    image: np.ndarray,
    names: Sequence[str],
    boxes_xywh: np.ndarray,
    confidences: np.ndarray,
    masks: Mapping[int, Mask] | None = None,
) -> np.ndarray:
    """Return a copy of `image` with N targets: boxes (N, 4), names, confidences (N,), and the outlines of masks.

    Boxes with NaN are left out. Masks are by position of the target.

    Each target has a colour by its position; after seven they repeat. A name that OpenCV cannot write (not ASCII) is
    replaced by the number of the target, from 1.
    """
    canvas, masks = image.copy(), masks or {}
    for index, (name, box, confidence) in enumerate(zip(names, boxes_xywh, confidences, strict=True)):
        label = f"{name if name.isascii() else index + 1} {confidence:.2f}".strip()
        colour = TARGETS[index % len(TARGETS)]
        if index in masks:
            draw_outline(canvas, masks[index], colour)
        draw_region(canvas, box, colour, label, thickness=1 if index in masks else 2)
    return canvas


class FrameWriter:
    """Context that writes frames to a video (a path ending in .mp4 or .avi) or to a folder of 00000001.jpg, ...

    `path` is the path that is written: if no mp4 can be opened, it becomes an .avi with motion JPEG, which is logged. A
    video gets its name when it is complete, also if the context ends with an error: the frames so far can be viewed.
    """

    def __init__(self, path: str | os.PathLike, fps: float = 25.0) -> None:
        self.path = Path(path)
        self.fps = fps if np.isfinite(fps) and fps > 0 else 25.0
        self.count = 0
        self._video: cv2.VideoWriter | None = None
        self._temporary: Path | None = None  # the video until it is complete
        self._size: tuple[int, int] | None = None  # width, height
        if self.path.suffix.lower() not in _VIDEO_CODECS and self.path.is_file():
            raise FileExistsError(
                f"{self.path} is a file: name a folder for the frames, or a video ending in "
                f"{' or '.join(_VIDEO_CODECS)}"
            )

    def write(self, frame: np.ndarray) -> None:
        """Add a frame (H, W, 3) uint8.

        Raises ValueError if its size is not that of the first frame, OSError if it cannot be written.
        """
        size = (frame.shape[1], frame.shape[0])
        if self._size is not None and self._size != size:
            raise ValueError(
                f"frame {self.count + 1} for {self.path} is {size[0]}x{size[1]}, the ones before "
                f"{self._size[0]}x{self._size[1]}"
            )
        self._size = size
        if self.path.suffix.lower() in _VIDEO_CODECS:
            if self._video is None:
                self._video = self._open(size)
            self._video.write(frame)
        else:
            with atomic_write(self.path / f"{self.count + 1:08d}.jpg", "wb") as stream:
                stream.write(cv2.imencode(".jpg", frame)[1].tobytes())
        self.count += 1

    def __enter__(self) -> "FrameWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._video is not None:
            assert self._temporary is not None
            self._video.release()
            self._video = None
            if not cv2.VideoCapture(str(self._temporary)).isOpened():
                self._temporary.unlink(missing_ok=True)
                raise OSError(f"cannot write {self.path}: the video is empty or incomplete. Is the disk full?")
            with open(self._temporary, "rb") as video:
                os.fsync(video.fileno())
            os.replace(self._temporary, self.path)

    def _open(self, size: tuple[int, int]) -> cv2.VideoWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        video = self._try_open(size)
        if video is None and self.path.suffix.lower() == ".mp4":
            logger.warning(
                "this OpenCV cannot write %s as mp4; writing %s (motion JPEG) instead",
                self.path,
                self.path.with_suffix(".avi"),
            )
            self.path = self.path.with_suffix(".avi")
            video = self._try_open(size)
        if video is None:
            raise OSError(
                f"cannot write the video {self.path}: no encoder, or no permission to write there. Name a folder to "
                "get jpg frames instead"
            )
        return video

    def _try_open(self, size: tuple[int, int]) -> cv2.VideoWriter | None:
        suffix = self.path.suffix.lower()
        self._temporary = self.path.with_name(f".{self.path.stem}.part{suffix}")
        codec = cv2.VideoWriter_fourcc(*_VIDEO_CODECS[suffix])  # type: ignore[attr-defined]
        video = cv2.VideoWriter(str(self._temporary), codec, self.fps, size)
        return video if video.isOpened() else None
