"""Memory that loader processes fill and the main process reads, used again and again.

New shared memory costs a page fault for every 4 KiB in both processes: for a batch of 28 pairs that takes 20 times as
long as its copy.
"""

import mmap
import os
import weakref
from collections.abc import Callable
from multiprocessing import reduction
from typing import IO, Any

import numpy as np
import torch

from pysot.utils.packed_tensors import ALIGNMENT, Layout, PackedTensors

# Buffers of a loader process: it prepares two batches in advance, and the main process may hold two.
PER_PROCESS = 4
_created: weakref.WeakValueDictionary[int, "SharedBuffers"] = weakref.WeakValueDictionary()  # by key


class SharedBuffers:
    """Buffers for batches of a layout, PER_PROCESS for each of `processes` loader processes.

    A loader process takes a buffer; it is free again when the main process has dropped all tensors in it. The memory is
    not allocated before it is used, has no name that could outlive the processes, and does not count as /dev/shm.
    """

    def __init__(self, layout: Layout, processes: int, key: int | None = None, file: IO[bytes] | None = None) -> None:
        """Create them, or with `key` and `file` open those of the main process."""
        count = processes * PER_PROCESS
        start = -(-count // ALIGNMENT) * ALIGNMENT
        self.layout = layout
        self.processes = processes
        self._file = os.fdopen(os.memfd_create("batches"), "r+b") if file is None else file
        self._file.truncate(start + count * layout.size)
        memory = np.frombuffer(mmap.mmap(self._file.fileno(), start + count * layout.size), np.uint8)
        self._taken = memory[:count]  # set by the loader process, cleared by the main process
        self._buffers = memory[start:].reshape(count, layout.size)
        self._key = id(self) if key is None else key
        if key is None:
            _created[self._key] = self

    def __reduce__(self) -> tuple[Callable[..., "SharedBuffers"], tuple]:
        return _open, (self.layout, self.processes, self._key, reduction.DupFd(self._file.fileno()))

    def take(self, process: int) -> "SharedTensors | None":
        """Return tensors in a free buffer of a loader process, to be filled and sent once; None if none is free."""
        first = process * PER_PROCESS
        free = np.flatnonzero(self._taken[first : first + PER_PROCESS] == 0)
        if not len(free):
            return None
        number = first + int(free[0])
        self._taken[number] = 1
        return SharedTensors(torch.from_numpy(self._buffers[number]), self.layout, (self._key, number))

    def receive(self, number: int) -> PackedTensors:
        """Return the tensors in a buffer, which is free when the last of them has gone."""
        view = self._buffers[number]
        # The tensor's memory belongs to `view`, as does the memory of all tensors made from it.
        weakref.finalize(view, self._taken.__setitem__, number, 0).atexit = False
        return PackedTensors(torch.from_numpy(view), self.layout)


class SharedTensors(PackedTensors):
    """Tensors in a buffer of SharedBuffers, of which only the number is sent."""

    def __init__(self, buffer: torch.Tensor, layout: Layout, place: tuple[int, int]) -> None:
        super().__init__(buffer, layout)
        self.place = place

    def __reduce__(self) -> tuple[Callable[..., PackedTensors], tuple]:
        return _receive, self.place


def _open(layout: Layout, processes: int, key: int, descriptor: Any) -> SharedBuffers:
    return SharedBuffers(layout, processes, key, os.fdopen(descriptor.detach(), "r+b"))


def _receive(key: int, number: int) -> PackedTensors:
    return _created[key].receive(number)
