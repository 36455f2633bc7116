"""Layouts of users' own data, each as a small exact tree with two frames or images."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import prepare_data
import pytest
import yaml

import _cli
from pysot.datasets.raw.registry import RAW_SETS
from pysot.datasets.raw.sequences import SequenceSet, single_track, xywh_to_xyxy
from pysot.datasets.raw.video import RawFrame, RawSet, RawVideo


def image(path: Path, width: int = 200, height: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def lasot(root):
    for number in (1, 2, 3):
        image(root / "boat" / "boat-1" / "img" / f"{number:08d}.jpg")
    text(root / "boat/boat-1/groundtruth.txt", "10,20,30,40\n11,20,30,40\n12,20,30,40\n")
    text(root / "boat/boat-1/full_occlusion.txt", "0,1,0\n")
    text(root / "boat/boat-1/out_of_view.txt", "0,0,0\n")
    return {"boat-1": {0: {"00": (10, 20, 40, 60)}, 2: {"00": (12, 20, 42, 60)}}}, {"absent": 1}


def trackingnet(root):
    for number in (0, 1):
        image(root / "TRAIN_0" / "frames" / "v_1" / f"{number}.jpg")
    text(root / "TRAIN_0/anno/v_1.txt", "10,20,30,40\n11,20,0,40\n")
    return {"v_1": {0: {"00": (10, 20, 40, 60)}}}, {"degenerate": 1}


def mot(root):
    for number in (1, 2):
        image(root / "MOT17-02" / "img1" / f"{number:06d}.jpg")
    text(
        root / "MOT17-02/gt/gt.txt",
        "1,7,10,20,30,40,1,1,0.9\n2,7,11,20,30,40,1,1,0.9\n2,120,1,2,3,4,1,1,1\n2,3,1,2,3,4,0,7,1\n9,7,1,2,3,4,1,1,1\n",
    )
    return {"MOT17-02": {1: {"07": (10, 20, 40, 60)}, 2: {"07": (11, 20, 41, 60), "120": (1, 2, 4, 6)}}}, {
        "not considered": 1,
        "without an image": 1,
    }


def yolo(root):
    image(root / "images" / "train" / "a.jpg")
    image(root / "images" / "train" / "nothing.jpg")
    text(
        root / "labels/train/a.txt",
        "0 0.5 0.5 0.1 0.2\n3 0.25 0.5 0.5 1.0 0.93\n1 0.5 0.5 0 0.2\n1 50 50 10 20\n1 2 3\n",
    )
    for number in (0, 1):
        image(root / "images" / "train" / "clip" / f"{number}.png")
        text(root / f"labels/train/clip/{number}.txt", f"0 0.5 0.5 0.{1 + number} 0.2 4\n")
    return {
        "train/a": {0: {"00": (90, 40, 110, 60), "01": (0, 0, 100, 100)}},
        "train/clip": {0: {"04": (90, 40, 110, 60)}, 1: {"04": (80, 40, 120, 60)}},
    }, {"degenerate": 2, "malformed lines": 1, "without a label file": 1}


def voc(root):
    image(root / "JPEGImages" / "x.jpg")
    text(
        root / "Annotations/x.xml",
        "<annotation><object><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>"
        "</annotation>",
    )
    text(root / "Annotations/y.xml", "<annotation/>")
    return {"train/x": {0: {"00": (1, 2, 30, 40)}}}, {"without an image": 1}


def coco_video(root):
    """As CVAT exports it: the track is among the attributes, the video is the folder."""
    for number in (0, 1):
        image(root / "images" / "clip" / f"frame_{number:06d}.png")
    images = [{"id": number + 1, "file_name": f"clip/frame_{number:06d}.png"} for number in (0, 1)]
    boxes = [
        {"image_id": 1, "bbox": [10, 20, 30, 40], "attributes": {"track_id": 5}},
        {"image_id": 2, "bbox": [11, 20, 30, 40], "track_id": 5},
        {"image_id": 2, "bbox": [1, 2, 3, 4]},
        {"image_id": 2, "bbox": [1, 2, 0, 4], "track_id": 1},
    ]
    text(root / "annotations/instances_default.json", json.dumps({"images": images, "annotations": boxes}))
    return {"train/clip": {0: {"05": (10, 20, 40, 60)}, 1: {"05": (11, 20, 41, 60)}}}, {
        "without a track": 1,
        "degenerate": 1,
    }


def youtube_vis(root):
    for number in (0, 5):
        image(root / "train" / "JPEGImages" / "c0" / f"{number:05d}.jpg")
    content = {
        "videos": [{"id": 1, "file_names": ["c0/00000.jpg", "c0/00005.jpg"]}],
        "annotations": [{"id": 3, "video_id": 1, "bboxes": [[10, 20, 30, 40], None]}],
    }
    text(root / "train.json", json.dumps(content))
    return {"train/c0": {0: {"03": (10, 20, 40, 60)}}}, {}


def csv(root):
    for number in (1, 2):
        image(root / "my boat.é" / f"{number:04d}.jpg")
    text(
        root / "boxes.csv",
        "video,frame,track,x1,y1,x2,y2\nmy boat.é,1,0,10,20,40,60\nmy boat.é,0002,0,11,20,41,60\n"
        "my boat.é,2,1,5,5,4,9\n"
        "my boat.é,2,one,5,5,9,9\nmy boat.é,7,0,5,5,9,9\n",
    )
    return {"my boat.é": {0: {"00": (10, 20, 40, 60)}, 1: {"00": (11, 20, 41, 60)}}}, {
        "degenerate": 1,
        "malformed lines": 1,
        "without an image": 1,
    }


def csv_sizes(root):
    for name in ("a.jpg", "b.jpg"):
        image(root / name)
    text(root / "boxes.csv", "\ufeffimage, X, Y, W, H\nb.jpg,10,20,30,40\na.jpg,11,20,30,40\n")
    return {root.name: {0: {"00": (11, 20, 41, 60)}, 1: {"00": (10, 20, 40, 60)}}}, {}


@pytest.mark.parametrize(
    "make",
    [lasot, trackingnet, mot, yolo, voc, coco_video, youtube_vis, csv, csv_sizes],
    ids=lambda make: make.__name__,
)
def test_layout(tmp_path, make):
    expected, left_out = make(tmp_path)
    layout, counts = (
        RAW_SETS[{"youtube_vis": "coco_video", "csv_sizes": "csv"}.get(make.__name__, make.__name__)],
        Counter(),
    )
    (split,) = layout.splits(tmp_path)
    videos = list(layout.videos(tmp_path, split, counts))
    assert {
        video.name: {
            frame.number: {track: pytest.approx(box) for track, box in frame.boxes.items()} for frame in video.frames
        }
        for video in videos
    } == expected
    assert +counts == left_out and all(frame.image.is_file() for video in videos for frame in video.frames)


@pytest.mark.parametrize("name", [name for name in RAW_SETS])
def test_an_empty_folder_says_what_is_expected(tmp_path, name):
    with pytest.raises((ValueError, FileNotFoundError), match=f"{tmp_path}"):
        for split in RAW_SETS[name].splits(tmp_path):
            list(RAW_SETS[name].videos(tmp_path, split, Counter()))


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "video,x1,y1,x2,y2\nv,1,2,3,4\n"])
def test_csv_header(tmp_path, content):
    text(tmp_path / "boxes.csv", content)
    with pytest.raises(ValueError, match="the first line must name the columns video, frame or image"):
        list(RAW_SETS["csv"].videos(tmp_path, "train", Counter()))


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        '{"annotations": 3}',
        '{"annotations": [{"image_id": 1}], "images": []}',
        '{"annotations": [], "images": [{"id": 1}]}',
    ],
)
def test_json_of_another_layout(tmp_path, content):
    text(tmp_path / "x.json", content)
    with pytest.raises(ValueError, match=r"x.json .*export it again"):
        list(RAW_SETS["coco_video"].videos(tmp_path, "train", Counter()))


def test_names_choose_videos(tmp_path):
    yolo(tmp_path)
    counts = Counter()
    assert [video.name for video in RAW_SETS["yolo"].videos(tmp_path, "train", counts, only=["clip"])] == ["train/clip"]
    assert [video.name for video in RAW_SETS["yolo"].videos(tmp_path, "train", counts, excluded=["clip", "dog"])] == [
        "train/a"
    ]
    assert counts["names that no train video has (dog)"] == 1


def test_videos_of_one_folder_name_are_kept_apart(tmp_path):
    for video in (1, 2):
        image(tmp_path / str(video) / "images" / "0.jpg")
    images = [{"id": video, "video_id": video, "file_name": f"{video}/images/0.jpg"} for video in (1, 2)]
    boxes = [{"image_id": video, "bbox": [10, 20, 30, 40], "track_id": 0} for video in (1, 2)]
    text(tmp_path / "x.json", json.dumps({"images": images, "annotations": boxes}))
    assert [video.name for video in RAW_SETS["coco_video"].videos(tmp_path, "train", Counter())] == [
        "train/1",
        "train/2",
    ]


def _two_images(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    for path in sorted(root.glob("*.png")):
        yield RawVideo(f"{split}/{path.stem}", (RawFrame(path, 0, {"00": (10, 20, 40, 60)}),))
    counts["text files"] += len(list(root.glob("*.txt")))


ROWS = [np.array([10.0, 20, 30, 40]), np.array([11.0, 20, 30, 40])]
OWN = [
    RawSet("own", lambda root: ["val", "train"], _two_images, "*.png", frame_range=7),
    SequenceSet(
        "own",
        lambda root: [root],
        lambda folder, counts: single_track(sorted(folder.glob("*.png")), ROWS, xywh_to_xyxy, counts),
        "*.png",
        frame_range=7,
    ),
]


@pytest.mark.parametrize("own", OWN, ids=lambda own: type(own).__name__)
def test_a_layout_that_is_registered_is_prepared(tmp_path, own, monkeypatch, capsys):
    """A new layout needs one record only: crops, the json of each split and dataset.yaml are made from it."""
    for name in ("a.png", "b.png"):
        image(tmp_path / "my data" / name)
    text(tmp_path / "my data" / "notes.txt", "")
    monkeypatch.setitem(RAW_SETS, "own", own)
    monkeypatch.setattr(
        sys,
        "argv",
        ["prepare_data.py", "own", str(tmp_path / "my data"), "--out", str(tmp_path / "out"), "--procs", "1"],
    )
    monkeypatch.setattr(_cli, "setup_logging", lambda quiet: None)  # it would outlast this test
    prepare_data.main()
    single = isinstance(own, RawSet)
    for split in own.splits(tmp_path):
        content = json.loads((tmp_path / "out" / f"{split}.json").read_text())
        boxes = {f"{split}/{stem}": {"00": {"000000": [10, 20, 40, 60]}} for stem in "ab"}
        track = {"00": {"000000": [10, 20, 40, 60], "000001": [11, 20, 41, 60]}}
        assert content == (boxes if single else {"my data": track})
        crops = [f"{video}/{frame}.00.x.jpg" for video, tracks in content.items() for frame in tracks["00"]]
        assert all((tmp_path / "out" / "crop511" / crop).is_file() for crop in crops)
    assert yaml.safe_load((tmp_path / "out" / "dataset.yaml").read_text())["FRAME_RANGE"] == 7
    assert ("1 text files" in capsys.readouterr().out) == single
    videos = RAW_SETS["own"].videos(tmp_path / "my data", "train", Counter(), only=["b" if single else "my data"])
    assert len(list(videos)) == 1
