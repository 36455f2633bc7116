"""Start boxes, typed or drawn."""

import cv2
import numpy as np
import pytest

from pysot.utils.start_box import check_boxes, draw_boxes, parse_boxes

FRAME = np.zeros((80, 100, 3), np.uint8)


@pytest.mark.parametrize("name", ["", "cup="])
@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "1,2,0,4", "1,2,3,-4", "1,nan,3,4", "1,2,inf,4", "1 2 3 4", ""])
def test_text_that_is_no_box(name, text):
    with pytest.raises(ValueError, match="--init 120,80,60,90"):
        parse_boxes([name + text])


@pytest.mark.parametrize("texts", [("a=1,2,3,4", "a=5,6,7,8"), ("2=1,2,3,4", "5,6,7,8"), ("a=1,2,3,4", " a =5,6,7,8")])
def test_doubled_names(texts):
    with pytest.raises(ValueError, match="two targets have the name [a2]; .*another name"):
        parse_boxes(texts)


@pytest.mark.parametrize("name", ["a\nb", "\udcff"])
def test_names_that_cannot_be_printed(name):
    with pytest.raises(ValueError, match="cannot be printed; give another name"):
        parse_boxes([f"{name}=1,2,3,4"])


@pytest.mark.parametrize("text", ["=1,2,3,4", "  =1,2,3,4"])
def test_empty_name(text):
    with pytest.raises(ValueError, match="name before = is empty"):
        parse_boxes([text])


@pytest.mark.parametrize("text", ["100,5,10,10", "5,80,10,10", "-10,5,10,10", "cup=5,-20,10,10"])
def test_box_outside_the_frame(text):
    boxes = parse_boxes([text])
    with pytest.raises(ValueError, match="outside the frame of 100x80"):
        check_boxes(boxes, FRAME)
    if "cup" in text:
        with pytest.raises(ValueError, match="of cup lies"):
            check_boxes(boxes, FRAME)


def test_boxes_and_names():
    assert parse_boxes([]) == {}
    assert parse_boxes(["1.5, 2,30,40"]) == {"": [1.5, 2, 30, 40]}
    assert parse_boxes(["cup=-9,5,10,10"]) == {"cup": [-9, 5, 10, 10]}
    assert list(parse_boxes(["1,2,3,4", "a=b=1,2,3,4", "5,6,7,8"])) == ["1", "a=b", "3"]
    check_boxes(parse_boxes(["-9,5,10,10", "99,79,10,10"]), FRAME)


def test_drawing_without_display_or_windows(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="no display.*--init"):
        draw_boxes(FRAME)
    monkeypatch.setenv("DISPLAY", ":0")

    def no_windows(*_):
        raise cv2.error("not implemented")

    monkeypatch.setattr(cv2, "selectROIs", no_windows)
    with pytest.raises(ValueError, match="no windows.*--init"):
        draw_boxes(FRAME)


@pytest.mark.parametrize("drawn", [(), np.array([[5, 6, 0, 0]])])
def test_nothing_drawn(monkeypatch, drawn):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: None)
    monkeypatch.setattr(cv2, "selectROIs", lambda *_: drawn)
    with pytest.raises(ValueError, match="no box was drawn"):
        draw_boxes(FRAME)


def test_drawn_boxes(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: None)
    monkeypatch.setattr(cv2, "selectROIs", lambda *_: np.array([[5, 6, 7, 8]]))
    assert draw_boxes(FRAME) == {"": [5, 6, 7, 8]}
    monkeypatch.setattr(cv2, "selectROIs", lambda *_: np.array([[5, 6, 7, 8], [1, 2, 3, 4]]))
    assert draw_boxes(FRAME) == {"1": [5, 6, 7, 8], "2": [1, 2, 3, 4]}
