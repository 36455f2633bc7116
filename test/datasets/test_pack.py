"""Packed crops: same training items as from loose files, damage is detected, interrupted packing is resumed."""

import json
import os
import pickle
import signal
import subprocess
import sys
import tarfile
import time

import cv2
import numpy as np
import pytest
from toy_data import assert_equal, load_items, make_config, make_crops

from helpers import ROOT
from pysot.datasets import pack as pack_module
from pysot.datasets.data_builder import build_dataset, build_train_loader
from pysot.datasets.dataset_yaml import find_description, write_description
from pysot.datasets.index import load_annotation
from pysot.datasets.pack import pack, verify
from pysot.datasets.storage import CropPack, is_pack, shard_path


def no_progress(results, total):
    return results


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.setattr(pack_module, "BOXES_PER_SHARD", 8)  # 20 boxes: three tars
    make_crops(tmp_path)
    return tmp_path


def packed(toy, centre=160, procs=1):
    annotation = load_annotation("TOY", toy / "crop511", toy / "train.json")
    return pack(annotation, toy / "pack", centre, procs, toy / "train.json", no_progress)


def open_pack(toy):
    return load_annotation("TOY", toy / "pack", toy / "train.json")


@pytest.mark.parametrize("centre", [160, 130])  # 130 is less than templates need: they read the complete crop
@pytest.mark.parametrize("workers", [0, 2])
def test_items_are_those_of_the_loose_files(toy, centre, workers):
    assert packed(toy, centre) == (20, [])
    loose = build_train_loader(make_config(toy, TRAIN__NUM_WORKERS=workers), seed=1)
    other = build_train_loader(
        make_config(toy, DATASET__TOY__ROOT=str(toy / "pack"), TRAIN__NUM_WORKERS=workers), seed=1
    )
    for epoch in (0, 1):
        assert_equal(load_items(loose, epoch), load_items(other, epoch))


def test_what_lies_in_a_pack(toy):
    packed(toy)
    tars = ["crops-00000.tar", "crops-00001.tar", "crops-00002.tar"]
    assert sorted(path.name for path in (toy / "pack").iterdir()) == [*tars, "index", "pack.json", "places.npy"]
    with tarfile.open(toy / "pack" / "crops-00001.tar") as tar:
        names = tar.getnames()
        assert names[:2] == ["v1/000003.00.x.jpg", "v1/000003.00.z.ppm"] and len(names) == 16
        assert tar.extractfile(names[0]).read() == (toy / "crop511" / names[0]).read_bytes()
    assert verify(open_pack(toy), no_progress) == []
    assert os.stat(toy / "pack" / "crops-00000.tar").st_mode & 0o444 == 0o444


def test_names_beyond_ascii_and_long_ones(toy):
    name = "é" * 60 + "/" + "n" * 120
    (toy / "crop511" / name).parent.mkdir()
    (toy / "crop511" / "v0").rename(toy / "crop511" / name)
    content = json.loads((toy / "train.json").read_text())
    content[name] = content.pop("v0")
    (toy / "train.json").write_text(json.dumps(content))
    assert packed(toy) == (20, []) and verify(open_pack(toy), no_progress) == []


def test_crops_that_cannot_be_read_are_named_and_left_out(toy):
    (toy / "crop511/v0/000001.00.x.jpg").unlink()
    (toy / "crop511/v2/000004.00.x.jpg").write_bytes(b"")
    count, problems = packed(toy)
    assert count == 18 and "v0/000001.00.x.jpg" in problems[0] and "v2/000004.00.x.jpg is an empty file" in problems[1]
    dataset = build_dataset(make_config(toy, DATASET__TOY__ROOT=str(toy / "pack")), seed=1)
    loose = build_dataset(make_config(toy), seed=1)
    items, others = ([data[0, position] for position in range(24)] for data in (dataset, loose))
    assert_equal(items, others)
    assert dataset.unreadable == loose.unreadable > 0
    assert "did not exist when the data set was packed" in " ".join(dataset.pop_notes())


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damage_is_found(toy, damage):
    packed(toy)
    path = shard_path(toy / "pack", 1)
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[3000] ^= 1
    path.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    if damage == "gone":
        path.unlink()
    wrong = verify(open_pack(toy), no_progress)
    assert len(wrong) == {"flip": 1, "cut": 4, "gone": 8}[damage] or damage == "cut" and 3 <= len(wrong) <= 5
    assert all("crops-00001.tar" in problem for problem in wrong)
    loader = build_train_loader(make_config(toy, DATASET__TOY__ROOT=str(toy / "pack")), seed=1)
    assert load_items(loader, 0)  # other crops are drawn instead


