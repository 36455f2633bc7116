"""The processor cores that this process may use, and its share of them among the processes on this machine; and the files that it may open."""

import contextlib
import os
import re
from pathlib import Path

try:
    import resource
except ImportError:  # not on Windows
    resource = None

_CGROUP = Path("/sys/fs/cgroup")
_FILES, _FILES_OF_WORKER = (
    64,
    48,
)  # of a process, and for each of its loader processes: pipes, and nine arrays of each batch on its way


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
    return cores[local_rank * each : (local_rank + 1) * each] if each else cores


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
    return force or all(
        given.get(card, set(range(card * each, (card + 1) * each))) <= set(cores) for card in range(cards)
    )


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


def allow_open_files(workers: int, fewer: bool = False) -> int:
    """Raise this process's limit of open files as far as it may go: a batch that a loader process hands over has a file for each of its arrays. Returns
    `workers`, or where `fewer` will do as well, as many of them as there are files for.

    Raises ValueError where the files are too few: loader processes would wait for each other for ever.
    """
    if resource is None:
        return workers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else 1 << 20
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    fed = workers if soft == resource.RLIM_INFINITY else (soft - _FILES) // _FILES_OF_WORKER
    if 0 < workers > fed and (not fewer or fed < 1):
        raise ValueError(
            f"this process may open {soft} files (ulimit -n), and {workers} loader process(es) need {_FILES + _FILES_OF_WORKER * workers}; raise "
            "the limit, such as with ulimit -n 4096, or set TRAIN.NUM_WORKERS 0"
        )
    return min(workers, fed) if workers else 0
