"""Get the box from which a tracker starts, typed or drawn by a person."""

import os
import sys

import cv2
import numpy as np


def start_box(frame: np.ndarray, text: str | None) -> list[float]:
    """Return a box xywh on `frame`, from the text "x,y,w,h" or, without text, drawn in a window.

    Raises ValueError if the text is no box of positive size, if the box is entirely outside the frame, or if no window
    can be opened.
    """
    box = _parse_box(text) if text else _draw_box(frame)
    height, width = frame.shape[:2]
    if box[0] >= width or box[1] >= height or box[0] + box[2] <= 0 or box[1] + box[3] <= 0:
        raise ValueError(
            f"the box {box} lies outside the frame of {width}x{height}; give x,y,w,h in pixels of the first frame"
        )
    return box


def _parse_box(text: str) -> list[float]:
    try:
        box = [float(word) for word in text.split(",")]
    except ValueError:
        box = []
    if len(box) != 4 or not np.isfinite(box).all() or min(box[2:]) <= 0:
        raise ValueError(
            f"a start box is x,y,w,h with positive width and height, as in --init 120,80,60,90, got {text!r}"
        )
    return box


def _draw_box(frame: np.ndarray) -> list[float]:
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise ValueError("there is no display to draw the start box in: give it as --init x,y,w,h")
    try:
        box = cv2.selectROI("draw the object, then press Enter", frame, False, False)
        cv2.destroyAllWindows()
    except cv2.error:
        raise ValueError(
            "this OpenCV has no windows (opencv-python-headless): give the box as --init x,y,w,h, or install "
            "opencv-python"
        ) from None
    if min(box[2:]) <= 0:
        raise ValueError("no box was drawn")
    return [float(value) for value in box]
