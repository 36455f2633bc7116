"""boxes.json and boxes.txt, written while tracking."""

import json
import os
import tracemalloc
from collections import Counter

import cv2
import numpy as np
import pytest

from pysot.datasets.raw.mot import MOT
from pysot.utils.box_files import BoxWriter

BOXES = np.array([[1, 2, 3, 4.125], [5, 6, 7, 8]])


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="cannot write .*boxes.json"):
        BoxWriter(tmp_path / "file", ["a"]).__enter__()
    with pytest.raises(OSError, match="cannot write .*boxes.txt"):
        with BoxWriter(tmp_path, ["a"]) as writer:
            writer.text_path.mkdir()
    with pytest.raises(ValueError), BoxWriter(tmp_path / "new", ["a"]) as writer:
        writer.write(0, BOXES, np.ones(2))
    assert json.loads(writer.json_path.read_text()) == []


def test_a_full_disk(tmp_path, monkeypatch):
    def open_full(handle, *args, **options):
        os.close(handle)
        return open("/dev/full", *args, **options)

    monkeypatch.setattr("pysot.utils.files.os.fdopen", open_full)
    with pytest.raises(OSError, match="cannot write .*boxes.json.*(No space|free space)"):
        with BoxWriter(tmp_path, ["a", "b"]) as writer:
            for frame in range(200):
                writer.write(frame, BOXES, np.ones(2))


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_files_are_complete_also_after_an_error(tmp_path, error):
    try:
        with BoxWriter(tmp_path / "out", ["cup", "茶杯"]) as writer:
            writer.write(0, BOXES, np.array([1, 0.25]))
            assert not writer.json_path.exists() and not writer.text_path.exists()
            writer.write(3, np.array([[np.nan] * 4, [-5, 6, 7, 8]]), np.array([np.nan, 0.5]))
            if error:
                raise error
    except (ValueError, KeyboardInterrupt):
        assert error
    assert names_in(tmp_path / "out") == ["boxes.json", "boxes.txt"]
    assert json.loads(writer.json_path.read_text(encoding="utf-8")) == [
        {"frame": 0, "target": "cup", "bbox": [1, 2, 3, 4.125], "score": 1},
        {"frame": 0, "target": "茶杯", "bbox": [5, 6, 7, 8], "score": 0.25},
        {"frame": 3, "target": "茶杯", "bbox": [-5, 6, 7, 8], "score": 0.5},
    ]
    assert writer.text_path.read_text().splitlines() == [
        "1,1,1.00,2.00,3.00,4.12,1.0000,-1,-1,-1",
        "1,2,5.00,6.00,7.00,8.00,0.2500,-1,-1,-1",
        "4,2,-5.00,6.00,7.00,8.00,0.5000,-1,-1,-1",
    ]


def test_one_target_without_a_name(tmp_path):
    with BoxWriter(tmp_path, [""]) as writer:
        writer.write(0, BOXES[1:], np.ones(1))
    assert json.loads(writer.json_path.read_text()) == [{"frame": 0, "bbox": [5, 6, 7, 8], "score": 1}]


def test_the_text_is_read_as_boxes_of_mot(tmp_path):
    """The reader of training data in the layout of the MOT challenge finds the same frames, targets and boxes."""
    sequence = tmp_path / "clip"
    with BoxWriter(sequence / "gt", ["cup", "bag"]) as writer:
        writer.write(0, BOXES, np.ones(2))
        writer.write(1, BOXES + 1, np.ones(2))
    writer.text_path.rename(sequence / "gt" / "gt.txt")
    (sequence / "img1").mkdir()
    for number in (1, 2):
        cv2.imwrite(str(sequence / "img1" / f"{number:06d}.jpg"), np.zeros((40, 40, 3), np.uint8))
    (video,) = MOT.videos(tmp_path, MOT.splits(tmp_path)[0], Counter())
    boxes = [frame.boxes for frame in video.frames]
    assert [sorted(frame) for frame in boxes] == [["01", "02"]] * 2
    np.testing.assert_allclose(boxes[1]["02"], [6, 7, 6 + 8, 7 + 9], atol=1.01)


def test_memory_does_not_grow(tmp_path):
    with BoxWriter(tmp_path, ["cup", "bag"]) as writer:
        writer.write(0, BOXES, np.ones(2))
        tracemalloc.start()
        for frame in range(1, 5000):
            writer.write(frame, BOXES, np.ones(2))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 200_000 < writer.json_path.stat().st_size and len(json.loads(writer.json_path.read_text())) == 10_000
