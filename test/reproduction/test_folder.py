"""Run folders: of something else, of another run, in use, edited."""

import dataclasses
import json

import pytest

from pysot.reproduction.claims import CLAIMS
from pysot.reproduction.folder import (
    compare_files,
    open_folder,
    read_manifest,
    read_record,
    write_manifest,
    write_record,
)
from reproduction_helpers import record_of, settings_of

SETTINGS = settings_of(CLAIMS["quickstart"])
EMPTY = {"scores": [], "speeds": []}


@pytest.fixture
def finished(tmp_path):
    folder = tmp_path / "run"
    with open_folder(folder, SETTINGS) as record:
        (folder / "seed_1").mkdir()
        for name in ("scores.json", "snapshot.pth"):
            (folder / "seed_1" / name).write_text(name)
        (folder / "data").mkdir()
        (folder / "data" / "frame.jpg").write_text("")
        write_record(folder, record)
        write_manifest(folder, EMPTY)
    return folder


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(
        ValueError, match="expected an empty folder or one of a run, got other files; choose another --out"
    ):
        open_folder(tmp_path, SETTINGS).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "settings": {"claim": "quickstart"}}'])
def test_a_record_that_is_none(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match="record of a run"):
        open_folder(tmp_path, SETTINGS).__enter__()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"claim": "siamrpn_mobilev2_small"}, "claim was quickstart and is siamrpn_mobilev2_small"),
        ({"seeds": (2,)}, r"seeds was \[1\] and is \[2\]"),
        ({"is_small": True}, "is_small was False and is True"),
        ({"device": "cuda"}, "device was cpu and is cuda"),
    ],
)
def test_a_folder_of_another_run(finished, values, words):
    with pytest.raises(ValueError, match=f"{finished} is of another run: {words}. Give the same values"):
        open_folder(finished, dataclasses.replace(SETTINGS, **values)).__enter__()


def test_a_run_that_ends_in_its_first_step_goes_on(tmp_path):
    with pytest.raises(RuntimeError, match="step data"), open_folder(tmp_path, SETTINGS) as first:
        (tmp_path / "logs").mkdir()
        raise RuntimeError("step data ended with status 2")
    with open_folder(tmp_path, SETTINGS) as record:
        assert record == first


def test_a_folder_in_use(tmp_path, monkeypatch):
    def refuse(*_):
        raise BlockingIOError(11, "quickstart")

    monkeypatch.setattr("pysot.reproduction.folder.lock_for_writing", refuse)
    with pytest.raises(ValueError, match="is in use by another run"):
        open_folder(tmp_path, SETTINGS).__enter__()


def test_a_record_is_read_back(tmp_path):
    record = record_of(CLAIMS["quickstart"])
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record


def test_a_finished_folder_is_unchanged(finished):
    assert compare_files(finished) == ([], [])
    assert "data/frame.jpg" not in read_manifest(finished)["files"]
    with open_folder(finished, SETTINGS):
        pass


def test_edited_missing_and_new_files_are_named(finished):
    (finished / "seed_1" / "scores.json").write_text("scores.jsom")
    (finished / "seed_1" / "snapshot.pth").unlink()
    (finished / "run.json").write_text(json.dumps(json.loads((finished / "run.json").read_text())))
    (finished / "more.txt").write_text("")
    problems, left_out = compare_files(finished)
    assert problems == ["run.json was edited", "seed_1/scores.json was edited", "more.txt is new"]
    assert left_out == ["seed_1/snapshot.pth"]
    with pytest.raises(
        ValueError, match="was edited after its run: run.json was edited; seed_1/scores.json was edited"
    ):
        open_folder(finished, SETTINGS).__enter__()


def test_a_missing_file_is_named(finished):
    (finished / "seed_1" / "scores.json").unlink()
    assert compare_files(finished)[0] == ["seed_1/scores.json is missing"]


def test_no_manifest(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the folder of a finished run, got one without manifest.json"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(ValueError, match="expected the manifest of a run"):
        read_manifest(tmp_path)
