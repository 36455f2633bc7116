import json

import numpy as np
import pytest

from pysot.datasets.annotation import find_data_path, index_annotation
from pysot.datasets.index import load_annotation

GOOD = {
    "b/clip": {"00": {"000002": [0, 0, 10, 20], "000000": [1, 2, 3, 5], "meta": "x"}, "meta": [1]},
    "a": {"01": {"000007": [30, 40]}, "02": {"000001": [5.5, 5, 6, 9]}},
    "note": "not a video",
}


def index(content):
    return index_annotation("SET", "root", content, source="train.json")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"v": {}},
        {"v": {"00": {}}},
        {"v": {"00": {"000000": []}}},
        {"v": {"00": {"000000": None}}},
        {"v": {"00": {"000000": [5, 5, 5, 9]}}},
        {"v": {"00": {"000000": [5, 5, 9, 5]}}},
        {"v": {"00": {"000000": [0, 4]}}},
    ],
)
def test_nothing_usable_is_an_error(content):
    with pytest.raises(ValueError, match="train.json has no usable box"):
        index(content)


def test_top_must_be_a_dict():
    with pytest.raises(ValueError, match="got a list at the top"):
        index([1])


@pytest.mark.parametrize("box", [[1, 2, 3], "abcd", 7, {"x": 1}, [1, 2, 3, "x"], [[1, 2], [3, 4]]])
def test_box_of_another_form_is_named(box):
    with pytest.raises(ValueError, match="v/00"):
        index({"v": {"00": {"000000": box}}})


def test_flat_arrays():
    data = index(GOOD)
    assert (data.video_count, data.track_count, len(data.boxes)) == (2, 3, 4)
    assert [data.track_range(v) for v in range(2)] == [(0, 1), (1, 3)]
    assert [data.box_range(t) for t in range(3)] == [(0, 2), (2, 3), (3, 4)]
    np.testing.assert_array_equal(data.frames, [0, 2, 7, 1])  # rising within a track, although the json has 2 before 0
    np.testing.assert_allclose(data.boxes, [[1, 2, 3, 5], [0, 0, 10, 20], [0, 0, 30, 40], [5.5, 5, 6, 9]])
    assert data.crop_path(0, 0, 1).as_posix() == "root/b/clip/000002.00.x.jpg"
    assert data.crop_path(1, 1, 2).as_posix() == "root/a/000007.01.x.jpg"
    assert data.boxes.dtype == np.float32 and data.frames.dtype == np.int32


def test_bad_boxes_are_dropped_and_counted():
    nan = float("nan")
    content = {
        "v": {
            "00": {
                "000000": [0, 0, 5, 5],
                "000001": [0, 0, 0, 5],
                "000002": [9, 0, 5, 5],
                "000003": [nan, 0, 5, 5],
                "000004": [],
                "000005": [-3, 4],
                "000006": [0, 0, float("inf"), 5],
            },
            "01": {"000000": [0, 0, -1, 5]},
        },
        "w": {"00": {"000000": [0, 0]}},
        "x": {},
    }
    data = index(content)
    assert data.dropped == {"boxes": 8, "excluded": 0, "tracks": 2, "videos": 2}
    assert (data.video_count, data.track_count, len(data.boxes)) == (1, 1, 1)


def test_names_beyond_ascii():
    data = index({"gr\u00fcn/\u4e2d": {"00": {"000000": [0, 0, 5, 5]}}, "a": {"0": {"0": [0, 0, 5, 5]}}})
    assert data.crop_path(0, 0, 0).as_posix() == "root/gr\u00fcn/\u4e2d/000000.00.x.jpg"


def write(folder, text):
    (folder / "crop511").mkdir(parents=True)
    (folder / "train.json").write_text(text)


def test_missing_and_cut_off_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="DATASET.SET.ANNO") as caught:
        load_annotation("SET", "data/crop511", "data/train.json")
    assert str(tmp_path / "data/train.json") in str(caught.value) and str(caught.value).count("data/train.json") == 2
    write(tmp_path / "data", json.dumps(GOOD)[:40])
    with pytest.raises(ValueError, match="cut off"):
        load_annotation("SET", "data/crop511", "data/train.json")
    (tmp_path / "data/crop511").rmdir()
    with pytest.raises(FileNotFoundError, match="DATASET.SET.ROOT"):
        load_annotation("SET", "data/crop511", "data/train.json")


def test_paths_of_the_config(tmp_path, monkeypatch):
    write(tmp_path / "data", json.dumps(GOOD))
    monkeypatch.chdir(tmp_path)
    assert load_annotation("SET", "data/crop511", "data/train.json").root == tmp_path / "data/crop511"
    monkeypatch.chdir("/")
    monkeypatch.setattr("pysot.utils.files.REPO_ROOT", tmp_path)
    assert find_data_path("data/train.json", "x") == tmp_path / "data/train.json"
    assert find_data_path(tmp_path / "data", "x") == tmp_path / "data"


def test_the_folder_that_ascend_has_between(tmp_path):
    folder = tmp_path / "training_dataset" / "vid" / "imagenet2015"
    (folder / "crop511").mkdir(parents=True)
    (folder / "train.json").write_text('{"a/v": {"00": {"000000": [1, 2, 3, 4]}}}')
    annotation = load_annotation("VID", "training_dataset/vid/crop511", "training_dataset/vid/train.json", tmp_path)
    assert annotation.root == folder / "crop511" and annotation.video_count == 1
    with pytest.raises(FileNotFoundError, match="DATASET.DET.ANNO: looked for .*training_dataset/det/train.json"):
        load_annotation("DET", "training_dataset/det/crop511", "training_dataset/det/train.json", tmp_path)
