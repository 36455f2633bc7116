"""Get the boxes from which targets are tracked, typed or drawn by a person.

Boxes come as a dict from the names of the targets to xywh in pixels. A single target without a name has the name "".
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from pysot.utils.window import needs_display


def parse_boxes(texts: Sequence[str]) -> dict[str, list[float]]:
    """Return the boxes in texts "x,y,w,h" or "name=x,y,w,h". Without a name a target has its number, from 1.

    Raises ValueError if a text is no box of positive size, or if a name is empty, comes twice or cannot be printed.
    """
    boxes: dict[str, list[float]] = {}
    for number, text in enumerate(texts, 1):
        given, equals, numbers = text.rpartition("=")
        name = given.strip()
        if equals and not name:
            raise ValueError(f"the name before = is empty in --init {text}; give --init name=x,y,w,h or --init x,y,w,h")
        if not name.isprintable():
            raise ValueError(f"the name in --init {text!r} has characters that cannot be printed; give another name")
        name = name or ("" if len(texts) == 1 else str(number))
        if name in boxes:
            raise ValueError(
                f"two targets have the name {name}; give each --init another name, as in --init cup=1,2,3,4"
            )
        boxes[name] = _parse_box(numbers)
    return boxes


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


def check_boxes(boxes: Mapping[str, Sequence[float]], frame: np.ndarray) -> None:
    """Raise ValueError if a box is entirely outside the frame (H, W[, C])."""
    height, width = frame.shape[:2]
    for name, box in boxes.items():
        if box[0] >= width or box[1] >= height or box[0] + box[2] <= 0 or box[1] + box[3] <= 0:
            of_target = f" of {name}" if name else ""
            raise ValueError(
                f"the box {list(box)}{of_target} lies outside the frame of {width}x{height}; give x,y,w,h in pixels of "
                "the first frame"
            )


def draw_boxes(frame: np.ndarray) -> dict[str, list[float]]:
    """Let a person draw boxes in a window: Enter takes a box, Esc ends.

    Raises ValueError if no window can be opened, or no box was drawn.
    """
    with needs_display("draw the start boxes", "give each box as --init x,y,w,h"):
        drawn = cv2.selectROIs("draw each object and press Enter; Esc when all are drawn", frame, False, False)
        cv2.destroyAllWindows()
    boxes = [[float(value) for value in box] for box in drawn if min(box[2:]) > 0]
    if not boxes:
        raise ValueError("no box was drawn; draw a box with the mouse, press Enter, and Esc at the end")
    return {"" if len(boxes) == 1 else str(number): box for number, box in enumerate(boxes, 1)}
