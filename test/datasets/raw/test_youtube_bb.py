"""YouTube-BB: its csv and the extracted images."""

import json
import subprocess
import sys
from collections import Counter

import cv2
import numpy as np
import pytest

from helpers import ROOT
from pysot.datasets.raw.youtube_bb import iter_youtube, youtube_splits

ROWS = """AAA,0,5,dog,0,present,0.1,0.5,0.25,0.75
AAA,1000,5,dog,0,present,0.2,0.6,0.25,0.75
AAA,1000,5,dog,1,present,0.0,1.0,0.0,1.0
AAA,2000,5,dog,0,absent,-1,-1,-1,-1
AAA,3000,5,dog,0,uncertain,0.3,0.3,0.2,0.4
AAA,4000,5,dog,0,present,0.1,0.2,0.1,nan
AAA,5000,5,dog,0,present,0.1,0.2,0.1,0.2
-b_c,0,12,cat,0,present,0.5,1.0,0.5,1.0
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "yt_bb_detection_train.csv").write_text(ROWS)
    for name in (
        "5/AAA_0_5_0",
        "5/AAA_1000_5_0",
        "5/AAA_1000_5_1",
        "5/AAA_3000_5_0",
        "5/AAA_4000_5_0",
        "12/-b_c_0_12_0",
    ):
        path = tmp_path / "yt_bb_detection_train" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((100, 200, 3), 90, np.uint8))
    return tmp_path


def test_boxes_are_pixels(root):
    counts = Counter()
    first, second = iter_youtube(root, "train", counts)
    assert youtube_splits(root) == ["train"] and (first.name, second.name) == (
        "yt_bb_detection_train/5/AAA",
        "yt_bb_detection_train/12/-b_c",
    )
    assert [frame.number for frame in first.frames] == [0, 1]
    assert first.frames[1].boxes == {"00": pytest.approx((40, 25, 120, 75)), "01": (0, 0, 200, 100)}
    assert first.frames[0].boxes["00"] == pytest.approx((20, 25, 100, 75)) and second.frames[0].boxes["00"] == (
        100,
        50,
        200,
        100,
    )
    assert counts == {"absent": 1, "degenerate": 2, "without an image": 1}


@pytest.mark.parametrize(
    "line",
    [
        "AAA,0,5,dog,0,present,0.1",
        "AAA,now,5,dog,0,present,0.1,0.5,0.25,0.75",
        "AAA,0,5,dog,x,present,0.1,0.5,0.25,0.75",
        "a\x00b",
    ],
)
def test_malformed_rows_are_named(root, line, caplog):
    path = root / "yt_bb_detection_train.csv"
    path.write_text(line + "\n" + ROWS)
    counts = Counter()
    assert (
        len(list(iter_youtube(root, "train", counts))) == 2
        and counts["malformed rows"] == 1
        and "line 1" in caplog.text
    )


def test_unreadable_image(root, caplog):
    (root / "yt_bb_detection_train/12/-b_c_0_12_0.jpg").write_bytes(b"")
    counts = Counter()
    assert (
        len(list(iter_youtube(root, "train", counts))) == 1
        and counts["unreadable images"] == 1
        and "-b_c_0_12_0.jpg cannot be read" in caplog.text
    )


def test_wrong_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="yt_bb_detection_validation.csv and yt_bb_detection_train.csv"):
        youtube_splits(tmp_path)
    (tmp_path / "yt_bb_detection_train.csv").write_text(json.dumps({}))
    with pytest.raises(ValueError, match="no row of 10 columns"):
        list(iter_youtube(tmp_path, "train", Counter()))


def test_the_commands_of_the_folder(root):
    """par_crop.py, then gen_json.py, make the crops and the boxes in pixels that training reads."""
    scripts = ROOT / "training_dataset" / "yt_bb"
    for command in (["par_crop.py", "511", "1"], ["gen_json.py"]):
        where = ["--root", root, "--out", root / "out"]
        words = [sys.executable, scripts / command[0], *command[1:], *where]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
    boxes = json.loads((root / "out" / "train.json").read_text())
    assert boxes["yt_bb_detection_train/5/AAA"]["00"]["000000"] == pytest.approx([20, 25, 100, 75])
    assert (root / "out" / "crop511" / "yt_bb_detection_train" / "5" / "AAA" / "000001.01.x.jpg").is_file()
