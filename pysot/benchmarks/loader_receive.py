"""Benchmark of receiving a batch of a loader process: one buffer against separate tensors."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from pysot.datasets.collate import Collate, Forms
from pysot.datasets.dataset import init_worker
from pysot.utils.packed_tensors import PackedTensors

_READY = 0.1  # seconds after which the next batch has been sent
Item = dict[str, np.ndarray]


class _SameItems(Dataset):
    """Items in memory, again and again."""

    def __init__(self, items: Sequence[Item], length: int) -> None:
        self.items = items
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Item:
        return self.items[index % len(self.items)]


def receiving_times(items: Sequence[Item], forms: Forms, repeats: int) -> dict[str, list[float]]:
    """Return processor seconds of taking a batch of a loader process and copying it to memory in use.

    Waiting does not count. The copy, by one thread, stands for that to pinned memory. `packed` is our way, `separate`
    that of torch's default_collate. They alternate.
    """
    size, warm_up = len(items), 6
    data = _SameItems(items, size * (repeats + warm_up + 4))
    collates: dict[str, Callable] = {"packed": Collate(forms, size, processes=1), "separate": default_collate}
    loaders = {
        name: iter(DataLoader(data, size, num_workers=1, collate_fn=collate, worker_init_fn=init_worker))
        for name, collate in collates.items()
    }
    memory = {name: [np.zeros_like(each) for each in _arrays(next(stream))] for name, stream in loaders.items()}
    spent: dict[str, list[float]] = {name: [] for name in loaders}
    for turn in range(repeats + warm_up):
        for name, stream in loaders.items():
            time.sleep(_READY)
            began = time.process_time()
            for place, value in zip(memory[name], _arrays(next(stream)), strict=True):
                np.copyto(place, value)
            if turn >= warm_up:
                spent[name].append(time.process_time() - began)
    return spent


def _arrays(batch: PackedTensors | dict[str, torch.Tensor]) -> list[np.ndarray]:
    """Return what is copied of a batch."""
    return [each.numpy() for each in ([batch.buffer] if isinstance(batch, PackedTensors) else batch.values())]
