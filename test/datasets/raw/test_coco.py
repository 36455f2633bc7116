"""COCO: reading its annotation, and the scripts of training_dataset/coco."""

import json
import runpy
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from pysot.datasets.raw.coco import coco_splits, iter_coco
from pysot.datasets.raw.video import annotation_json

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared" / "data" / "coco"
SCRIPTS = ROOT / "training_dataset" / "coco"


def make_coco(root, split="train2017", images=3):
    """Write a textured image per number, and COCO annotations out of order, with a crowd box and a box of height 0."""
    rng = np.random.default_rng(0)
    (root / split).mkdir(parents=True)
    (root / "annotations").mkdir(exist_ok=True)
    for number in range(images):
        cv2.imwrite(
            str(root / split / f"{number:012d}.jpg"),
            cv2.resize(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8), (300, 200)),
        )
    annotations = [
        {"id": 9, "image_id": 1, "bbox": [10, 20, 30, 40], "iscrowd": 0},
        {"id": 8, "image_id": 0, "bbox": [5, 5, 50, 60.5]},
        {"id": 3, "image_id": 0, "bbox": [0, 0, 99, 99], "iscrowd": 1},
        {"id": 4, "image_id": 0, "bbox": [1, 2, 3, 4], "iscrowd": 0},
        {"id": 5, "image_id": 2, "bbox": [1, 2, 3, 0], "iscrowd": 0},
        {"id": 6, "image_id": 77, "bbox": [1, 2, 3, 4], "iscrowd": 0},
    ]
    content = {
        "images": [{"id": number, "file_name": f"{number:012d}.jpg"} for number in range(images)],
        "annotations": annotations,
    }
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return content


def rewrite(root, content):
    (root / "annotations" / "instances_train2017.json").write_text(
        content if isinstance(content, str) else json.dumps(content)
    )


def read(root):
    return list(iter_coco(root, "train2017", Counter()))


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "is empty"),
        ('{"images": [', "cut off"),
        ([], "must have the lists"),
        ({"images": []}, "must have the lists"),
        ({"images": [{"id": 1}], "annotations": []}, "file_name"),
        ({"images": [{"id": [], "file_name": "a.jpg"}], "annotations": []}, "file_name"),
        ({"images": [{"id": 1, "file_name": None}], "annotations": []}, "file_name"),
        ({"images": [], "annotations": [3]}, "image_id"),
        ({"images": [], "annotations": [{"image_id": {}}]}, "image_id"),
    ],
)
def test_bad_json(tmp_path, content, message):
    make_coco(tmp_path)
    rewrite(tmp_path, content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path)


def test_no_coco_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="instances_val2017.json and for .*instances_train2017.json"):
        coco_splits(tmp_path)
    with pytest.raises(FileNotFoundError, match="COCO train2017"):
        read(tmp_path)
    make_coco(tmp_path)
    assert coco_splits(tmp_path) == ["train2017"]


def test_boxes_names_and_tracks(tmp_path):
    make_coco(tmp_path)
    counts = Counter()
    videos = list(iter_coco(tmp_path, "train2017", counts))
    assert [video.name for video in videos] == ["train2017/000000000000", "train2017/000000000001"]
    frame = videos[0].frames[0]
    assert frame.image == tmp_path / "train2017" / "000000000000.jpg" and frame.number == 0
    assert frame.boxes == {"00": (5, 5, 55, 65.5), "02": (1, 2, 4, 6)}  # 01 is the crowd box
    assert +counts == {"crowd": 1, "degenerate": 1, "boxes without an image": 1}


@pytest.mark.parametrize("bbox", [None, [], [1, 2, 3], [1, 2, -3, 4], [1, 2, float("nan"), 4], ["a", 1, 2, 3], 7])
def test_degenerate_boxes_are_counted(tmp_path, bbox):
    content = make_coco(tmp_path)
    content["annotations"] = [{"id": 1, "image_id": 0, "bbox": bbox}, {"id": 2, "image_id": 0, "bbox": [1, 2, 3, 4]}]
    rewrite(tmp_path, content)
    counts = Counter()
    (video,) = iter_coco(tmp_path, "train2017", counts)
    assert list(video.frames[0].boxes) == ["01"] and counts["degenerate"] == 1


def test_repeated_image_is_one_video(tmp_path):
    content = make_coco(tmp_path)
    content["images"] += content["images"]
    rewrite(tmp_path, content)
    counts = Counter()
    assert len(list(iter_coco(tmp_path, "train2017", counts))) == 2 and counts["repeated images"] == 3


def run_script(name, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    monkeypatch.setattr(sys, "path", list(sys.path))
    runpy.run_path(str(SCRIPTS / name), run_name="__main__")


def test_scripts_make_what_training_reads(tmp_path, monkeypatch, capsys):
    raw, out = tmp_path / "raw", tmp_path / "out"
    make_coco(raw)
    make_coco(raw, "val2017")
    (raw / "train2017" / "000000000001.jpg").write_bytes(b"")
    run_script("gen_json.py", monkeypatch, "--root", raw, "--out", out)
    assert "no crops in" in capsys.readouterr().out
    run_script("par_crop.py", monkeypatch, "511", "1", "--root", raw, "--out", out)
    run_script("gen_json.py", monkeypatch, "--root", raw, "--out", out)
    printed = capsys.readouterr().out
    expected = (
        "2 images, 2 crops written, 0 already present, 1 images or boxes left out; "
        "not used: 1 boxes without an image, 1 crowd, 1 degenerate"
    )
    assert expected in printed
    crops = sorted(
        path.relative_to(out / "crop511").as_posix() for path in (out / "crop511" / "train2017").rglob("*.jpg")
    )
    assert crops == ["train2017/000000000000/000000.00.x.jpg", "train2017/000000000000/000000.02.x.jpg"]
    assert json.loads((out / "train2017.json").read_text()) == {
        "train2017/000000000000": {"00": {"000000": [5, 5, 55, 65.5]}, "02": {"000000": [1, 2, 4, 6]}}
    }
    assert len(json.loads((out / "val2017.json").read_text())) == 2


def test_scripts_say_what_is_wrong_in_a_sentence(tmp_path, monkeypatch, capsys):
    for name in ("par_crop.py", "gen_json.py"):
        with pytest.raises(SystemExit, match="2"):
            run_script(name, monkeypatch, "--root", tmp_path, "--out", tmp_path)
        assert "error: no COCO annotation" in capsys.readouterr().err


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data/coco")
@pytest.mark.parametrize("split, images, boxes, crowd", [("train2017", 150, 1311, 12), ("val2017", 24, 213, 3)])
def test_real_coco(split, images, boxes, crowd):
    counts = Counter()
    content = annotation_json(iter_coco(SHARED, split, counts), None, counts)
    assert len(content) == images and counts["boxes"] == boxes and counts["crowd"] == crowd
