"""Measure work on a device: time by the device's own clock, and memory that `pysot.utils.device` does not count."""

import time
from collections.abc import Callable

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
