"""Batches: items that do not fit, loader processes that die, batches that are kept, and one buffer for each."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from toy_data import assert_equal, load_items, make_config, make_crops

from helpers import ROOT
from pysot.datasets.collate import Collate
from pysot.datasets.data_builder import build_train_loader
from pysot.engine.fetch import LoaderFailure, fetch_batches
from pysot.utils.packed_tensors import PackedTensors

FORMS = {"image": ((3, 8, 8), np.dtype(np.uint8)), "label": ((5,), np.dtype(np.int64))}


def item(number=0):
    return {"image": np.full((3, 8, 8), number, np.uint8), "label": np.full(5, number)}


class Items(torch.utils.data.Dataset):
    def __len__(self):
        return 60

    def __getitem__(self, index):
        return item(index)


@pytest.mark.parametrize(
    "other, message",
    [
        ({"image": np.zeros((3, 8, 9), np.uint8)}, r"image of item 1 .* uint8 \(3, 8, 9\), expected uint8 \(3, 8, 8\)"),
        ({"label": np.zeros(5, np.float32)}, r"label of item 1 .* float32 \(5,\), expected int64 \(5,\)"),
        ({"mask": np.zeros(1)}, r"mask of item 1 .* float64 \(1,\), expected missing"),
        ({"label": None}, r"label of item 1 .* missing, expected int64 \(5,\)"),
    ],
)
def test_items_that_do_not_fit(other, message):
    wrong = {name: value for name, value in {**item(), **other}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        Collate(FORMS, 2)([item(), wrong])


def test_a_number_of_items_that_does_not_fit():
    with pytest.raises(ValueError, match="expected a batch of 2 items, got 1"):
        Collate(FORMS, 2)([item()])


def loader(workers=2):
    return DataLoader(
        Items(), 2, num_workers=workers, collate_fn=Collate(FORMS, 2, workers), persistent_workers=workers > 0
    )


@pytest.mark.parametrize("victims", ["first", "all"])
def test_a_process_dies_while_batches_are_in_flight(victims):
    batches = fetch_batches(loader(), is_starting=True)
    started = time.monotonic()
    first = next(batches)
    processes = [process.pid for process in multiprocessing.active_children()]
    assert len(processes) == 2
    time.sleep(0.3)  # the next batches are sent
    for pid in processes if victims == "all" else processes[:1]:
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(LoaderFailure, match="a loader process died"):
        for _ in range(100):
            next(batches)
    assert time.monotonic() - started < 30 and first["label"].tolist() == [[0] * 5, [1] * 5]
    del batches
    gc.collect()
    # Other tests may run beside this one; torch's names have the number of the process.
    own = tuple(f"torch_{pid}_" for pid in (os.getpid(), *processes))
    assert not [name for name in os.listdir("/dev/shm") if name.startswith(own)]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_that_are_kept_do_not_change(workers):
    """More of them than there are shared buffers."""
    for _ in range(2):
        batches = list(loader(workers))
        assert all(isinstance(batch, PackedTensors) for batch in batches)
        assert [batch["label"][:, 0].tolist() for batch in batches] == [[2 * i, 2 * i + 1] for i in range(30)]
        assert [int(batch["image"].sum()) for batch in batches] == [192 * (4 * i + 1) for i in range(30)]


def test_batches_use_the_same_memory_again():
    places = {batch.buffer.data_ptr() for batch in loader(1)}
    assert 1 < len(places) <= 4


def test_items_of_a_data_set_are_as_announced(tmp_path):
    make_crops(tmp_path)
    alone, workers = (build_train_loader(make_config(tmp_path, TRAIN__NUM_WORKERS=n), seed=0) for n in (0, 2))
    dataset = alone.dataset
    assert {name: (each.shape, each.dtype) for name, each in dataset[0, 0].items()} == dataset.forms
    assert alone.collate_fn.layout == next(iter(workers)).layout
    assert_equal(load_items(alone, 1), load_items(workers, 1))


def test_processes_start_once(tmp_path):
    """Also for an epoch that is left early, and one that is resumed in the middle."""
    make_crops(tmp_path)
    alone, workers = (build_train_loader(make_config(tmp_path, TRAIN__NUM_WORKERS=n), seed=0) for n in (0, 2))
    expected = load_items(alone, 1)
    next(iter(workers))
    processes = {process.pid for process in multiprocessing.active_children()}
    workers.batch_sampler.set_epoch(1, start_step=4)
    resumed = [{name: value[i] for name, value in batch.items()} for batch in workers for i in range(4)]
    assert_equal(resumed, expected[16:])
    assert_equal(load_items(workers, 1), expected)
    assert len(processes) == 2 and {process.pid for process in multiprocessing.active_children()} == processes


def test_python_exits_with_an_open_loader(tmp_path):
    """Loader processes ignore the signal by which multiprocessing ends them, and it waits for them."""
    make_crops(tmp_path)
    code = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from toy_data import make_config
from pysot.datasets.data_builder import build_train_loader
loader = build_train_loader(make_config(Path(sys.argv[1]), TRAIN__NUM_WORKERS=2), seed=0)
stream = iter(loader)
print(len(next(stream)["search"]))
"""
    command = [sys.executable, "-c", code, tmp_path, ROOT, ROOT / "test"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and int(done.stdout) > 0, done.stderr
