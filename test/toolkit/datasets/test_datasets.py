import json
import logging

import cv2
import numpy as np
import pytest
from toolkit_data import make_raw_set, make_sequence, write_json_set

from pysot.toolkit.datasets import load_dataset, missing_frames
from pysot.toolkit.datasets.settings import EAO_TAGS, VOT_SETTINGS
from pysot.utils.image import image_size


def test_an_empty_folder_shows_the_expected_tree(tmp_path):
    with pytest.raises(FileNotFoundError, match="no data set VOT2018.*no list.txt(.|\n)*groundtruth.txt"):
        load_dataset("VOT2018", tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ('{"a": ', "cut off"),
        ("[]", "a non-empty object of videos, got list"),
        ("{}", "a non-empty object of videos"),
    ],
)
def test_broken_json(tmp_path, text, reason):
    (tmp_path / "VOT2018.json").write_text(text)
    with pytest.raises(ValueError, match=reason):
        load_dataset("VOT2018", tmp_path)


def test_all_problems_of_a_json_at_once(tmp_path):
    good = {"img_names": ["x/1.jpg"], "gt_rect": [[1, 2, 3, 4]], "width": 10, "height": 10}
    videos = {
        "keys": {"img_names": []},
        "length": {**good, "gt_rect": []},
        "numbers": {**good, "gt_rect": [[1, 2]]},
        "size": {**good, "width": -1},
        "type": {**good, "gt_rect": 5},
        "list": [],
        "fine": good,
        "images": {**good, "img_names": [7]},
    }
    videos["no_image"] = {key: good[key] for key in ("img_names", "gt_rect")}
    (tmp_path / "VOT2018.json").write_text(json.dumps(videos))
    with pytest.raises(ValueError, match="has 8 problems") as error:
        load_dataset("VOT2018", tmp_path)
    assert all(f"{name}" in str(error.value) for name in videos if name != "fine") and "fine" not in str(error.value)
    assert "images: img_names needs file names, got 7" in str(error.value)


def test_a_json_with_absolute_paths(tmp_path):
    """Absolute frame paths are used as they are; others are relative to the set's folder."""
    video = {"img_names": ["/data/x/1.jpg", "x/2.jpg"], "gt_rect": [[1, 2, 3, 4]] * 2, "width": 10, "height": 10}
    (tmp_path / "VOT2018.json").write_text(json.dumps({"x": video}))
    assert load_dataset("VOT2018", tmp_path).sequences[0].frame_paths == ["/data/x/1.jpg", str(tmp_path / "x/2.jpg")]


@pytest.mark.parametrize("location", [".", "VOT2016", "up"])
def test_json_is_found_around_the_folder(tmp_path, location):
    folder = {"VOT2016": tmp_path / "VOT2016"}.get(location, tmp_path)
    write_json_set(folder / "VOT2016.json", [make_sequence("a", tags={"occlusion": [1]}), make_sequence("b")])
    (tmp_path / "VOT2016" / "a").mkdir(parents=True)
    dataset = load_dataset("VOT2016", tmp_path / "VOT2016" if location == "up" else tmp_path)
    assert [sequence.name for sequence in dataset.sequences] == ["a", "b"]
    assert dataset.settings == VOT_SETTINGS["VOT2016"] and dataset.tags == EAO_TAGS
    assert dataset.sequences[0].frame_paths[0] == str(tmp_path / "VOT2016" / "a" / "00000001.jpg")
    assert dataset.sequences[0].tags["occlusion"].sum() == 1 and len(dataset.sequences[0]) == 20


def test_no_image_is_opened_when_the_json_has_sizes(tmp_path):
    write_json_set(tmp_path / "VOT2019.json", [make_sequence("a", width=321, height=123)])
    dataset = load_dataset("VOT2019", tmp_path)
    assert (dataset.sequences[0].width, dataset.sequences[0].height) == (321, 123)
    assert missing_frames(dataset) == [f"a: no {tmp_path / 'a' / '00000001.jpg'}"]


@pytest.mark.parametrize("inside", [True, False])
def test_raw_folder(tmp_path, caplog, inside):
    root = make_raw_set(tmp_path / "testing" / "TINY")
    with caplog.at_level(logging.WARNING):
        dataset = load_dataset("TINY", root if inside else root.parent)
    assert "TINY is not a known VOT set" in caplog.text and dataset.settings == VOT_SETTINGS["VOT2018"]
    slow, boxes = dataset.sequences
    assert (slow.width, slow.height, len(slow), len(slow.ground_truth[0])) == (200, 150, 12, 8)
    assert slow.tags["occlusion"].tolist() == [False, True, True] + [False] * 9 and slow.tags["camera_motion"].all()
    assert len(boxes) == 8 and boxes.ground_truth[3].tolist() == [33, 40, 25, 20] and boxes.tags == {}
    assert missing_frames(dataset) == []


