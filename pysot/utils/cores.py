"""CPU cores that this process may use, its share of them, and its limit of open files."""

import contextlib
import os
import re
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_CGROUP = Path("/sys/fs/cgroup")
_FILES = 64  # open files of the process itself
_FILES_OF_WORKER = 48  # for each loader process: pipes, and nine arrays of each batch in transit


def usable_cores() -> list[int]:
    """Return the numbers of the cores that this process may run on.

    They are fewer than the machine has under taskset or in a container with a cpuset.
    """
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def core_quota(root: Path = _CGROUP) -> float:
    """Return the processor time per second that the container grants, in cores; infinite without a limit.

    Reads cgroup v2 (cpu.max) or v1 (cpu.cfs_*).
    """
    try:
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return float(quota) / float(period) if quota not in ("max", "-1") else float("inf")
    except (OSError, ValueError):
        return float("inf")


def share_of_cores(cores: list[int], local_rank: int, local_world_size: int) -> list[int]:
    """Return the part of `cores` that belongs to process `local_rank` of `local_world_size`.

    All parts have the same size and consist of neighbours. With fewer cores than processes, each process gets all of
    them.
    """
    each = len(cores) // local_world_size
    return cores[local_rank * each : (local_rank + 1) * each] if each else cores


def torch_npu_binds_cores(affinity_conf: str, cards: int, usable: list[int], core_count: int) -> bool:
    """Return whether torch_npu binds its threads to cores itself.

    `affinity_conf` is the value of CPU_AFFINITY_CONF, `cards` the number of visible cards, `usable` the cores that the
    process may run on, and `core_count` the number of cores of the machine. torch_npu binds in mode 1 and 2, unless a
    core that it would give to any of the cards is not usable; with force:1 it does not check that.
    """
    mode = "0"
    force = False
    cores_of_card: dict[int, set[int]] = {}
    for option in affinity_conf.split(","):
        key, colon, value = option.partition(":")
        if not colon or key == "mode":
            mode = value if colon else key
        elif key == "force":
            force = value == "1"
        elif re.fullmatch(r"npu\d+", key) and (span := re.fullmatch(r"(\d+)(?:-(\d+))?", value)):
            cores_of_card.setdefault(int(key[3:]), set()).update(range(int(span[1]), int(span[2] or span[1]) + 1))
    if mode not in ("1", "2") or not cards:
        return False
    each = core_count // cards
    return force or all(
        cores_of_card.get(card, set(range(card * each, (card + 1) * each))) <= set(usable) for card in range(cards)
    )


def bind_to_cores(cores: list[int]) -> None:
    """Keep this process, and those that it starts, on `cores`; do nothing where the system cannot."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def loader_workers(cores: int, local_world_size: int, quota: float) -> int:
    """Return the number of loader processes for a training process that owns `cores` cores.

    Two cores are left for the training process and its threads. The result is at least one, and no more than what the
    container's `quota`, shared by all processes, allows.
    """
    paid = int(quota / local_world_size) - 1 if quota != float("inf") else cores
    return max(1, min(cores - 2, paid))


def raise_open_file_limit(workers: int, may_reduce: bool = False) -> int:
    """Raise this process's limit of open files as far as allowed, and return the number of loader processes to start.

    A batch from a loader process takes a file for each of its arrays. The result is `workers`; if `may_reduce` are
    acceptable, it is reduced to the number that the limit allows. Raises ValueError if the limit is too low: loader
    processes would wait for each other forever.
    """
    if resource is None:
        return workers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else 1 << 20
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    possible = workers if soft == resource.RLIM_INFINITY else (soft - _FILES) // _FILES_OF_WORKER
    if 0 < workers > possible and (not may_reduce or possible < 1):
        raise ValueError(
            f"this process may open {soft} files (ulimit -n), and {workers} loader process(es) need "
            f"{_FILES + _FILES_OF_WORKER * workers}; raise the limit, such as with ulimit -n 4096, or set "
            "TRAIN.NUM_WORKERS 0"
        )
    return min(workers, possible) if workers else 0
