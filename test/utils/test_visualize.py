import logging
import os
import types

import cv2
import numpy as np
import pytest

from pysot.utils.frames import open_frames
from pysot.utils.masks import Mask
from pysot.utils.visualize import (
    OUTLINE,
    PREDICTED,
    TARGETS,
    TRUTH,
    FrameWriter,
    annotate,
    annotate_targets,
    draw_label,
    draw_outline,
    draw_region,
)


def grey(height=80, width=100):
    return np.full((height, width, 3), 90, np.uint8)


@pytest.mark.parametrize("region", [[], [1, 2, 3], [1, 2, 3, 4, 5], [1] * 7])
def test_wrong_count_of_numbers(region):
    with pytest.raises(ValueError, match="4 numbers"):
        draw_region(grey(), region)


def test_region_that_is_not_finite_is_left_out():
    assert (draw_region(grey(), [1, np.nan, 3, 4]) == 90).all()


def test_box_and_polygon_are_drawn_in_their_colour():
    image = draw_region(grey(), [20, 30, 40, 20], PREDICTED)
    assert image[30, 40].tolist() == image[50, 40].tolist() == list(PREDICTED)
    assert (image[40, 40] == 90).all()
    image = draw_region(grey(), [20, 30, 60, 30, 60, 50, 20, 50], TRUTH)
    assert image[40, 20].tolist() == list(TRUTH)


@pytest.mark.parametrize("region", [[-1e9, -1e9, 2e9, 2e9], [1e30, 5, 10, 10], [-50, -50, 20, 20], [5, 5, 0, 0]])
def test_far_huge_and_empty_boxes_are_no_error(region):
    assert draw_region(grey(), region, label="0.93").shape == (80, 100, 3)


@pytest.mark.parametrize("at", [(-500, -500), (0, 0), (95, 79), (500, 500)])
def test_label_is_always_inside(at):
    assert (draw_label(grey(), "0.93", at) != 90).any()


def test_annotate_leaves_the_frame_alone():
    frame = grey()
    canvas = annotate(frame, [20, 30, 40, 20], [10, 20, 40, 20], 0.5, "bag 3")
    assert (frame == 90).all() and (canvas != 90).any() and (annotate(frame) == 90).all()


def test_targets_have_colours_and_failed_ones_are_left_out(monkeypatch):
    frame, labels = grey(300, 400), []
    monkeypatch.setattr("pysot.utils.visualize.draw_label", lambda image, text, *_: labels.append(text))
    boxes = np.array([[10 + 40 * index, 20, 30, 40] for index in range(9)], float)
    boxes[1] = np.nan
    names = ["", "b", "茶杯", *"456789"]
    canvas = annotate_targets(frame, names, boxes, np.linspace(0, 1, 9))
    assert (frame == 90).all() and len(set(TARGETS)) == 7
    colours = [tuple(canvas[40, 10 + 40 * index].tolist()) for index in range(9)]
    assert colours == [TARGETS[0], (90, 90, 90), *TARGETS[2:], *TARGETS[:2]]
    assert labels[:3] == ["0.00", "3 0.25", "4 0.38"]


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_video_can_be_read_again(tmp_path, suffix):
    with FrameWriter(tmp_path / "new" / f"clip{suffix}", fps=10) as writer:
        for index in range(6):
            writer.write(np.full((80, 100, 3), 40 * index, np.uint8))
    source = open_frames(writer.path)
    frames = list(source.frames)
    assert writer.count == len(frames) == source.count == 6 and source.fps == 10 and frames[0].shape == (80, 100, 3)
    assert abs(frames[5].astype(int) - 200).max() < 12
    assert [entry.name for entry in writer.path.parent.iterdir()] == [f"clip{suffix}"]


def test_folder_of_frames(tmp_path):
    with FrameWriter(tmp_path / "frames") as writer:
        writer.write(grey())
        writer.write(grey())
    assert sorted(entry.name for entry in writer.path.iterdir()) == ["00000001.jpg", "00000002.jpg"]
    assert cv2.imread(str(writer.path / "00000002.jpg")).shape == (80, 100, 3)


@pytest.mark.parametrize("name", ["clip.mp4", "frames"])
def test_another_size_is_refused_and_the_frames_before_are_kept(tmp_path, name):
    with pytest.raises(ValueError, match="frame 2 .*is 50x80, the ones before 100x80"):
        with FrameWriter(tmp_path / name) as writer:
            writer.write(grey())
            writer.write(grey(80, 50))
    assert len(list(open_frames(tmp_path / name).frames)) == 1


def test_where_mp4_cannot_be_opened_avi_is_written_and_said(tmp_path, monkeypatch, caplog):
    real = cv2.VideoWriter
    monkeypatch.setattr(cv2, "VideoWriter", lambda path, *args: real("" if path.endswith(".mp4") else path, *args))
    with caplog.at_level(logging.WARNING), FrameWriter(tmp_path / "clip.mp4") as writer:
        writer.write(grey())
    assert writer.path == tmp_path / "clip.avi" and writer.path.stat().st_size > 0 and "clip.avi" in caplog.text


def test_no_encoder_at_all(tmp_path, monkeypatch):
    real = cv2.VideoWriter
    monkeypatch.setattr(cv2, "VideoWriter", lambda path, *args: real("", *args))
    with pytest.raises(OSError, match="no encoder"), FrameWriter(tmp_path / "clip.mp4") as writer:
        writer.write(grey())


@pytest.mark.parametrize("size", [0, 100])
def test_a_video_that_is_incomplete_gets_no_name(tmp_path, size):
    """As with a full disk: the encoder does not say that it could not write."""
    writer = FrameWriter(tmp_path / "clip.mp4")
    with pytest.raises(OSError, match="the video is empty or incomplete. Is the disk full"), writer:
        writer.write(np.zeros((60, 80, 3), np.uint8))
        release = writer._video.release
        writer._video = types.SimpleNamespace(
            release=lambda: (release(), os.truncate(tmp_path / ".clip.part.mp4", size))
        )
    assert list(tmp_path.iterdir()) == []


def test_unusable_places(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileExistsError, match="is a file"):
        FrameWriter(tmp_path / "file")
    with pytest.raises(OSError), FrameWriter(tmp_path / "file" / "clip.mp4") as writer:
        writer.write(grey())
    with FrameWriter(tmp_path / "never.mp4", fps=float("nan")) as writer:
        assert writer.fps == 25
    assert not (tmp_path / "never.mp4").exists()


def test_masks_have_outlines_in_the_colours_of_their_targets():
    frame, boxes = grey(100, 200), np.array([[20.0, 20, 60, 60], [120.0, 20, 60, 60]])
    mask = Mask(130, 30, np.pad(np.ones((20, 30), bool), 2))
    canvas = annotate_targets(frame, ["a", "b"], boxes, np.ones(2), {1: mask})
    assert canvas[42, 132].tolist() == list(TARGETS[1]) and canvas[42, 147].tolist() == [90] * 3
    assert (canvas[25:75, 25:75] == 90).all() and (frame == 90).all()
    canvas = annotate(frame, [20, 20, 60, 60], mask=mask)
    assert canvas[42, 132].tolist() == list(OUTLINE)
    assert (draw_outline(grey(), Mask(0, 0, np.zeros((0, 3), bool))) == 90).all()
    assert (draw_outline(grey(), Mask(-900, 5, np.ones((3, 3), bool))) == 90).all()
