"""Matching boxes to images and images to videos.

Covers the order of images, numbers in names, repeated names, and exports of annotation tools.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers import ROOT
from pysot.datasets.raw.registry import RAW_SETS
from pysot.datasets.raw.video import SECOND_BOX, RawFrame, RawVideo, split_of
from pysot.datasets.raw.vot_export import export_vot
from pysot.toolkit.datasets import load_dataset
from pysot.utils.frames import open_frames
from pysot.utils.names import check_video_name, frame_numbers, list_images, natural_key

BOX = (10, 20, 40, 60)


def image(path, value=90, size=(100, 200)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), value, np.uint8))
    return path


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def read(name, root, counts=None):
    """Return {video: {image: {track: box}}} of all splits."""
    counts = Counter() if counts is None else counts
    return {
        video.name: {frame.image.relative_to(root).as_posix(): frame.boxes for frame in video.frames}
        for split in RAW_SETS[name].splits(root)
        for video in RAW_SETS[name].videos(root, split, counts)
    }


# Order of images, and numbers in their names

NAMES = [
    [f"frame_{number}.jpg" for number in range(1, 13)],
    [f"{number}.jpg" for number in range(9, 13)],
    [f"img{number:05d}.jpg" for number in range(300, 304)],
    [f"cam2_{number}_left.png" for number in (1, 2, 10)],
    ["a.jpg", "a1.jpg", "a2.jpg", "b.jpg"],
]


@pytest.mark.parametrize("names", NAMES, ids=lambda names: names[0])
def test_one_order_everywhere(tmp_path, names):
    """Training, evaluation and demo read a folder in the same order."""
    for value, name in enumerate(names):
        image(tmp_path / name, value=value)
    assert [path.name for path in list_images(tmp_path)] == names
    assert [round(float(frame.mean())) for frame in open_frames(tmp_path).frames] == list(range(len(names)))


@pytest.mark.parametrize(
    "names, numbers",
    [
        (["frame_1.jpg", "frame_11.jpg"], [1, 11]),
        (["cam2_1_left.png", "cam2_10_left.png"], [1, 10]),
        (["0001_v2.jpg", "0002_v2.jpg"], [1, 2]),
        (["a.jpg", "b1.jpg"], None),
        (["x1.jpg", "y1.jpg"], None),
        (["part1_2.jpg", "part2_3.jpg"], [2, 3]),
        (["clip7.jpg"], [7]),
        ([], None),
    ],
)
def test_numbers_of_frames(names, numbers):
    assert frame_numbers(names) == numbers
    assert sorted(names, key=natural_key) == names


def csv_set(root, names, lines, header="video,frame,track,x1,y1,x2,y2"):
    for name in names:
        image(root / name)
    text(root / "boxes.csv", "\n".join([header, *lines]))


def test_csv_frame_is_the_number_in_the_name(tmp_path):
    """The number is not the index: names have text before it, no leading zeros, an offset and a gap."""
    csv_set(
        tmp_path,
        [f"a/frame_{number}.jpg" for number in (1, 2, 3, 5, 11)],
        [f"a,{number},0,10,20,40,{60 + number}" for number in (1, 2, 5, 11, 4)],
    )
    counts = Counter()
    assert read("csv", tmp_path, counts) == {
        "a": {f"a/frame_{number}.jpg": {"00": (10, 20, 40, 60 + number)} for number in (1, 2, 5, 11)}
    }
    assert counts["without an image"] == 1


@pytest.mark.parametrize(
    "names, frames",
    [
        (  # a stray picture without a number
            ["boat/000001.jpg", "boat/000002.jpg", "boat/thumb.jpg"],
            {"1": "boat/000001.jpg", "2": "boat/000002.jpg"},
        ),
        (  # other numbers behind the frame number
            ["boat/001_s3.jpg", "boat/002_s1.jpg", "boat/003_s2.jpg"],
            {"1": "boat/001_s3.jpg", "2": "boat/002_s1.jpg"},
        ),
        (  # hashes behind the frame number
            ["boat/0001_a1b2.jpg", "boat/0002_c9d.jpg"],
            {"1": "boat/0001_a1b2.jpg", "2": "boat/0002_c9d.jpg"},
        ),
    ],
)
def test_csv_frames_beside_other_numbers(tmp_path, names, frames):
    csv_set(tmp_path, names, [f"boat,{frame},0,10,20,40,60" for frame in frames])
    assert read("csv", tmp_path) == {"boat": {name: {"00": BOX} for name in frames.values()}}


def test_csv_numbers_that_are_of_two_images_are_refused(tmp_path):
    csv_set(tmp_path, ["boat/000000.jpg", "boat/000000.png", "boat/000001.jpg"], ["boat,1,0,10,20,40,60"])
    with pytest.raises(ValueError, match="000000.jpg and 000000.png do not number the images"):
        read("csv", tmp_path)


@pytest.mark.parametrize(
    "video, folder", [("day2/boat1.mp4", "day2/boat1"), ("boat1.mp4", "boat1"), ("/data/boat1.MOV", "boat1")]
)
def test_csv_videos_in_folders(tmp_path, video, folder):
    csv_set(tmp_path, ["boat1/0.jpg", "day2/boat1/0.jpg", "boat/0.jpg"], [f"{video},0,0,10,20,40,60"])
    assert read("csv", tmp_path) == {folder: {f"{folder}/0.jpg": {"00": BOX}}}


def test_csv_videos_are_not_cut_at_a_dot(tmp_path):
    csv_set(tmp_path, ["boat/0.jpg"], ["boat.3,0,0,10,20,40,60"])
    counts = Counter()
    assert read("csv", tmp_path, counts) == {} and counts["without an image"] == 1


def test_csv_frame_is_the_place_where_names_have_no_numbers(tmp_path):
    csv_set(tmp_path, ["a/x.jpg", "a/y.jpg"], ["a,1,0,10,20,40,60"])
    assert read("csv", tmp_path) == {"a": {"a/y.jpg": {"00": BOX}}}


@pytest.mark.parametrize(
    "header, line",
    [
        ("video,frame,track,x1,y1,x2,y2", "boat1,0.0,0.0,10,20,40,60"),  # pandas
        ("video,frame,track,x1,y1,x2,y2", "boat1.mp4,0,0,10,20,40,60"),  # the file that the frames were taken from
        (",video,image,x,y,w,h", "0,boat1,boat1/000000.jpg,10,20,30,40"),  # with an index, and the folder in the image
        ("image,x,y,w,h", "boat1/000000.jpg,10,20,30,40"),
        ("image,x,y,w,h", "boat1\\000000.jpg,10,20,30,40"),
        ("video,image,x,y,w,h", "boat1,000000.jpg,10,20,30,40"),
    ],
)
def test_csv_as_people_write_it(tmp_path, header, line):
    csv_set(tmp_path, ["boat1/000000.jpg", "boat1/000001.jpg"], [line], header)
    assert read("csv", tmp_path) == {"boat1": {"boat1/000000.jpg": {"00": BOX}}}


@pytest.mark.parametrize(
    "line",
    [
        "a,1.5,0,10,20,40,60",
        "a,0,nan,10,20,40,60",
        "a,0,-1,10,20,40,60",
        "a,0,0.5,10,20,40,60",
        "a,,0,10,20,40,60",
        "a,0,0,10,20,\0,60",
    ],
)
def test_csv_lines_that_are_none_are_named(tmp_path, caplog, line):
    csv_set(tmp_path, ["a/0.jpg"], [line])
    counts = Counter()
    assert read("csv", tmp_path, counts) == {} and counts["malformed lines"] == 1 and "boxes.csv, line 2" in caplog.text


def test_second_boxes_of_a_track_in_a_frame(tmp_path, caplog):
    """The first box of a track in a frame stays, the others are counted.

    The cases are two objects in a csv without a track, repeated track ids in YOLO labels, and the same in MOT and COCO.
    """

    def check_first_box_stays(name, root):
        counts = Counter()
        (frames,) = read(name, root, counts).values()
        assert [list(boxes.values()) for boxes in frames.values()] == [[pytest.approx(BOX)]] and counts[SECOND_BOX] == 1

    csv_set(
        tmp_path / "csv",
        ["csv/a/0.jpg".removeprefix("csv/")],
        ["a,0,10,20,40,60", "a,0,50,20,80,60"],
        "video,frame,x1,y1,x2,y2",
    )
    check_first_box_stays("csv", tmp_path / "csv")
    assert "boxes.csv, line 3: track 00 of a already has a box in frame 0" in caplog.text
    image(tmp_path / "yolo/images/train/a/0.jpg")
    text(tmp_path / "yolo/labels/train/a/0.txt", "0 0.125 0.4 0.15 0.4 5\n0 0.5 0.4 0.1 0.4 5\n")
    check_first_box_stays("yolo", tmp_path / "yolo")
    assert "labels of" in caplog.text and "second box of track 5" in caplog.text
    image(tmp_path / "mot/a/img1/000001.jpg")
    text(tmp_path / "mot/a/gt/gt.txt", "1,3,10,20,30,40\n1,3,50,20,30,40\n")
    check_first_box_stays("mot", tmp_path / "mot")
    image(tmp_path / "coco/images/a/0.jpg")
    boxes = [{"image_id": 1, "bbox": [x, 20, 30, 40], "track_id": 3} for x in (10, 50)]
    text(tmp_path / "coco/x.json", json.dumps({"images": [{"id": 1, "file_name": "a/0.jpg"}], "annotations": boxes}))
    check_first_box_stays("coco_video", tmp_path / "coco")


@pytest.mark.parametrize(
    "named, expected", [("frame_{}.jpg", [1, 2]), ("{:06d}.jpg", [1, 2]), ("MOT_{}_x.png", [1, 2])]
)
def test_mot_with_other_image_names(tmp_path, named, expected):
    for number in expected:
        image(tmp_path / "a" / "img1" / named.format(number))
    text(tmp_path / "a/gt/gt.txt", "1,3,10,20,30,40\n2,3,11,20,30,40\n")
    found = read("mot", tmp_path)["a"]
    assert [box["03"][0] for box in found.values()] == [10, 11] and list(found) == [
        f"a/img1/{named.format(number)}" for number in expected
    ]


def test_mot_without_numbers_is_refused_with_the_place(tmp_path, caplog):
    for name in ("x.jpg", "y.jpg"):
        image(tmp_path / "a" / "img1" / name)
    text(tmp_path / "a/gt/gt.txt", "1,3,10,20,30,40\n")
    with pytest.raises(
        ValueError, match="none of the 1 chosen mot sequences .* \\(left out: 1 unreadable sequences\\)"
    ):
        read("mot", tmp_path)
    assert "images in" in caplog.text and "a/img1 have no numbers" in caplog.text


# Videos with the same name


def coco_images(*names, first=1):
    return {
        "images": [
            {"id": number, "file_name": name, "width": 200, "height": 100} for number, name in enumerate(names, first)
        ],
        "annotations": [
            {"image_id": number, "bbox": [10, 20, 30, 40], "track_id": 0} for number, _ in enumerate(names, first)
        ],
    }


def test_two_jsons_with_a_video_of_one_name(tmp_path):
    for number, subset in enumerate(("day", "night")):
        text(tmp_path / f"annotations/instances_{subset}.json", json.dumps(coco_images("clip/0.jpg")))
        image(tmp_path / "images" / subset / "clip/0.jpg", value=number)
    found = read("coco_video", tmp_path)
    assert found == {
        f"train/instances_{subset}/clip": {f"images/{subset}/clip/0.jpg": {"00": BOX}} for subset in ("day", "night")
    }


def test_roboflow_names_are_not_cut_at_their_first_dot(tmp_path):
    names = [f"boat_0001_jpg.rf.{letter}.jpg" for letter in "ab"]
    for name in names:
        image(tmp_path / "train" / name)
    text(tmp_path / "train/_annotations.coco.json", json.dumps(coco_images(*names)))
    assert read("coco", tmp_path) == {
        f"train/boat_0001_jpg.rf.{letter}": {f"train/boat_0001_jpg.rf.{letter}.jpg": {"00": BOX}} for letter in "ab"
    }


def test_folders_in_cocos_file_names(tmp_path):
    names = ["a/0001.jpg", "b/0001.jpg", "train2017/0002.jpg"]
    for name in names[:2]:
        image(tmp_path / "train2017" / name)
    image(tmp_path / "train2017/0002.jpg")
    text(tmp_path / "annotations/instances_train2017.json", json.dumps(coco_images(*names)))
    assert read("coco", tmp_path) == {
        f"train2017/{name.removeprefix('train2017/')[:-4]}": {
            f"train2017/{name.removeprefix('train2017/')}": {"00": BOX}
        }
        for name in names
    }


def sequence(root, folder, truth="groundtruth.txt", inside="img", frames=2):
    for number in range(1, frames + 1):
        image(root / folder / inside / f"{number:04d}.jpg")
    text(root / folder / truth, "10,20,30,40\n" * frames)


def test_sequences_of_one_name_in_folders_of_classes(tmp_path):
    for folder in ("cat/x-1", "dog/x-1", "dog/x-2"):
        sequence(tmp_path, folder)
    assert list(read("lasot", tmp_path)) == ["cat/x-1", "dog/x-1", "x-2"]


def test_trackingnet_parts_with_a_video_of_one_name(tmp_path):
    for part in ("TRAIN_0", "TRAIN_1"):
        image(tmp_path / part / "frames" / "v_0" / "0.jpg")
        text(tmp_path / part / "anno/v_0.txt", "10,20,30,40\n")
    found = read("trackingnet", tmp_path)
    assert found == {f"TRAIN_{number}/v_0": {f"TRAIN_{number}/frames/v_0/0.jpg": {"00": BOX}} for number in (0, 1)}


@pytest.mark.parametrize(
    "name, make",
    [
        (
            "yolo",
            lambda root: [
                (image(root / f"images/train/a.{kind}"), text(root / "labels/train/a.txt", "0 0.5 0.5 0.1 0.2\n"))
                for kind in ("jpg", "png")
            ],
        ),
        (
            "det",
            lambda root: [
                (
                    image(root / f"Data/DET/train/x/{folder}/a.JPEG"),
                    text(root / f"Annotations/DET/train/x/{folder}/a.xml", VOC_XML),
                )
                for folder in "pq"
            ],
        ),
    ],
)
def test_names_that_come_twice_are_an_error_that_names_both(tmp_path, name, make):
    make(tmp_path)
    with pytest.raises(ValueError, match="two videos are called .*: that of .* and that of .*; rename"):
        read(name, tmp_path)


def test_voc_images_of_one_stem(tmp_path):
    for kind in ("jpg", "png"):
        image(tmp_path / f"JPEGImages/a.{kind}")
    text(tmp_path / "Annotations/a.xml", VOC_XML)
    with pytest.raises(ValueError, match="a.jpg and .*a.png have the same name"):
        read("voc", tmp_path)


def test_vot_sets_of_videos_whose_names_become_one(tmp_path):
    frame = RawFrame(image(tmp_path / "0.jpg"), 0, {"00": BOX})
    with pytest.raises(ValueError, match="the videos a/b and a_b would both be called a_b"):
        export_vot([RawVideo("a/b", (frame,)), RawVideo("a_b", (frame,))], tmp_path / "out")


@pytest.mark.parametrize("name", ["", "/etc/x", "..", "a/../b", "./a", "a//b", "C:\\x", "..\\x", "a\0b", "a/"])
def test_names_that_are_none(name):
    with pytest.raises(ValueError, match="is no name of a video"):
        check_video_name(name)


@pytest.mark.parametrize("name", ["a", "a b", "12:30", "..a", "boat.1", "é"])
def test_names(name):
    check_video_name(name)
    check_video_name(f"class/{name}", folders=True)
    with pytest.raises(ValueError, match="have a slash"):
        check_video_name(f"class/{name}")


def test_a_csv_cannot_write_outside_of_its_folder(tmp_path):
    csv_set(tmp_path / "set", ["../evil/0.jpg"], ["../evil,0,0,10,20,40,60"])
    with pytest.raises(ValueError, match="'../evil' is no name of a video"):
        read("csv", tmp_path / "set")


# Exports of annotation tools

VOC_XML = (
    "<annotation><object><bndbox><xmin>10</xmin><ymin>20</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object>"
    "</annotation>"
)


@pytest.mark.parametrize("subset", ["default", "train", "Train", "Validation", "val", "test", "carnival", "my part"])
def test_cvat_coco_with_images(tmp_path, subset):
    """Images are images/<subset>/frame_000000.PNG; file_name in annotations/instances_<subset>.json has no subset."""
    for number in (0, 1):
        image(tmp_path / "images" / subset / f"frame_{number:06d}.PNG")
    content = {
        "images": [
            {"id": number + 1, "file_name": f"frame_{number:06d}.PNG", "width": 200, "height": 100} for number in (0, 1)
        ],
        "annotations": [
            {
                "id": number + 1,
                "image_id": number + 1,
                "bbox": [10, 20, 30, 40],
                "iscrowd": 0,
                "attributes": {"occluded": False, "track_id": 4, "keyframe": not number},
            }
            for number in (0, 1)
        ],
    }
    text(tmp_path / f"annotations/instances_{subset}.json", json.dumps(content))
    split = "val" if subset in ("Validation", "val", "test") else "train"
    assert read("coco_video", tmp_path) == {
        f"{split}/{subset}": {f"images/{subset}/frame_{number:06d}.PNG": {"04": BOX} for number in (0, 1)}
    }
    assert list(read("coco", tmp_path)) == [f"{subset}/frame_{number:06d}" for number in (0, 1)]


def test_images_are_taken_from_their_own_subset(tmp_path):
    """Both subsets have a frame_000000.PNG."""
    for number, subset in enumerate(("default", "train")):
        image(tmp_path / "images" / subset / "frame_000000.PNG", value=number)
        text(tmp_path / f"annotations/instances_{subset}.json", json.dumps(coco_images("frame_000000.PNG")))
    assert read("coco_video", tmp_path) == {
        f"train/{subset}": {f"images/{subset}/frame_000000.PNG": {"00": BOX}} for subset in ("default", "train")
    }


@pytest.mark.parametrize(
    "name, split",
    [
        ("instances_val2017", "val"),
        ("valid", "val"),
        ("Validation", "val"),
        ("carnival", "train"),
        ("interval_3", "train"),
        ("instances_default", "train"),
        ("trainval", "train"),
        ("_annotations.coco", "train"),
        ("test", "val"),
    ],
)
def test_splits_by_names(name, split):
    assert split_of(name) == split


def cvat_xml(source="boat.mp4", tracks="", images="", size=3):
    box = (
        '<box frame="{}" keyframe="1" outside="{}" occluded="0" xtl="10" ytl="20" xbr="40" ybr="60" z_order="0"></box>'
    )
    tracks = (
        tracks
        or f'<track id="7" label="boat" source="manual">{box.format(0, 0)}{box.format(1, 0)}{box.format(2, 1)}</track>'
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>'
        f"<meta><task><id>5</id><name>t</name><size>{size}</size>"
        f"<mode>interpolation</mode><source>{source}</source></task></meta>{tracks}{images}</annotations>"
    )


@pytest.mark.parametrize(
    "folder, named",
    [("images", "frame_{:06d}.PNG"), ("boat", "{:06d}.jpg"), (".", "frame_{:06d}.jpg"), ("images", "img_{}.jpg")],
)
def test_cvat_for_video(tmp_path, folder, named):
    """Images may be named by CVAT or extract_frames.py, or be those of the task, which start at another number."""
    first = 5 if named == "img_{}.jpg" else 0
    for number in range(3):
        image(tmp_path / folder / named.format(number + first))
    text(tmp_path / "annotations.xml", cvat_xml())
    counts = Counter()
    assert read("cvat", tmp_path, counts) == {
        "train/boat": {(Path(folder) / named.format(number + first)).as_posix(): {"07": BOX} for number in (0, 1)}
    }
    assert counts["outside"] == 1


def test_cvat_for_video_that_does_not_fit_its_images(tmp_path):
    for number in (5, 6):
        image(tmp_path / "images" / f"{number}.jpg")
    text(tmp_path / "annotations.xml", cvat_xml())
    with pytest.raises(ValueError, match="has 3 frames, .* has 2 images"):
        read("cvat", tmp_path)


def test_cvat_numbers_are_absolute(tmp_path):
    """Boxes and images named by CVAT share numbers in a job, and in a task with a start frame, step or deletions."""
    for number in range(10, 40, 5):
        image(tmp_path / f"images/frame_{number:06d}.PNG")
    box = '<box frame="{}" outside="0" xtl="10" ytl="20" xbr="40" ybr="60"/>'
    text(
        tmp_path / "annotations.xml",
        cvat_xml(tracks=f'<track id="0">{box.format(10)}{box.format(20)}</track>', size=20).replace("task>", "job>"),
    )
    assert list(read("cvat", tmp_path).values()) == [
        {f"images/frame_{number:06d}.PNG": {"00": BOX} for number in (10, 20)}
    ]


def test_cvat_project_of_image_tasks_is_refused(tmp_path):
    """Two tasks have images of the same names in one folder: CVAT renames some, so frames cannot be identified."""
    for name in ("0001", "0001_1", "0002", "0002_1"):
        image(tmp_path / f"images/{name}.jpg")
    text(tmp_path / "annotations.xml", cvat_xml(source="").replace("<size>3</size>", ""))
    with pytest.raises(ValueError, match="does not say how many frames it has, .* has 4 images"):
        read("cvat", tmp_path)


def test_cvat_videos_of_one_source_are_told_apart_by_their_folders(tmp_path):
    for folder in "pq":
        image(tmp_path / folder / "images/frame_000000.PNG")
        text(tmp_path / folder / "annotations.xml", cvat_xml())
    assert list(read("cvat", tmp_path)) == ["train/p/boat", "train/q/boat"]


def test_cvat_shapes_and_subsets(tmp_path):
    """A rotated box and a polygon become their bounds; a project has tasks and subsets; an image is a video."""
    image(tmp_path / "images/Validation/frame_000000.PNG")
    image(tmp_path / "images/a/x.png")
    rotated = '<box frame="0" outside="0" xtl="20" ytl="20" xbr="40" ybr="60" rotation="90.0"></box>'
    polygon, points = (
        '<polygon frame="0" outside="0" points="1.00,2.00;9.00,2.00;5.00,8.00"/>',
        '<points frame="0" outside="0" points="1,2"/>',
    )
    tracks = "".join(
        f'<track id="{number}" subset="Validation" task_id="5">{shape}</track>'
        for number, shape in enumerate((rotated, polygon, points))
    )
    shapes = (
        '<image id="0" name="a/x.png" width="200" height="100">'
        '<box label="b" xtl="10" ytl="20" xbr="40" ybr="60"/><tag label="t"/></image>'
    )
    text(tmp_path / "annotations.xml", cvat_xml(tracks=tracks, images=shapes))
    counts = Counter()
    found = read("cvat", tmp_path, counts)
    assert found["train/a/x"] == {"images/a/x.png": {"00": BOX}}
    assert counts["shapes other than boxes and polygons"] == 1
    assert found["val/boat"] == {
        "images/Validation/frame_000000.PNG": {"00": pytest.approx((10, 30, 50, 50)), "01": (1, 2, 9, 8)}
    }


@pytest.mark.parametrize(
    "content, reason",
    [("<annotation/>", "not an export of CVAT"), ("<annotations>", "not complete XML"), ("", "not complete XML")],
)
def test_xml_that_is_no_export(tmp_path, content, reason):
    text(tmp_path / "annotations.xml", content)
    with pytest.raises(ValueError, match=reason):
        read("cvat", tmp_path)


@pytest.mark.parametrize(
    "images, labels, name",
    [
        ("images/train", "labels/train", "train"),
        ("images/valid", "labels/valid", "valid"),
        ("train/images", "train/labels", "train"),
        ("valid/images", "valid/labels", "valid"),
        ("obj_train_data", "obj_train_data", "train"),
        ("obj_Validation_data", "obj_Validation_data", "Validation"),
        ("images", "labels", "train"),
    ],
)
def test_forms_of_yolo(tmp_path, images, labels, name):
    """Ultralytics, Roboflow, CVAT's YOLO 1.1 (labels beside images), and images and labels alone."""
    image(tmp_path / images / "a_jpg.rf.x.jpg")
    text(tmp_path / labels / "a_jpg.rf.x.txt", "0 0.125 0.4 0.15 0.4\n")
    text(tmp_path / "data.yaml", "train: ../train/images\n")
    assert read("yolo", tmp_path) == {f"{name}/a_jpg.rf.x": {f"{images}/a_jpg.rf.x.jpg": {"00": pytest.approx(BOX)}}}


