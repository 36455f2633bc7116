"""Measure work on a device: time by its own clock, memory that `device.py` does not count."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pysot.utils.device import device_module


def elapsed_ms(device: torch.device, work: Callable[[], object]) -> float:
    """Return the milliseconds that `work` takes on the device, and wait for it.

    Time is measured between two events in the queue of the device; on a CPU, by the clock of the host.
    """
    module = device_module(device)
    if module is None:
        start = time.perf_counter()
        work()
        return 1000 * (time.perf_counter() - start)
    with module.device(device):  # events are recorded on a stream of the current device
        first, last = (module.Event(enable_timing=True) for _ in range(2))
        first.record()
        work()
        last.record()
        last.synchronize()
        return first.elapsed_time(last)


def reserved_memory_mib(device: torch.device) -> float | None:
    """Return the peak memory in MiB that torch's allocator reserved on the device, in use or cached; None on a CPU.

    Other processes cannot use that memory. `reset_peak_memory` makes it count from scratch.
    """
    module = device_module(device)
    return None if module is None else module.max_memory_reserved(device) / 2**20


def free_memory(device: torch.device) -> int | None:
    """Return the bytes of memory that are free on the device, for a CPU those that Linux can free; None if unknown."""
    module = device_module(device)
    if module is not None:  # the cache of torch's allocator is free, too
        return int(module.mem_get_info(device)[0]) + module.memory_reserved(device) - module.memory_allocated(device)
    free = []
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    with contextlib.suppress(OSError, ValueError):  # the limit is "max" without one
        limit, used = (int(Path("/sys/fs/cgroup", f"memory.{name}").read_text()) for name in ("max", "current"))
        free.append(limit - used)
    return min(free, default=None)
