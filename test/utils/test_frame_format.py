"""Frames of other depths and sizes."""

import logging

import numpy as np
import pytest

from pysot.utils.frame_format import FrameFormat


@pytest.mark.parametrize(
    "frame",
    [
        None,
        np.zeros((4, 6), np.float32),
        np.zeros((0, 6, 3), np.uint8),
        np.zeros((0, 6), np.uint16),
        np.zeros((4, 6, 2), np.uint8),
        np.zeros((4, 6, 2), np.uint16),
        np.zeros(9, np.uint8),
    ],
)
def test_no_frame(frame):
    with pytest.raises(ValueError, match="camera 3: a frame is .*8-bit"):
        FrameFormat("camera 3").convert(frame)


def test_another_aspect_ratio():
    frames = FrameFormat("camera 3")
    frames.convert(np.zeros((60, 80, 3), np.uint8))
    with pytest.raises(ValueError, match="were 80x60 and are now 60x80, another aspect ratio"):
        frames.convert(np.zeros((80, 60, 3), np.uint8))


def test_another_size_is_scaled_and_said_once_per_change(caplog):
    frames = FrameFormat("camera 3")
    with caplog.at_level(logging.WARNING):
        for width, height in ((80, 60), (160, 120), (160, 120), (81, 61), (80, 60), (80, 60)):
            image = frames.convert(np.full((height, width, 3), 7, np.uint8))
            assert image.shape == (60, 80, 3) and (image == 7).all()
    assert [record.getMessage() for record in caplog.records] == [
        "camera 3: frames are now 160x120; they are scaled to 80x60",
        "camera 3: frames are now 81x61; they are scaled to 80x60",
        "camera 3: frames are now 80x60",
    ]


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1)])
def test_grey_frames(shape, caplog):
    frames = FrameFormat("camera 3")
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            image = frames.convert(np.full(shape, 9, np.uint8))
    assert image.shape == (4, 6, 3) and (image == 9).all() and caplog.text.count("grey") == 1


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_sixteen_bits(bits, caplog):
    frame = np.linspace(0, 2**bits - 1, 24).astype(np.uint16).reshape(4, 6)
    with caplog.at_level(logging.INFO):
        image = FrameFormat("camera 3").convert(frame)
    assert image.dtype == np.uint8 and image.min() == 0 and image.max() == 255 and f"of which {bits} are" in caplog.text


def test_brighter_frames_use_more_bits_from_then_on():
    frames = FrameFormat("camera 3")
    values = (1023, 4095, 1023)
    assert [frames.convert(np.full((4, 6), value, np.uint16))[0, 0, 0] for value in values] == [255, 255, 63]


def test_colour_is_left_alone_and_alpha_dropped(caplog):
    frame = np.random.default_rng(0).integers(0, 256, (4, 6, 4), np.uint8)
    with caplog.at_level(logging.INFO):
        assert (FrameFormat("camera 3").convert(frame) == frame[:, :, :3]).all()
    assert not caplog.records