def test_parts_of_yolo_are_kept_apart(tmp_path):
    for part in ("train", "valid", "test"):
        image(tmp_path / part / "images" / "a.jpg")
        text(tmp_path / part / "labels" / "a.txt", "0 0.05 0.2 0.2 0.2 0.2 0.6 0.05 0.6\n")  # a polygon
    found = read("yolo", tmp_path)
    assert list(found) == ["test/a", "valid/a", "train/a"] and found["train/a"]["train/images/a.jpg"][
        "00"
    ] == pytest.approx(BOX)


@pytest.mark.parametrize(
    "splits",
    [
        {"train1": "train", "train2": "train", "val": "val"},
        {"train2017": "train", "val2017": "val"},
        {"Train": "train", "Val": "val"},
        {"a": "train", "train": "train"},
    ],
    ids=lambda splits: "-".join(splits),
)
def test_no_part_of_yolo_is_lost(tmp_path, splits):
    for folder in splits:
        image(tmp_path / "images" / folder / "x.jpg")
        text(tmp_path / "labels" / folder / "x.txt", "0 0.125 0.4 0.15 0.4\n")
    found = {
        video.name: split
        for split in RAW_SETS["yolo"].splits(tmp_path)
        for video in RAW_SETS["yolo"].videos(tmp_path, split, Counter())
    }
    assert found == {f"{folder}/x": split for folder, split in splits.items()}


