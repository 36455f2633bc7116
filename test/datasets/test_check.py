"""Problems of a training set are detected, listed and excluded from training."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from toy_data import make_crops

from helpers import ROOT, TINY, experiment
from pysot.datasets.annotation import index_annotation
from pysot.datasets.check import check_annotations, check_boxes, check_crops
from pysot.datasets.index import load_annotation, read_excluded, update_excluded
from pysot.datasets.storage import open_storage


def no_progress(boxes, total):
    return boxes


def check_rows(*rows, first=0):
    content = {"v": {"00": {f"{number:06d}": list(row) for number, row in enumerate(rows, first)}}}
    return check_boxes(index_annotation("SET", "root", content, "x"))


def test_shares_in_place_of_pixels():
    """Relative coordinates are reported, as in the original YouTube-BB annotation."""
    report = check_rows((0.1, 0.2, 0.5, 0.9), (0.0, 0.1, 1.0, 1.0))
    assert "100% of the boxes look like fractions of the image size" in report.suspicious[0]
    assert not check_rows((10, 20, 50, 90), (11, 20, 50, 90)).suspicious


@pytest.mark.parametrize(
    "row, kind",
    [
        ((5, 5, 6.5, 6.5), "smaller than 2 pixels"),
        ((5, 5, 6, 90), "more than 20 times as long as wide"),
        ((-90, 5, -50, 40), "begin far outside of the image"),
    ],
)
def test_odd_boxes(row, kind):
    report = check_rows((10, 20, 50, 90), row)
    assert report.counts[kind] == 1 and any(kind in sentence for sentence in report.suspicious)


def test_frames_as_tracks_and_frames_that_come_twice():
    content = {f"v{video}": {"00": {f"{video:06d}": [1, 2, 30, 40]}} for video in range(9)}
    report = check_boxes(index_annotation("SET", "root", content, "x"))
    assert "frames may have been read as tracks" in report.suspicious[0]
    content = {"v": {"00": {"1": [1, 2, 30, 40], "01": [1, 2, 30, 40]}}}
    assert check_boxes(index_annotation("SET", "root", content, "x")).counts["frames that a track has twice"] == 1


@pytest.fixture
def toy(tmp_path):
    make_crops(tmp_path)
    return tmp_path


def test_bad_crops(toy):
    (toy / "crop511/v0/000001.00.x.jpg").unlink()
    (toy / "crop511/v1/000000.00.x.jpg").write_bytes(b"")
    cv2.imwrite(str(toy / "crop511/v2/000002.00.x.jpg"), np.zeros((300, 511, 3), np.uint8))
    (toy / "crop511/v3/000001.00.x.jpg").write_bytes((toy / "crop511/v3/000000.00.x.jpg").read_bytes())
    cv2.imwrite(str(toy / "crop511/v3/000002.00.x.jpg"), np.full((511, 511, 3), 7, np.uint8))
    annotation = load_annotation("TOY", toy / "crop511", toy / "train.json")
    report = check_boxes(annotation)
    sheet = check_crops(annotation, report, None, no_progress)
    assert [item[:3] for item in report.bad] == [("v0", "00", 1), ("v1", "00", 0), ("v2", "00", 2)]
    assert report.checked == 20
    assert all(
        word in item[3] for word, item in zip(("no image", "empty", "511 x 300 pixels"), report.bad, strict=True)
    )
    assert report.counts["the same picture as another crop"] == report.counts["of one colour"] == 1
    assert sheet.std() > 20
    few = check_boxes(annotation)
    check_crops(annotation, few, 5, no_progress)
    assert few.checked == 5


def excluded(toy, root="crop511"):
    return read_excluded(toy / "train.json", toy / root)


def test_the_list_of_what_is_left_out_holds_as_long_as_its_cause(toy):
    """Only crops that were damaged and have not changed since are excluded.

    A list of another folder of crops, or one made before the crops were complete, excludes nothing.
    """
    path = toy / "crop511/v0/000001.00.x.jpg"
    complete = path.read_bytes()
    update_excluded(toy / "train.json", toy / "wrong", [("v0", "00", number, "no image") for number in range(2)])
    assert len(excluded(toy, "wrong")) == 2 and excluded(toy) == []
    path.write_bytes(complete[:100])
    update_excluded(toy / "train.json", toy / "crop511", [("v0", "00", 1, "cut off"), ("v0", "00", 99, "no image")])
    assert len(excluded(toy, "wrong")) == 2 and excluded(toy) == [("v0", "00", 1), ("v0", "00", 99)]
    before = load_annotation("TOY", toy / "crop511", toy / "train.json")
    path.write_bytes(complete)
    assert excluded(toy) == [("v0", "00", 99)]
    after = load_annotation("TOY", toy / "crop511", toy / "train.json")
    assert (len(before.boxes), len(after.boxes)) == (19, 20)  # the index is made again
    update_excluded(toy / "train.json", toy / "crop511", [])
    listed = json.loads((toy / "train.json.excluded.json").read_text())
    assert [len(rows) for rows in listed.values()] == [2, 1] and len(excluded(toy, "wrong")) == 2


def test_lists_of_earlier_versions_are_looked_at_again(toy):
    (toy / "train.json.excluded.json").write_text(
        json.dumps([["v0", "00", 1, "no image"], ["v0", "00", 77, "no image"]])
    )
    assert excluded(toy) == [("v0", "00", 77)]


def test_a_list_of_everything_is_named(toy):
    annotation = load_annotation("TOY", toy / "crop511", toy / "train.json")
    for path in (toy / "crop511").rglob("*.jpg"):
        path.unlink()
    boxes = [
        (annotation.videos[v].decode(), annotation.tracks[t].decode(), int(annotation.frames[b]), "")
        for v, t, b in annotation.targets(np.arange(20))
    ]
    update_excluded(toy / "train.json", toy / "crop511", boxes)
    with pytest.raises(ValueError, match="20 boxes are excluded by .*train.json.excluded.json"):
        load_annotation("TOY", toy / "crop511", toy / "train.json")


def test_crops_of_another_size(toy):
    """crop255 instead of crop511 is an error; a few crops of another size are reported."""
    annotation = load_annotation("TOY", toy / "crop511", toy / "train.json")
    paths = sorted((toy / "crop511").rglob("*.jpg"))
    for path in paths:
        if path is paths[1]:
            (sentence,) = check_annotations([annotation], [open_storage(annotation)])
            assert "1 of 20 randomly drawn crops do not have the 511 x 511 pixels" in sentence
            assert "255 x 255" in sentence
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (255, 255)))
    with pytest.raises(ValueError, match="20 of 20 randomly drawn crops do not have .*DATASET.TOY.ROOT"):
        check_annotations([annotation], [open_storage(annotation)])


def test_the_look_at_the_start(toy):
    annotation = load_annotation("TOY", toy / "crop511", toy / "train.json")
    storage = open_storage(annotation)
    assert check_annotations([annotation], [storage]) == []
    (toy / "crop511/v0/000001.00.x.jpg").unlink()
    (sentence,) = check_annotations([annotation], [storage])
    assert sentence.startswith("TOY: 1 of 20 randomly drawn crops cannot be read, the first: no image")
    assert "check_data.py" in sentence
    for path in (toy / "crop511").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(ValueError, match="none of 20 randomly drawn crops can be read: no image .*DATASET.TOY.ROOT"):
        check_annotations([annotation], [storage])


def test_the_command_and_a_run_after_it(toy):
    (toy / "crop511/v0/000001.00.x.jpg").write_bytes(b"")
    changes = {
        "DATASET.NAMES": "[QUICKSTART]",
        "DATASET.QUICKSTART.ROOT": "crop511",
        "DATASET.QUICKSTART.ANNO": "train.json",
        "TRAIN.BATCH_SIZE": "2",
        "TRAIN.NUM_WORKERS": "0",
    }
    opts = ["--opts", *TINY, *(word for pair in changes.items() for word in pair)]

    def tool(name, *arguments):
        command = [sys.executable, ROOT / "tools" / name, "--cfg", experiment("quickstart"), "--device", "cpu"]
        return subprocess.run([*command, *arguments, *opts], cwd=toy, capture_output=True, text=True, timeout=200)

    train = ["--max_step", "1", "--is_performance"]
    assert "1 of 20 randomly drawn crops cannot be read" in tool("train.py", *train).stderr
    done = tool("check_data.py", "--all", "--keep")
    assert done.returncode == 0 and "20 of 20 crops read, 1 cannot be used" in done.stdout, done.stderr
    assert not (toy / "train.json.excluded.json").exists()
    done = tool("check_data.py", "--all")
    assert "training leaves out the crops listed in" in done.stdout
    report = json.loads((toy / "data_check/QUICKSTART.json").read_text())
    assert report["bad_count"] == 1 and report["bad"][0][:3] == ["v0", "00", 1]
    assert cv2.imread(str(toy / "data_check/QUICKSTART.jpg")) is not None
    log = tool("train.py", *train).stderr
    assert "cannot be read" not in log and f"and 1 that {toy / 'train.json.excluded.json'} lists" in log
    assert "19 of 19 crops read, 0 cannot be used" in tool("check_data.py", "--all").stdout
    assert [len(rows) for rows in json.loads((toy / "train.json.excluded.json").read_text()).values()] == [1]
    (toy / "crop511/v0/000001.00.x.jpg").write_bytes((toy / "crop511/v0/000000.00.x.jpg").read_bytes())
    log = tool("train.py", *train).stderr
    assert "excluded.json lists" not in log, log
    assert "20 of 20 crops read, 0 cannot be used" in tool("check_data.py", "--all").stdout


@pytest.mark.shared
@pytest.mark.skipif(not (ROOT.parent / "shared" / "data").is_dir(), reason="no ../shared/data")
@pytest.mark.parametrize("name, boxes", [("coco", 1311), ("davis", 344), ("otb", 1000)])
def test_real_data(tmp_path, name, boxes):
    """Real data, prepared as a user would, has no bad crop and nothing suspicious."""
    raw = ROOT.parent / "shared" / "data" / name
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "prepare_data.py", name, raw, "--name", name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    opts = ["--opts", "DATASET.NAMES", f"[{name.upper()}]"]
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "check_data.py", "--cfg", experiment("quickstart"), "--all", *opts],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "0 cannot be used" in done.stdout and "suspicious" not in done.stdout, (
        done.stdout + done.stderr
    )
    assert json.loads((tmp_path / "data_check" / f"{name.upper()}.json").read_text())["boxes"] >= boxes