def test_a_pack_of_something_else(toy):
    packed(toy)
    with pytest.raises(ValueError, match="holds a pack with --centre 160, expected 200"):
        packed(toy, centre=200)
    content = json.loads((toy / "train.json").read_text())
    del content["v3"]
    (toy / "train.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="holds a pack of another annotation"):
        packed(toy)
    with pytest.raises(ValueError, match="was packed from another annotation than"):
        open_pack(toy)
    (toy / "train.json").unlink()
    assert open_pack(toy).video_count == 4  # a pack needs no json
    (toy / "pack" / "pack.json").write_text("{}")
    with pytest.raises(ValueError, match="pack.json is not the description of a pack"):
        open_pack(toy)


def test_a_pack_of_corrected_boxes(toy):
    """Same size, other numbers. Packs of earlier versions have no checksum."""
    packed(toy)
    source = toy / "train.json"
    text = source.read_text()
    assert open_pack(toy).video_count == 4
    source.write_text(text.replace("1", "2", 1))
    with pytest.raises(ValueError, match="was packed from another annotation than"):
        open_pack(toy)
    description = json.loads((toy / "pack/pack.json").read_text())
    del description["source_crc"]
    (toy / "pack/pack.json").write_text(json.dumps(description))
    assert open_pack(toy).video_count == 4


def test_a_prepared_set_uses_its_pack(toy):
    write_description(toy, "train", 3, -1)
    (toy / "training_dataset").mkdir()
    (toy / "training_dataset" / "toy").symlink_to(toy)
    command = [sys.executable, str(ROOT / "tools" / "pack_data.py"), "train.json", "--use"]
    done = subprocess.run(command, cwd=toy, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "dataset.yaml names it" in done.stdout, done.stderr
    description = find_description("TOY", toy)
    assert description["ROOT"].endswith("train.pack") and is_pack(description["ROOT"]) and description["NUM_USE"] == -1
    (toy / "dataset.yaml").write_text((toy / "dataset.yaml").read_text().replace("train.json", "val.json"))
    done = subprocess.run(command, cwd=toy, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2 and "val.json, not train.json" in done.stderr
    (toy / "dataset.yaml").unlink()
    done = subprocess.run(command, cwd=toy, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2 and "was not made by tools/prepare_data.py" in done.stderr


def test_a_crop_of_another_size(toy):
    cv2.imwrite(str(toy / "crop511/v0/000001.00.x.jpg"), np.zeros((255, 255, 3), np.uint8))
    count, problems = packed(toy)
    assert count == 19 and "has 255 x 255 pixels, expected 511 x 511" in problems[0]


def test_a_storage_can_be_sent_to_another_process(toy):
    packed(toy)
    storage = CropPack(open_pack(toy))
    storage.read(0, 0, 0)
    again = pickle.loads(pickle.dumps(storage))
    np.testing.assert_array_equal(storage.read(3, 3, 19, 100).pixels, again.read(3, 3, 19, 100).pixels)


def test_a_full_disk_leaves_complete_tars_only(toy, monkeypatch):
    real, calls = pack_module._append_file, []

    def full(*arguments):
        calls.append(1)
        if len(calls) == 20:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(pack_module, "_append_file", full)
    with pytest.raises(OSError, match="No space left"):
        packed(toy)
    assert [path.name for path in sorted((toy / "pack").glob("crops*"))] == ["crops-00000.tar"]
    assert not list((toy / "pack").glob("*.tmp"))
    monkeypatch.undo()
    monkeypatch.setattr(pack_module, "BOXES_PER_SHARD", 8)
    first = shard_path(toy / "pack", 0).stat().st_mtime_ns
    assert packed(toy)[0] == 20 and shard_path(toy / "pack", 0).stat().st_mtime_ns == first
    assert verify(open_pack(toy), no_progress) == []


def test_killed_packing_is_resumed(tmp_path):
    make_crops(tmp_path, videos=30, frames=10)
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.path.insert(0, sys.argv[1]); sys.argv = sys.argv[2:]\n"
        "import pysot.datasets.pack as p; p.BOXES_PER_SHARD = 8\n"
        "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    tools, anno = ROOT / "tools", tmp_path / "train.json"
    command = [sys.executable, "-c", script, str(tools), str(tools / "pack_data.py"), str(anno), "--procs", "1"]
    out = tmp_path / "train.pack"
    running = subprocess.Popen(command, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while len(list(out.glob("crops-*.tar"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (out / "pack.json").exists() and len(list(out.glob("crops-*.tar"))) >= 3
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "300 crops in 38 files" in done.stdout, done.stderr
    done = subprocess.run([*command, "--verify"], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "every crop is as it was written" in done.stdout, done.stderr
    shard_path(out, 2).write_bytes(b"")
    done = subprocess.run([*command, "--verify"], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2 and "8 crops of " in done.stderr
