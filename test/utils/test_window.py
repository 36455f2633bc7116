"""A window of frames, with stubs of OpenCV's windows."""

import cv2
import numpy as np
import pytest

from pysot.utils.window import FrameWindow

FRAME = np.zeros((8, 10, 3), np.uint8)


@pytest.fixture
def windows(monkeypatch):
    """Stub of the windows; `key` is pressed, `visible` says whether they are."""
    state = {"key": 255, "visible": 1.0, "shown": 0, "open": False}
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: state.update(open=True))
    monkeypatch.setattr(cv2, "destroyWindow", lambda *_: state.update(open=False))
    monkeypatch.setattr(cv2, "imshow", lambda *_: state.update(shown=state["shown"] + 1))
    monkeypatch.setattr(cv2, "waitKey", lambda *_: state["key"])
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: state["visible"])
    return state


def test_no_display_or_no_windows(monkeypatch, windows):
    def no_windows(*_):
        raise cv2.error("not implemented")

    monkeypatch.setattr(cv2, "namedWindow", no_windows)
    with pytest.raises(ValueError, match="no windows .*leave out --show, or install opencv-python"):
        FrameWindow("clip").__enter__()
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ValueError, match="no display to show frames: leave out --show"):
        FrameWindow("clip").__enter__()


def test_window_until_q_escape_or_closed(windows):
    with FrameWindow("clip") as window:
        assert window.show(FRAME) and windows["open"]
        for key in (ord("q"), 27, 27 + 256):
            windows["key"] = key
            assert not window.show(FRAME)
        windows.update(key=-1, visible=0.0)
        assert not window.show(FRAME)
    assert windows["shown"] == 5 and not windows["open"]
