import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from pysot.utils.frames import open_frames
from pysot.utils.start_box import start_box
from pysot.utils.visualize import FrameWriter


def save(path, value=90, size=(80, 100)):
    cv2.imwrite(str(path), np.full((*size, 3), value, np.uint8))


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no video or folder .*nowhere"):
        open_frames(tmp_path / "nowhere")


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="has no images"):
        open_frames(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no video", b"\x00" * 5000])
def test_no_video(tmp_path, content):
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(ValueError, match="clip.mp4 is not a video"):
        open_frames(tmp_path / "clip.mp4")


def test_camera_that_is_not_there(monkeypatch):
    opened = []

    class Camera:
        def __init__(self, index):
            opened.append(index)

        def isOpened(self):
            return False

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    for source, index in (("", 0), (3, 3), ("2", 2)):
        with pytest.raises(ValueError, match=f"no camera {index}"):
            open_frames(source)
    assert opened == [0, 3, 2]


def test_folder_in_the_order_of_its_numbers(tmp_path):
    for number in (10, 9, 1):
        save(tmp_path / f"{number}.png", number)
    (tmp_path / "notes.txt").write_text("x")
    source = open_frames(tmp_path)
    assert source.count == 3 and [frame[0, 0, 0] for frame in source.frames] == [1, 9, 10]


def test_folder_with_another_size_or_a_damaged_image(tmp_path):
    save(tmp_path / "1.png")
    save(tmp_path / "2.png", size=(80, 99))
    with pytest.raises(ValueError, match="2.png is 99x80, the ones before are 100x80"):
        list(open_frames(tmp_path).frames)
    (tmp_path / "2.png").write_bytes(b"")
    with pytest.raises(ValueError, match="2.png is an empty file"):
        list(open_frames(tmp_path).frames)


def test_one_image(tmp_path):
    save(tmp_path / "1.jpg")
    assert len(list(open_frames(tmp_path).frames)) == 1


def test_video_that_is_cut_off_is_said(tmp_path, caplog):
    with FrameWriter(tmp_path / "clip.avi") as writer:
        for _ in range(40):
            writer.write(np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8))
    data = writer.path.read_bytes()
    writer.path.write_bytes(data[: len(data) // 2])
    source = open_frames(writer.path)
    with caplog.at_level(logging.WARNING):
        read = len(list(source.frames))
    assert 0 < read < 40
    assert source.count in (None, read) or "may be cut off" in caplog.text


FRAME = np.zeros((80, 100, 3), np.uint8)


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "1,2,0,4", "1,2,3,-4", "1,nan,3,4", "1,2,inf,4", "1 2 3 4"])
def test_start_box_that_is_no_box(text):
    with pytest.raises(ValueError, match="--init 120,80,60,90"):
        start_box(FRAME, text)


@pytest.mark.parametrize("text", ["100,5,10,10", "5,80,10,10", "-10,5,10,10", "5,-20,10,10"])
def test_start_box_outside_the_frame(text):
    with pytest.raises(ValueError, match="outside the frame of 100x80"):
        start_box(FRAME, text)


def test_start_box():
    assert start_box(FRAME, "1.5, 2,30,40") == [1.5, 2, 30, 40]
    assert start_box(FRAME, "-9,5,10,10") == [-9, 5, 10, 10]


def test_start_box_without_display_or_windows(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="no display.*--init"):
        start_box(FRAME, None)
    monkeypatch.setenv("DISPLAY", ":0")

    def no_windows(*_):
        raise cv2.error("not implemented")

    monkeypatch.setattr(cv2, "selectROI", no_windows)
    with pytest.raises(ValueError, match="no windows.*--init"):
        start_box(FRAME, None)


def test_start_box_drawn(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: None)
    monkeypatch.setattr(cv2, "selectROI", lambda *_: (5, 6, 7, 8))
    assert start_box(FRAME, None) == [5, 6, 7, 8]
    monkeypatch.setattr(cv2, "selectROI", lambda *_: (0, 0, 0, 0))
    with pytest.raises(ValueError, match="no box was drawn"):
        start_box(FRAME, None)


def test_a_folder_whose_name_is_a_number_is_no_camera(tmp_path, monkeypatch):
    (tmp_path / "0001").mkdir()
    save(tmp_path / "0001" / "1.jpg")
    monkeypatch.chdir(tmp_path)
    assert open_frames("0001").count == 1


class Stream:
    """Stub of OpenCV's VideoCapture; it opens if the source is `good`."""

    def __init__(self, source, frames=3):
        self.source = source
        self.remaining = frames

    def isOpened(self):
        return "good" in str(self.source) or "/dev" in str(self.source)

    def read(self):
        self.remaining -= 1
        return self.remaining >= 0, np.full((4, 4, 3), 7, np.uint8) if self.remaining >= 0 else None

    def get(self, property_id):
        return 30.0

    def release(self):
        pass


@pytest.mark.parametrize(
    "source, name",
    [
        ("rtsp://good:554/live.sdp", "good_554_live_sdp"),
        ("http://good/a.m3u8", "good_a_m3u8"),
        ("/dev/null", "null"),
        ("RTSP://good/live", "good_live"),
        (Path("rtsp://good/live"), "good_live"),
    ],
)
def test_streams_and_cameras_by_path(monkeypatch, source, name):
    monkeypatch.setattr(cv2, "VideoCapture", Stream)
    opened = open_frames(source)
    assert opened.name == name and opened.count is None and opened.fps == 30 and len(list(opened.frames)) == 3


@pytest.mark.parametrize("source", ["rtsp://nobody/live", "http://nobody/x.mp4"])
def test_a_stream_that_cannot_be_opened_says_so(monkeypatch, source):
    monkeypatch.setattr(cv2, "VideoCapture", Stream)
    with pytest.raises(ValueError, match=f"no stream {source} can be opened; check its address"):
        open_frames(source)
