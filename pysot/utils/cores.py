"""The processor cores that this process may use, and its share of them among the processes on this machine."""

import os
import re
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
MAX_WORKERS = 8  # loader processes that feed any card: more only take memory


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


def torch_npu_binds(conf: str, cards: int, cores: list[int], all_cores: int) -> bool:
    """Whether torch_npu binds its threads by CPU_AFFINITY_CONF=`conf`, for so many visible cards, a process that may run on `cores`, and a machine of
    `all_cores`. It does for mode 1 and 2, unless a core that it would give to any of the cards is not among `cores`; with force:1 it does not look.
    """
    mode, force, given = "0", False, {}
    for option in conf.split(","):
        key, colon, value = option.partition(":")
        if not colon or key == "mode":
            mode = value if colon else key
        elif key == "force":
            force = value == "1"
        elif re.fullmatch(r"npu\d+", key) and (span := re.fullmatch(r"(\d+)(?:-(\d+))?", value)):
            given.setdefault(int(key[3:]), set()).update(range(int(span[1]), int(span[2] or span[1]) + 1))
    if mode not in ("1", "2") or not cards:
        return False
    each = all_cores // cards
    return force or all(given.get(card, set(range(card * each, (card + 1) * each))) <= set(cores) for card in range(cards))


def bind_to_cores(cores: list[int]) -> None:
    """Keep this process, and those that it starts, on `cores`. Systems that cannot are left alone."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def loader_workers(cores: int, local_world_size: int, quota: float) -> int:
    """Loader processes for a process with `cores` of its own: one core stays for the training, at most MAX_WORKERS, at least one."""
    return max(1, min(MAX_WORKERS, cores - 1, int(quota / local_world_size) - 1 if quota != float("inf") else MAX_WORKERS))
