"""Mapped index beside an annotation: same arrays, made once, made again when its source changes."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from helpers import ROOT
from pysot.datasets.annotation import ARRAYS, TrackAnnotation, index_annotation
from pysot.datasets.fingerprint import fingerprint
from pysot.datasets.index import MappedAnnotation, excluded_path, load_annotation
from pysot.datasets.storage import open_storage

CONTENT = {
    "a/b é": {"00": {"000001": [1, 2, 3, 4], "000000": [0, 0, 9, 9]}, "01": {"000002": [1, 1, 2, 2]}},
    "c": {"00": {"000005": [1, 2, 30, 40]}},
}


@pytest.fixture
def anno(tmp_path):
    (tmp_path / "crop511").mkdir()
    (tmp_path / "train.json").write_text(json.dumps(CONTENT))
    return tmp_path / "train.json"


def load(anno) -> TrackAnnotation:
    return load_annotation("SET", anno.parent / "crop511", anno)


def are_equal(a: TrackAnnotation, b: TrackAnnotation) -> bool:
    return all(
        np.array_equal(getattr(a, field.name), getattr(b, field.name))
        for field in fields(TrackAnnotation)
        if field.name not in ("name", "root")
    )


def test_the_index_is_the_annotation(anno):
    plain = index_annotation("SET", anno.parent / "crop511", CONTENT, "x")
    first, second = load(anno), load(anno)
    assert isinstance(first, MappedAnnotation) and isinstance(second.boxes.base, np.memmap)
    assert are_equal(plain, first) and are_equal(plain, second)
    assert sorted(path.name for path in anno.parent.iterdir()) == [".train.json.index", "crop511", "train.json"]


def test_the_json_is_read_once_per_change(anno, monkeypatch):
    load(anno)
    monkeypatch.setattr("pysot.datasets.index.read_json", lambda *_: pytest.fail("read again"))
    load(anno)
    monkeypatch.undo()
    anno.write_text(json.dumps({"c": CONTENT["c"]}))
    assert load(anno).video_count == 1
    (anno.parent / ".train.json.index" / "boxes.npy").write_bytes(b"cut off")
    assert load(anno).video_count == 1
    (anno.parent / ".train.json.index" / "made_from.json").write_text("{")
    assert load(anno).video_count == 1


DAMAGE = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[:-3],
    "nonsense": lambda data: b"[]",
    "flipped": lambda data: data[:-4] + b"\xff\xff\xff\xff",
}


@pytest.mark.parametrize("damage", list(DAMAGE))
@pytest.mark.parametrize("name", [*(f"{field}.npy" for field in ARRAYS), "dropped.json", "made_from.json"])
def test_a_damaged_index_is_made_again(anno, name, damage):
    expected = index_annotation("SET", load(anno).root, CONTENT, "x")
    path = anno.parent / ".train.json.index" / name
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    for _ in range(2):
        loaded = load(anno)
        assert all(np.array_equal(getattr(expected, field), getattr(loaded, field)) for field in ARRAYS), (name, damage)


def test_what_is_written_atomically_reaches_the_disk(anno, monkeypatch):
    flushed, real = [], os.fsync
    monkeypatch.setattr(
        os,
        "fsync",
        lambda handle: (flushed.append(os.path.basename(os.readlink(f"/proc/self/fd/{handle}"))), real(handle)),
    )
    monkeypatch.setattr(os, "sync", lambda: flushed.append("everything"))
    load(anno)
    assert "everything" in flushed and flushed[-1] == anno.parent.name, "first the folder's content, then its name"


def test_a_fingerprint_is_of_content(anno, tmp_path):
    first = fingerprint(load(anno), open_storage(load(anno)))
    crop = load(anno).crop_path(1, 2, 3)
    crop.parent.mkdir(parents=True)
    crop.write_bytes(b"a crop")
    second = fingerprint(load(anno), open_storage(load(anno)))
    crop.write_bytes(b"b crop")
    third = fingerprint(load(anno), open_storage(load(anno)))
    moved = tmp_path / "elsewhere"
    shutil.copytree(anno.parent / "crop511", moved / "crop511")
    shutil.copy(anno, moved / "train.json")
    copied = load(moved / "train.json")
    assert len({first, second, third}) == 3 and third == fingerprint(copied, open_storage(copied))
    anno.write_text(json.dumps({**CONTENT, "c": {"00": {"000005": [1, 2, 30, 41]}}}))
    assert fingerprint(load(anno), open_storage(load(anno))) != third


def test_boxes_that_are_listed_are_left_out(anno, caplog):
    load(anno)
    excluded_path(anno).write_text(
        json.dumps([["c", "00", 5, "empty file"], ["a/b é", "00", 0, "x"], ["gone", "00", 1, "x"]])
    )
    left = load(anno)
    assert left.video_count == 1 and left.frames.tolist() == [1, 2]
    assert left.dropped == {"boxes": 0, "excluded": 2, "tracks": 1, "videos": 1}
    assert f"and 2 that {anno}.excluded.json lists" in caplog.text
    excluded_path(anno).write_text('{"a": 1}')
    with pytest.raises(ValueError, match="excluded.json must have a list of .*check_data.py"):
        load(anno)
    excluded_path(anno).write_text("")
    assert load(anno).video_count == 2 and "excluded.json is empty, so no box is excluded" in caplog.text


def test_another_process_maps_it_too(anno):
    data = pickle.dumps(load(anno))
    assert len(data) < 400
    again = pickle.loads(data)
    assert isinstance(again.boxes.base, np.memmap) and are_equal(again, load(anno))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(anno, caplog):
    anno.parent.chmod(0o555)
    try:
        assert are_equal(load(anno), index_annotation("SET", "x", CONTENT, "x"))
    finally:
        anno.parent.chmod(0o755)


def test_a_full_disk_costs_the_index_only(anno, monkeypatch, caplog):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pysot.datasets.index.np.save", full)
    loaded = load(anno)
    assert not isinstance(loaded, MappedAnnotation) and loaded.video_count == 2
    assert "no index of" in caplog.text and "No space left" in caplog.text
    assert sorted(path.name for path in anno.parent.iterdir()) == ["crop511", "train.json"]


def test_processes_that_start_together_make_it_once(anno):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import pysot.datasets.index as index; read = index.read_json\n"
        "import time\n"
        "index.read_json = lambda *a: (print('made', flush=True), time.sleep(1), read(*a))[2]\n"
        "print(index.load_annotation('SET', sys.argv[2] + '/crop511', sys.argv[2] + '/train.json').video_count)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(ROOT), str(anno.parent)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    texts = [process.communicate(timeout=60)[0].split() for process in running]
    assert sorted(texts, key=len)[:3] == [["2"]] * 3 and sum("made" in text for text in texts) == 1
