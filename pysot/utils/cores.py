"""The processor cores that this process may use, and its share of them among the processes on this machine."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores() -> list[int]:
    """Numbers of the cores that this process may run on: fewer than the machine has, under taskset or in a container with a cpuset."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def core_quota(root: Path = _CGROUP) -> float:
    """Processor time per second that the container grants, in cores; infinite without a limit. Reads cgroup v2 (cpu.max) or v1 (cpu.cfs_*)."""
    try:
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return float(quota) / float(period) if quota not in ("max", "-1") else float("inf")
    except (OSError, ValueError):
        return float("inf")


def share_of_cores(cores: list[int], local_rank: int, local_world_size: int) -> list[int]:
    """The part of `cores` that belongs to process `local_rank` of `local_world_size`: neighbours, equally many each; all where there are too few."""
    each = len(cores) // local_world_size
    return cores[local_rank * each:(local_rank + 1) * each] if each else cores


def bind_to_cores(cores: list[int]) -> None:
    """Keep this process, and those that it starts, on `cores`. Systems that cannot are left alone."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def loader_workers(cores: int, local_world_size: int, quota: float) -> int:
    """Loader processes for a process with `cores` of its own: two cores stay for the training and its threads; at least one, and no more than a container's
    `quota` for all processes pays for.
    """
    paid = int(quota / local_world_size) - 1 if quota != float("inf") else cores
    return max(1, min(cores - 2, paid))
