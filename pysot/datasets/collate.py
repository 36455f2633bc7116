"""Batch collation that copies each array once, into the one buffer of the batch."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.utils.data import get_worker_info

from pysot.utils.packed_tensors import Layout, PackedTensors
from pysot.utils.shared_buffers import SharedBuffers

Forms = Mapping[str, tuple[tuple[int, ...], np.dtype]]  # shape and type of each array of an item


class Collate:
    """Stacking of `batch_size` items of `forms`, in a loader of `processes` loader processes.

    They stack items in shared buffers that are used again and again. If none is free, and where the system has none,
    the buffer is new memory.
    """

    def __init__(self, forms: Forms, batch_size: int, processes: int = 0) -> None:
        self.forms = dict(forms)
        self.layout = Layout(
            {
                name: ((batch_size, *shape), torch.from_numpy(np.empty(0, dtype)).dtype)
                for name, (shape, dtype) in forms.items()
            }
        )
        self.batch_size = batch_size
        # Only Linux has memory without a name.
        self.shared = SharedBuffers(self.layout, processes) if processes and hasattr(os, "memfd_create") else None

    def __call__(self, items: Sequence[dict[str, np.ndarray]]) -> PackedTensors:
        """Stack the arrays of the items by their names. Raises ValueError if the items are not as announced."""
        self._check(items)
        batch = self._take_buffer()
        for name, stacked in batch.items():
            np.stack([item[name] for item in items], out=stacked.numpy())
        return batch

    def _take_buffer(self) -> PackedTensors:
        worker = get_worker_info()
        batch = self.shared.take(worker.id) if worker and self.shared else None
        return PackedTensors(torch.empty(self.layout.size, dtype=torch.uint8), self.layout) if batch is None else batch

    def _check(self, items: Sequence[dict[str, np.ndarray]]) -> None:
        if len(items) != self.batch_size:
            raise ValueError(f"expected a batch of {self.batch_size} items, got {len(items)}")
        for number, item in enumerate(items):
            forms = {name: (array.shape, array.dtype) for name, array in item.items()}
            if forms != self.forms:
                name = next(name for name in [*self.forms, *forms] if self.forms.get(name) != forms.get(name))
                raise ValueError(
                    f"{name} of item {number} of a batch is {_describe(forms, name)}, expected "
                    f"{_describe(self.forms, name)}: all items of a batch have the same arrays"
                )


def _describe(forms: Forms, name: str) -> str:
    shape, dtype = forms.get(name, ("", "missing"))
    return f"{dtype} {shape}".strip()
