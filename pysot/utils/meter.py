"""Measure work on a device: time by its own clock, quantiles of latencies, memory that `device.py` does not count."""

import contextlib
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from pysot.utils.device import device_module

_SHORTEST, _LONGEST = 1e-6, 1e4  # seconds
_BIN = math.log(1.01)  # each bin of latencies ends 1 % later than the one before


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


class LatencyMeter:
    """Quantiles of any number of latencies to 1 %, in constant memory; below 1 us and above 10^4 s they are cut off."""

    def __init__(self) -> None:
        self._counts = np.zeros(math.ceil(math.log(_LONGEST / _SHORTEST) / _BIN) + 1, np.int64)

    @property
    def count(self) -> int:
        """Number of latencies."""
        return int(self._counts.sum())

    def add(self, seconds: float) -> None:
        """Count a latency. Raises ValueError unless it is a number."""
        if math.isnan(seconds):
            raise ValueError("a latency is a number of seconds, got NaN")
        cut = min(max(seconds, _SHORTEST), _LONGEST)
        self._counts[round(math.log(cut / _SHORTEST) / _BIN)] += 1

    def quantile(self, part: float) -> float:
        """Return the latency in seconds that `part` in (0, 1] of all do not exceed; NaN without any."""
        if not 0 < part <= 1:
            raise ValueError(f"a quantile is of a part in (0, 1], got {part}")
        counts = self._counts.cumsum()
        if counts[-1] == 0:
            return math.nan
        return _SHORTEST * math.exp(_BIN * int(np.searchsorted(counts, math.ceil(part * counts[-1]))))
