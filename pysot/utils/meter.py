"""What work costs on a device: time by the device's own clock, and memory beyond what `pysot.utils.device` counts."""

import time
from collections.abc import Callable

import torch

from pysot.utils.device import device_module


def elapsed_ms(device: torch.device, work: Callable[[], object]) -> float:
    """Milliseconds that a piece of work takes on the device, between two events in its queue; by the clock of the host on a CPU. Waits for the work."""
    module = device_module(device)
    if module is None:
        began = time.perf_counter()
        work()
        return 1000 * (time.perf_counter() - began)
    first, last = (module.Event(enable_timing=True) for _ in range(2))
    first.record()
    work()
    last.record()
    last.synchronize()
    return first.elapsed_time(last)


def reserved_memory_mib(device: torch.device) -> float | None:
    """The most memory that torch's allocator took from the device at a time, in use or kept for later, MiB: other processes could not have it. None on a CPU.
    `forget_peak_memory` lets it count anew.
    """
    module = device_module(device)
    return None if module is None else module.max_memory_reserved(device) / 2**20