def test_yolo_images_beside_its_parts(tmp_path):
    for name in ("train/x", "y"):
        image(tmp_path / f"images/{name}.jpg")
        text(tmp_path / f"labels/{name}.txt", "0 0.125 0.4 0.15 0.4\n")
    assert sorted(read("yolo", tmp_path)) == ["train/x", "train/y"]


def test_frames_of_two_videos_in_one_folder_of_yolo(tmp_path):
    for name in ("v_frame1", "v_frame2", "w_frame1", "w_frame2"):
        image(tmp_path / f"images/{name}.jpg")
        text(tmp_path / f"labels/{name}.txt", "0 0.125 0.4 0.15 0.4 4\n")
    assert {name: list(frames) for name, frames in read("yolo", tmp_path).items()} == {
        f"train/{video}_frame": [f"images/{video}_frame{number}.jpg" for number in (1, 2)] for video in "vw"
    }


def test_coco_takes_no_other_image_of_the_same_name(tmp_path):
    image(tmp_path / "train2017/x.jpg")
    text(tmp_path / "annotations/instances_train2017.json", json.dumps(coco_images("b/x.jpg")))
    # The named image is missing, which is reported later.
    assert read("coco", tmp_path) == {"train2017/b/x": {"train2017/b/x.jpg": {"00": BOX}}}


