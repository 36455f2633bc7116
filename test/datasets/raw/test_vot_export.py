"""The toolkit reads annotated videos back unchanged from the raw VOT set they were written to."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from helpers import ROOT, synthetic_image
from pysot.datasets.raw.video import RawFrame, RawVideo
from pysot.datasets.raw.vot_export import export_vot
from pysot.toolkit.datasets import load_dataset


def video(folder, name, boxes, tracks=("00",)):
    frames = []
    for i, box in enumerate(boxes):
        path = folder / name / f"{i + 7:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), synthetic_image(f"{name}{i}", 60, 80))
        frames.append(RawFrame(path, i, {} if box is None else dict.fromkeys(tracks, box)))
    return RawVideo(name, tuple(frames))


def test_round_trip(tmp_path):
    source = video(tmp_path, "boat", [None, (1, 2, 11, 22), None, (3, 4, 13, 24)])
    assert export_vot([source], tmp_path / "SET") == ["boat"]
    sequence = load_dataset("SET", tmp_path).sequences[0]
    assert len(sequence) == 3 and (sequence.width, sequence.height) == (80, 60), "starts at the first box"
    np.testing.assert_allclose(sequence.ground_truth[0], [1, 2, 10, 20])
    assert np.isnan(sequence.ground_truth[1]).all()
    np.testing.assert_array_equal(cv2.imread(str(sequence.frame_paths[0])), cv2.imread(str(source.frames[1].image)))


def test_adding_keeps_what_is_there_and_killed_runs_leave_nothing(tmp_path):
    export_vot([video(tmp_path, "a", [(0, 0, 5, 5)])], tmp_path / "SET")
    (tmp_path / "SET" / ".b.tmp" / "color").mkdir(parents=True)
    assert export_vot(
        [video(tmp_path, "a", [(0, 0, 9, 9)]), video(tmp_path, "b", [(0, 0, 7, 7)])], tmp_path / "SET"
    ) == ["a", "b"]
    assert (tmp_path / "SET" / "a" / "groundtruth.txt").read_text() == "0.0000,0.0000,5.0000,5.0000\n"
    assert sorted(p.name for p in (tmp_path / "SET").iterdir()) == ["a", "b", "list.txt"]


def test_several_tracks_are_several_sequences(tmp_path):
    assert export_vot([video(tmp_path, "train/x", [(0, 0, 5, 5)], tracks=("00", "01"))], tmp_path / "SET") == [
        "train_x_00",
        "train_x_01",
    ]


def test_an_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        export_vot([video(tmp_path, "a", [(0, 0, 5, 5)])], tmp_path / "file" / "SET")


def test_names_with_spaces(tmp_path):
    export_vot([video(tmp_path, "my séq 1", [(0, 0, 5, 5)])], tmp_path / "SET")
    assert export_vot([video(tmp_path, "two", [(0, 0, 5, 5)])], tmp_path / "SET") == ["my séq 1", "two"]


def test_the_command(tmp_path):
    """make_vot_set.py makes a set of some sequences, and adds one to it."""
    for name in ("Deer", "Man", "Girl"):
        write_otb(tmp_path / "OTB", name)
    tool = ROOT / "tools" / "make_vot_set.py"
    for names in ("Deer,Man", "Girl"):
        words = [sys.executable, tool, "otb", tmp_path / "OTB", "--only", names, "--out", tmp_path / "SET"]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
    assert [sequence.name for sequence in load_dataset("SET", tmp_path).sequences] == ["Deer", "Man", "Girl"]


def write_otb(root, name):
    folder = root / name / "img"
    folder.mkdir(parents=True)
    for frame in range(3):
        cv2.imwrite(str(folder / f"{frame + 1:04d}.jpg"), synthetic_image(f"{name}{frame}", 60, 80))
    (folder.parent / "groundtruth_rect.txt").write_text("2,3,20,10\n" * 3)
