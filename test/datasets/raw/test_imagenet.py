"""DET and VID trees in the layout of ILSVRC: plain folders, and the short links that the original expects."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers import copy_of_repository
from pysot.datasets.raw.imagenet import imagenet_splits, iter_det, iter_vid, read_xml


def write_xml(path: Path, objects, name: str = "x") -> None:
    """Write an annotation and, in Data, its image. Objects are (box, track or None)."""
    image = Path(str(path).replace("Annotations", "Data")).with_suffix(".JPEG")
    for file in (path, image):
        file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(f"{image}.jpg", np.full((120, 160, 3), 90, np.uint8))
    Path(f"{image}.jpg").rename(image)
    parts = "".join(
        f"<object>{'' if track is None else f'<trackid>{track}</trackid>'}<name>n1</name>"
        f"<bndbox><xmax>{box[2]}</xmax><xmin>{box[0]}</xmin><ymax>{box[3]}</ymax><ymin>{box[1]}</ymin></bndbox>"
        "<occluded>0</occluded></object>"
        for box, track in objects
    )
    path.write_text(
        f"<annotation><folder>f</folder><filename>{path.stem}</filename>"
        "<size><width>160</width><height>120</height></size>"
        f"{parts}</annotation>"
    )


BOX = (10, 20, 60, 80)


@pytest.fixture
def det(tmp_path):
    base = tmp_path / "ILSVRC" / "Annotations" / "DET"
    write_xml(
        base / "train" / "ILSVRC2013_train" / "n01" / "n01_1.xml",
        [(BOX, None), ((5, 5, 5, 9), None), ((1, 2, 30, 40), None)],
    )
    write_xml(base / "train" / "ILSVRC2014_train_0000" / "t_1.v2.xml", [(BOX, None)])
    write_xml(base / "val" / "v_1.xml", [(BOX, None)])
    return tmp_path


@pytest.fixture
def vid(tmp_path):
    """Track 0 is visible in frames 0, 1, 3 and 5; track 3 in frames 1 and 2."""
    base = tmp_path / "ILSVRC2015" / "Annotations" / "VID"
    shown = [[0], [0, 3], [3], [0], [], [0]]
    for number, tracks in enumerate(shown):
        write_xml(
            base / "train" / "ILSVRC2015_VID_train_0000" / "clip1" / f"{number:06d}.xml",
            [((10 + number, 20, 60, 80), track) for track in tracks],
        )
    write_xml(base / "val" / "clip9" / "000000.xml", [(BOX, 0)])
    return tmp_path


def link(root: Path, task: str, folder: str, letters: dict[str, str]) -> None:
    for kind in ("Annotations", "Data"):
        for letter, target in letters.items():
            (root / folder / kind / task / "train" / letter).symlink_to(
                (root / folder / kind / task / target).absolute()
            )


def names(videos):
    return [video.name for video in videos]


def test_det_plain_folders(det):
    counts = Counter()
    videos = list(iter_det(det, "train", counts))
    assert imagenet_splits(det, "DET") == ["val", "train"]
    assert names(videos) == ["ILSVRC2013_train/n01_1", "ILSVRC2014_train_0000/t_1.v2"]
    assert videos[0].frames[0].boxes == {"00": BOX, "02": (1, 2, 30, 40)} and counts == {"degenerate": 1}
    assert videos[0].frames[0].image.is_file() and videos[1].frames[0].image.is_file()
    assert names(iter_det(det, "val", Counter())) == ["val/v_1"]


def test_det_short_links(det):
    link(det, "DET", "ILSVRC", {"a": "train/ILSVRC2013_train", "i": "val"})
    assert names(iter_det(det, "train", Counter())) == ["ILSVRC2014_train_0000/t_1.v2", "a/n01_1"]
    assert names(iter_det(det, "val", Counter())) == ["i/v_1"]


def test_vid_segments_are_tracks(vid):
    counts = Counter()
    (video,) = iter_vid(vid, "train", counts)
    seen = {
        track: [frame.number for frame in video.frames if track in frame.boxes] for track in ("00", "03", "04", "05")
    }
    assert seen == {"00": [0, 1], "03": [1, 2], "04": [3], "05": [5]} and counts["further segments"] == 2
    assert video.name == "ILSVRC2015_VID_train_0000/clip1" and video.frames[2].boxes["03"] == (12, 20, 60, 80)
    link(vid, "VID", "ILSVRC2015", {"a": "train/ILSVRC2015_VID_train_0000", "e": "val"})
    assert names(iter_vid(vid, "train", Counter())) == ["a/clip1"] and names(iter_vid(vid, "val", Counter())) == [
        "e/clip9"
    ]


def test_many_tracks(tmp_path):
    base = tmp_path / "Annotations" / "VID" / "train" / "p"
    write_xml(base / "clip" / "000000.xml", [((track, 20, track + 9, 80), track) for track in range(130)])
    (video,) = iter_vid(tmp_path, "train", Counter())
    assert len(video.frames[0].boxes) == 130 and video.frames[0].boxes["129"] == (129, 20, 138, 80)


@pytest.mark.parametrize(
    "text", ["", "<annotation><object>", "\x00\x01", "<?xml version='1.0' encoding='nonsense'?><a/>"]
)
def test_bad_xml_is_named_and_left_out(vid, text, caplog):
    path = vid / "ILSVRC2015/Annotations/VID/train/ILSVRC2015_VID_train_0000/clip1/000001.xml"
    path.write_text(text)
    counts = Counter()
    (video,) = iter_vid(vid, "train", counts)
    assert (
        counts["unreadable xml"] == 1
        and "000001.xml is not complete XML" in caplog.text
        and [frame.number for frame in video.frames] == [0, 2, 3, 5]
    )


def test_odd_objects_are_counted(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(
        "<annotation><object/><object><bndbox><xmin>1</xmin></bndbox></object>"
        "<object><bndbox><xmin>nan</xmin><ymin>1</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object>"
        "<object><trackid>-1</trackid>"
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object>"
        "</annotation>"
    )
    counts = Counter()
    assert read_xml(path, counts) == [] and counts == {"without a box": 2, "degenerate": 1, "without a track number": 1}


def test_a_loop_of_links_ends(det):
    part = det / "ILSVRC/Annotations/DET/train/ILSVRC2013_train"
    (part / "n01" / "again").symlink_to(part.absolute())
    assert names(iter_det(det, "train", Counter())).count("ILSVRC2013_train/n01_1") == 1


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no ILSVRC DET.*Annotations/DET.*name the folder"):
        imagenet_splits(tmp_path, "DET")


@pytest.mark.parametrize("task", ["det", "vid"])
def test_scripts(request, task, tmp_path_factory):
    """The commands of the original run in their folder."""
    raw = request.getfixturevalue(task)
    folder = copy_of_repository(tmp_path_factory.mktemp("copy")) / "training_dataset" / task
    name = "ILSVRC" if task == "det" else "ILSVRC2015"
    (folder / name).symlink_to(raw / name)
    for command in (["par_crop.py", "511", "2"], ["gen_json.py"]):
        done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
    train, val = (json.loads((folder / f"{split}.json").read_text()) for split in ("train", "val"))
    assert not set(train) & set(val) and val
    crops = {
        f"{video}/{frame}.{track}.x.jpg"
        for content in (train, val)
        for video, tracks in content.items()
        for track, frames in tracks.items()
        for frame in frames
    }
    assert crops == {path.relative_to(folder / "crop511").as_posix() for path in (folder / "crop511").rglob("*.jpg")}
