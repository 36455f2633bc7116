import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

TOOL = Path(__file__).resolve().parents[2] / "tools" / "prepare_sequences.py"
SHARED = TOOL.parents[2] / "shared" / "data"


def prepare(*arguments, cwd):
    return subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd=cwd)


@pytest.fixture
def otb(tmp_path):
    for name in ("Deer", "Man"):
        (tmp_path / "raw" / name / "img").mkdir(parents=True)
        for number in range(1, 4):
            cv2.imwrite(str(tmp_path / "raw" / name / "img" / f"{number:04d}.jpg"), np.full((60, 80, 3), 20 * number, np.uint8))
        (tmp_path / "raw" / name / "groundtruth_rect.txt").write_text("10,10,20,20\n12,10,20,20\n14,10,20,20\n")
    return tmp_path


def test_crops_json_and_config_lines(otb):
    (otb / "raw/Man/img/0002.jpg").write_bytes(b"")
    done = prepare("otb", "raw", "--out", "my set", "--procs", 1, cwd=otb)
    assert done.returncode == 0 and "left out: image raw/Man/img/0002.jpg is an empty file" in done.stderr
    summary, _, config = done.stdout.partition("To train on it:\n")
    assert "2 sequences, 5 crops written, 0 were there, 1 images or boxes left out; in train.json: 5 boxes, 1 no crop" in summary
    content = json.loads((otb / "my set/train.json").read_text())
    assert list(content["Man"]["00"]) == ["000000", "000002"] and content["Deer"]["00"]["000001"] == [12, 10, 32, 30]
    assert len(list((otb / "my set/crop511").rglob("*.x.jpg"))) == 5
    node = yaml.safe_load(config)["DATASET"]
    assert node["NAMES"] == ["MY_SET"] and node["MY_SET"] == {
        "ROOT": "my set/crop511", "ANNO": "my set/train.json", "FRAME_RANGE": 100, "NUM_USE": 5}
    again = prepare("otb", "raw", "--out", "my set", "--procs", 1, cwd=otb)
    assert "2 sequences, 0 crops written, 5 were there" in again.stdout


def test_chosen_sequences(otb):
    prepare("otb", "raw", "--out", "a", "--except", "Deer", "--procs", 1, cwd=otb)
    assert list(json.loads((otb / "a/train.json").read_text())) == ["Man"]
    prepare("otb", "raw", "--out", "b", "--only", "Deer", "--procs", 1, cwd=otb)
    assert list(json.loads((otb / "b/train.json").read_text())) == ["Deer"]


@pytest.mark.parametrize("arguments, message", [
    (("otb", "nowhere", "--out", "x"), "no otb sequence in"), (("vot", "raw", "--out", "x"), "no vot sequence in"),
    (("otb", "raw", "--out", "x", "--except", "Dear"), "no sequence Dear in raw; there are Deer, Man"),
    (("otb", "raw", "--out", "raw/Deer/groundtruth_rect.txt"), "[Errno 20] cannot write")])
def test_errors_are_one_sentence(otb, arguments, message):
    done = prepare(*arguments, "--procs", 1, cwd=otb)
    assert done.returncode == 2 and done.stderr.strip().startswith(f"error: {message}") and done.stderr.count("\n") == 1
    assert not (otb / "x").exists()


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data")
def test_real_davis(tmp_path):
    done = prepare("davis", SHARED / "davis", "--out", tmp_path / "davis", "--only", "dog,blackswan", cwd=tmp_path)
    assert "2 sequences, 110 crops written" in done.stdout