def test_separators_and_line_ends_of_a_raw_folder(tmp_path):
    root = make_raw_set(tmp_path / "TINY")
    (root / "boxes" / "groundtruth.txt").write_bytes(
        b"".join(b"%d\t40 25;20\r\n" % (30 + i) for i in range(8)) + b"\r\n"
    )
    assert load_dataset("TINY", root).sequences[1].ground_truth[7].tolist() == [37, 40, 25, 20]


def test_all_problems_of_a_raw_folder_at_once(tmp_path):
    root = make_raw_set(tmp_path / "TINY")
    (root / "list.txt").write_text("slow\nboxes\ngone\nempty\nbare\n")
    (root / "empty").mkdir()
    (root / "bare").mkdir()
    (root / "bare" / "groundtruth.txt").write_text("1,2,3,4\n")
    (root / "slow" / "groundtruth.txt").write_text("1,2,3,4\n")
    (root / "boxes" / "groundtruth.txt").write_text("1,2,3,4\n1,2,x,4\n")
    with pytest.raises(ValueError, match="has 5 problems") as error:
        load_dataset("TINY", root)
    text = str(error.value)
    for part in (
        "slow has 12 frames and ground truth for 1",
        "line 2 needs numbers, got '1,2,x,4'",
        "gone: listed",
        "no groundtruth.txt",
        "bare: no frames",
    ):
        assert part in text
    assert "list.txt   " in text


def test_empty_list(tmp_path):
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(ValueError, match="list.txt is empty"):
        load_dataset("TINY", tmp_path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
@pytest.mark.parametrize("shape", [(37, 53), (37, 53, 3)])
def test_image_size_from_the_header(tmp_path, suffix, shape):
    path = tmp_path / f"image{suffix}"
    cv2.imwrite(str(path), np.zeros(shape, np.uint8))
    assert image_size(path) == (53, 37)


def test_image_size_does_not_decode(tmp_path, monkeypatch):
    monkeypatch.setattr("pysot.utils.image.decode_image", None)
    for name in ("a.jpg", "a.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((20, 30, 3), np.uint8))
        assert image_size(tmp_path / name) == (30, 20)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8", b"\xff\xd8\xff\xe0\x00", b"\x89PNG\r\n\x1a\n"])
def test_image_size_of_no_image(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match="a.jpg"):
        image_size(tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError, match="b.jpg"):
        image_size(tmp_path / "b.jpg")


def test_byte_order_marks_and_other_encodings(tmp_path):
    root = make_raw_set(tmp_path / "TINY")
    for path in (root / "list.txt", root / "boxes" / "groundtruth.txt"):
        path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert [sequence.name for sequence in load_dataset("TINY", tmp_path).sequences] == ["slow", "boxes"]
    (root / "list.txt").write_bytes("sl\xf6w\n".encode("latin-1"))
    with pytest.raises(ValueError, match="list.txt is not UTF-8"):
        load_dataset("TINY", tmp_path)


def test_json_with_a_video_dir_that_is_no_text(tmp_path):
    (tmp_path / "VOT2018.json").write_text('{"a": {"video_dir": 3, "img_names": [], "gt_rect": []}}')
    with pytest.raises(ValueError, match="VOT2018"):
        load_dataset("VOT2018", tmp_path)


@pytest.mark.parametrize("more", [{}, {"width": 50}])
def test_a_vot_json_without_sizes_and_frames_says_what_it_needs(tmp_path, more):
    video = {"video_dir": "v", "img_names": ["v/1.jpg"], "gt_rect": [[1, 2, 3, 4]], "occlusion": [], **more}
    (tmp_path / "VOT2018.json").write_text(json.dumps({"v": video}))
    with pytest.raises(
        ValueError,
        match="v: the size of its images is needed: give it the keys width and height, "
        "or put its first frame at .*v/1.jpg",
    ):
        load_dataset("VOT2018", tmp_path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../b", "..\\x", ""])
@pytest.mark.parametrize("dataset", ["OTB100", "VOT2018"])
def test_names_of_videos_that_are_paths_are_refused(tmp_path, dataset, name):
    """The error comes before anything is read or written under that name."""
    video = {
        "video_dir": "v",
        "img_names": ["v/1.jpg"],
        "gt_rect": [[1, 2, 3, 4]],
        "width": 9,
        "height": 9,
        "occlusion": [],
    }
    (tmp_path / f"{dataset}.json").write_text(json.dumps({name: video}))
    with pytest.raises(ValueError, match="is no name of a video"):
        load_dataset(dataset, tmp_path)
