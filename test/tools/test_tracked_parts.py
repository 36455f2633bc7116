"""test.py --part I/N on several machines, their results in one folder, and what eval.py says about missing parts."""

import json
import shutil
import subprocess
import sys

import pytest
from toolkit_data import write_frames

from helpers import ROOT
from track_helpers import run_tool, save_snapshot

LENGTHS = {"a": 5, "b": 4, "c": 3, "d": 2}  # parts of two: a and c, b and d


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """Return a folder with the set, and the results of each part of two, and of one run, in a folder of its own."""
    root = tmp_path_factory.mktemp("parts")
    for name, frames in LENGTHS.items():
        write_frames(root / "sets/SET" / name / "img", frames)
        (root / f"sets/SET/{name}/groundtruth_rect.txt").write_text("20,30,40,30\n" * frames)
    snapshot = save_snapshot(root)
    for out, part in (("one", "1/2"), ("two", "2/2"), ("whole", "1/1")):
        done = test_tool(root, out, snapshot, "--part", part)
        assert done.returncode == 0, done.stderr
    return root


def test_tool(root, out, snapshot, *more):
    return run_tool(
        "test.py", "-d", "SET", "--datasetdir", "sets", "--snapshot", snapshot, "--results_dir", out, *more, cwd=root
    )


test_tool.__test__ = False


def score(root, results, *more):
    command = [sys.executable, ROOT / "tools/eval.py", "-p", results, "-d", "SET", "--datasetdir", "sets", *more]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=root)


@pytest.fixture
def folder(tracked, tmp_path):
    """Return a folder for results, of the tracker checkpoint_e1."""
    return tmp_path / "results/SET"


def add(tracked, folder, *parts):
    for part in parts:
        shutil.copytree(tracked / part / "SET", folder, dirs_exist_ok=True)
    return folder / "checkpoint_e1"


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.txt") if "_time" not in path.name}


def test_parts_of_two_machines_are_one_result(tracked, folder):
    tracker = add(tracked, folder, "one", "two")
    assert sorted(path.name for path in (tracker / "parts").iterdir()) == [
        "one_pass.1-of-2.json",
        "one_pass.2-of-2.json",
    ]
    assert files(tracker) == files(tracked / "whole/SET/checkpoint_e1") and len(files(tracker)) == 4
    scores = [score(tracked, path, "--json", folder / "scores.json") for path in (folder, tracked / "whole/SET")]
    assert scores[0].returncode == 0 and scores[0].stdout == scores[1].stdout
    assert not (tracked / "whole/SET/checkpoint_e1/parts").exists()


def test_a_missing_part_is_named(tracked, folder):
    tracker = add(tracked, folder, "one")
    done = score(tracked, folder)
    sentence = "part 2 of 2 is missing, 2 of its 2 videos have no result; run: python "
    assert done.returncode == 2 and sentence in done.stdout and "--results_dir one --part 2/2" in done.stdout
    assert "no result file" not in done.stdout  # its videos are not listed as well
    partial = score(tracked, folder, "--partial")
    assert partial.returncode == 0 and f"left out: {sentence}" in partial.stdout and "[2 of 4 videos]" in partial.stdout
    shutil.copy(tracked / "two/SET/checkpoint_e1/b.txt", tracker)  # of a part that was interrupted
    assert "part 2 of 2 is not finished, 1 of its 2 videos have no result; run:" in score(tracked, folder).stdout
    (tracker / "a.txt").unlink()
    assert "part 1 of 2 was tracked, but 1 of its 2 videos have no result here (such as a)" in (
        score(tracked, folder).stdout
    )
    shutil.copy(tracked / "one/SET/checkpoint_e1/a.txt", tracker)
    (tracker / "b.txt").write_text("1,2,3\n")
    done = score(tracked, folder).stdout
    assert "part 2 of 2 is not finished" in done and "b.txt" in done  # damaged results are listed


@pytest.mark.parametrize("file", ["parts/one_pass.2-of-2.json", "network.json"])
def test_parts_of_different_networks_are_refused(tracked, folder, file):
    tracker = add(tracked, folder, "one", "two")
    path = tracker / file
    key = "network" if "parts" in file else "sha256"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: "77777777777777 cpu fp16"}))
    for more in ((), ("--partial",)):
        done = score(tracked, folder, *more)
        assert done.returncode == 2 and "has results of different networks, settings or devices (" in done.stdout
        assert "777777777777 cpu fp16" in done.stdout


def test_a_damaged_record_and_another_list_of_videos(tracked, folder):
    tracker = add(tracked, folder, "one")
    path = tracker / "parts/one_pass.1-of-2.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "videos": {"number": 5, "sha256": ""}}))
    done = score(tracked, folder)
    assert "no result file" in done.stdout and "another list of videos: 5, not these 4" in done.stdout
    path.write_text("{")
    done = score(tracked, folder)
    assert done.returncode == 2 and "1-of-2.json is cut off or not JSON" in done.stdout
    path.write_text(json.dumps({**content, "form": 2}))
    assert "remove it (its results stay) and track that part again" in score(tracked, folder).stdout


def test_failed_and_chosen_videos_are_no_part(tracked, tmp_path):
    shutil.copytree(tracked / "sets", tmp_path / "sets")
    (tmp_path / "sets/SET/a/img/0003.jpg").unlink(missing_ok=True)
    for image in sorted((tmp_path / "sets/SET/a/img").iterdir())[2:]:
        image.write_bytes(b"no image")
    snapshot = tracked / "checkpoint_e1.pth"
    done = test_tool(tmp_path, "out", snapshot, "--part", "1/2")
    assert done.returncode == 2 and "1 of 2 videos failed" in done.stderr
    assert test_tool(tmp_path, "out", snapshot, "--video", "b", "--part", "1/2").returncode == 0
    assert not (tmp_path / "out/SET/checkpoint_e1/parts").exists()
    empty = test_tool(tmp_path, "out", snapshot, "--part", "5/5")
    assert empty.returncode == 0 and "part 5 of 5 has no video" in empty.stderr
