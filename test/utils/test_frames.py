import logging

import cv2
import numpy as np
import pytest

from pysot.utils.frames import open_frames
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


class Video:
    """Stub of OpenCV's VideoCapture whose frames have the given sizes."""

    def __init__(self, sizes):
        self.sizes = list(sizes)

    def isOpened(self):
        return True

    def read(self):
        return (True, np.zeros((*self.sizes.pop(0)[::-1], 3), np.uint8)) if self.sizes else (False, None)

    def get(self, property_id):
        return -1.0

    def release(self):
        pass


def test_video_whose_frames_change_their_size(tmp_path, monkeypatch):
    (tmp_path / "clip.mp4").write_bytes(b"x")
    monkeypatch.setattr(cv2, "VideoCapture", lambda path: Video([(80, 60), (60, 80)]))
    with pytest.raises(ValueError, match="clip.mp4: frames were 80x60 and are now 60x80"):
        list(open_frames(tmp_path / "clip.mp4").frames)
    monkeypatch.setattr(cv2, "VideoCapture", lambda path: Video([(80, 60), (160, 120)]))
    source = open_frames(tmp_path / "clip.mp4")
    assert [frame.shape for frame in source.frames] == [(60, 80, 3)] * 2 and source.count is None and source.fps == 25