def test_coco_video_ids_that_are_null(tmp_path):
    content = coco_images("a/0.jpg", "b/0.jpg")
    for entry in content["images"]:
        entry["video_id"] = None
        image(tmp_path / "images" / entry["file_name"])
    text(tmp_path / "x.json", json.dumps(content))
    assert list(read("coco_video", tmp_path)) == ["train/a", "train/b"]


@pytest.mark.parametrize("change", [{"track_id": "a"}, {"bbox": []}, {"track_id": 0.5}])
def test_odd_values_of_coco_video_are_named_with_their_file(tmp_path, change):
    content = coco_images("a/0.jpg")
    content["annotations"][0] |= change
    text(tmp_path / "x.json", json.dumps(content))
    with pytest.raises(ValueError, match="x.json is not a COCO video annotation: ValueError"):
        read("coco_video", tmp_path)


@pytest.mark.parametrize("flags", ["0\n1\n", "0\n" * 7, ""])
def test_flags_of_another_length_are_named(tmp_path, caplog, flags):
    sequence(tmp_path / "LaSOT", "cat/x-1", frames=5)
    text(tmp_path / "LaSOT/cat/x-1/full_occlusion.txt", flags)
    with pytest.raises(ValueError, match="none of the 1 chosen lasot sequences"):
        read("lasot", tmp_path / "LaSOT")
    assert "full_occlusion.txt" in caplog.text
    with pytest.raises(ValueError, match=r"full_occlusion.txt has \d flags for 5 frames"):
        load_dataset("LaSOT", tmp_path)


@pytest.mark.parametrize("stray", ["background.jpg", "0001.png"])
def test_images_that_are_no_frames_of_a_benchmark_are_named(tmp_path, stray):
    sequence(tmp_path / "mine", "dog", truth="groundtruth_rect.txt", frames=4)
    image(tmp_path / "mine/dog/img" / stray)
    with pytest.raises(
        ValueError, match="5 images for 4 lines of ground truth, and their names have no numbers that show which"
    ):
        load_dataset("mine", tmp_path)


def test_blank_lines_in_mot(tmp_path):
    image(tmp_path / "a/img1/000001.jpg")
    text(tmp_path / "a/gt/gt.txt", "1,3,10,20,30,40\n\n1,4,10,20,30,40\n")
    assert list(read("mot", tmp_path)["a"]["a/img1/000001.jpg"]) == ["03", "04"]


def test_no_message_names_an_option_that_the_tool_lacks(tmp_path):
    for name in RAW_SETS:
        done = subprocess.run(
            [sys.executable, ROOT / "tools" / "prepare_data.py", name, tmp_path, "--name", "x", "--dry-run"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == 2 and "--root" not in done.stderr and "above" not in done.stderr, (name, done.stderr)
