"""Windows of OpenCV: where they are possible, and one that shows frames."""

import contextlib
import os
import sys
from collections.abc import Iterator
from types import TracebackType

import cv2
import numpy as np

_END_KEYS = (ord("q"), ord("Q"), 27)  # 27 is Esc


@contextlib.contextmanager
def needs_display(what: str, remedy: str) -> Iterator[None]:
    """Raise ValueError with `what` a display is needed for and the remedy, if no window can be opened."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise ValueError(f"there is no display to {what}: {remedy}")
    try:
        yield
    except cv2.error:
        raise ValueError(
            f"this OpenCV has no windows to {what} (opencv-python-headless): {remedy}, or install opencv-python"
        ) from None


class FrameWindow:
    """Context of a window that shows frames until a person closes it or presses q or Esc."""

    def __init__(self, title: str) -> None:
        self._title = title

    def __enter__(self) -> "FrameWindow":
        """Open the window. Raises ValueError where no window can be opened."""
        with needs_display("show frames", "leave out --show"):
            cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        return self

    def show(self, frame: np.ndarray) -> bool:
        """Show a frame (H, W, 3) uint8; return whether the person wants to go on."""
        cv2.imshow(self._title, frame)
        key = cv2.waitKey(1) & 0xFF
        return key not in _END_KEYS and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(cv2.error):  # the person has closed it
            cv2.destroyWindow(self._title)
