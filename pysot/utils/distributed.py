"""Several processes of one run: find the rank, join, reduce, leave. A single process passes through unchanged."""

import atexit
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

# Its default arguments are the process group of the time of its import. DDP imports it as well, and the group would not
# end before Python does.
import torch.distributed.nn.functional

from pysot.utils.device import choose_device, distributed_backend
from pysot.utils.signals import StopRequest
from pysot.utils.watchdog import Heartbeat, Watchdog, attempt

T = TypeVar("T")
_PORT = "29500"  # torchrun's default
_JOIN_TIMEOUT = timedelta(minutes=5)  # machines may start minutes apart


@dataclass(frozen=True)
class Rank:
    """Number of this process among all processes, their count, and the same two numbers on this machine."""

    index: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @property
    def is_main(self) -> bool:
        """True for the main process, which prints and writes."""
        return self.index == 0


def find_rank(local_rank: int | None = None) -> Rank:
    """Read this process's rank from the environment that torchrun or a script sets for each process.

    The variables are RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT. `local_rank` is the argument of the old
    launcher and replaces LOCAL_RANK. If only WORLD_SIZE is set, all processes are on this machine.

    Raises ValueError if the environment is incomplete or contradicts itself.
    """
    env = os.environ
    if local_rank is not None and not env.get("RANK") and env.get("WORLD_SIZE", "1") != "1":
        defaults = {
            "RANK": str(local_rank),
            "LOCAL_WORLD_SIZE": env["WORLD_SIZE"],
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": _PORT,
        }
        env.update({name: value for name, value in defaults.items() if not env.get(name)})
    names = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": local_rank or 0, "LOCAL_WORLD_SIZE": 1}
    try:
        rank, world_size, local, local_world = (int(env.get(name) or default) for name, default in names.items())
    except ValueError as error:
        raise ValueError(f"{', '.join(names)} must be whole numbers: {error}") from None
    if not 0 <= rank < world_size or local < 0:
        raise ValueError(
            f"RANK is {rank} and WORLD_SIZE {world_size}, LOCAL_RANK {local}; expected RANK from 0 to {world_size - 1}."
            " Start with torchrun --nproc_per_node=N"
        )
    needed = ["RANK", "MASTER_ADDR", "MASTER_PORT", *(["LOCAL_RANK"] if local_rank is None else [])]
    missing = [name for name in needed if world_size > 1 and not env.get(name)]
    if missing:
        raise ValueError(
            f"WORLD_SIZE is {world_size} but {' and '.join(missing)} is not set; start with torchrun "
            "--nproc_per_node=N, or export it (--local_rank replaces LOCAL_RANK)"
        )
    port = env.get("MASTER_PORT", "")
    if world_size > 1 and not (port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"MASTER_PORT is {port!r}; expected a number from 1 to 65535, the same for all processes")
    return Rank(rank, world_size, local, max(1, local_world))


def collective_timeout(device: torch.device) -> timedelta:
    """Return how long a collective may wait for its peers.

    It is longer than HCCL's own limit, so that HCCL's message, which names the peer, comes first.
    """
    seconds = 30 * 60.0
    if device.type == "npu":
        for name, default in (("HCCL_CONNECT_TIMEOUT", "120"), ("HCCL_EXEC_TIMEOUT", "1836")):
            text = os.environ.get(name) or default
            if not text.isdecimal():
                raise ValueError(f"{name} is {text!r}; expected a whole number of seconds")
            seconds = max(seconds, int(text))
    return timedelta(seconds=seconds + 600)


@contextmanager
def process_group(
    rank: Rank, device: torch.device, request: StopRequest | None = None, heartbeat: Heartbeat | None = None
) -> Iterator[None]:
    """Join the process group for this context, and leave it in order at the end; do nothing for a single process.

    In the context, a process that dies, fails, or hangs according to its `heartbeat` ends all others. A `request` to
    stop that any process receives is passed on to rank 0.

    Raises RuntimeError if the processes do not find each other.
    """
    if rank.world_size == 1:
        yield
        return
    heartbeat = heartbeat or Heartbeat()
    watchdog = _join_process_group(rank, device, request or StopRequest(), heartbeat)
    try:
        yield
    except BaseException as error:
        cause = watchdog.diagnose() if isinstance(error, RuntimeError) else None
        watchdog.stop(failure=f"{type(error).__name__}: {error}")
        if cause:
            raise RuntimeError(f"rank {rank.index} ends: {cause} ({str(error).splitlines()[0][:160]})") from error
        raise
    heartbeat.beat("waits for the others at the end")
    barrier()  # rank 0 may hold the store: no process may leave before all are done
    watchdog.stop()
    # A thread of gloo that frees a tensor while Python exits would abort the process: no object may keep the group.
    gc.collect()
    dist.destroy_process_group()


def dist_init() -> tuple[int, int]:
    """Join the process group until the end of the process, and return the rank and the number of processes.

    For scripts of the original package. Errors are those of `find_rank`, `choose_device` and `process_group`.
    """
    rank = find_rank()
    group = process_group(rank, choose_device(local_rank=rank.local_rank))
    group.__enter__()
    atexit.register(group.__exit__, None, None, None)
    return rank.index, rank.world_size


def get_rank() -> int:
    """Return the number of this process among all, 0 for a single process."""
    return dist.get_rank() if dist.is_initialized() else 0


def get_world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def _join_process_group(rank: Rank, device: torch.device, request: StopRequest, heartbeat: Heartbeat) -> Watchdog:
    """Connect to the store of the run, start the watchdog and initialize torch.distributed."""
    host, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
    timeout = collective_timeout(device)
    try:
        store, _, _ = next(dist.rendezvous("env://", rank.index, rank.world_size, timeout=_JOIN_TIMEOUT))
        store = dist.PrefixStore(f"pysot/{attempt()}", store)
        watchdog_store = dist.TCPStore(host, int(port), is_master=False, timeout=_JOIN_TIMEOUT)
        watchdog = Watchdog(watchdog_store, rank.index, rank.world_size, request, heartbeat)
        dist.init_process_group(
            distributed_backend(device),
            store=store,
            rank=rank.index,
            world_size=rank.world_size,
            timeout=timeout,
            device_id=None if device.type == "cpu" else device,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        remedy = f"is {host}:{port} the address of rank 0, and is rank 0 running?"
        if "EADDRINUSE" in str(error) or "address already in use" in str(error):
            remedy = f"port {port} is taken by another program: set another MASTER_PORT"
        raise RuntimeError(
            f"rank {rank.index}: the {rank.world_size} processes did not meet at {host}:{port} ({reason}); {remedy}"
        ) from error
    return watchdog


def any_over_ranks(flag: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Start to compute whether a scalar bool is true in any process, and return a function that gives the answer.

    The answer is a tensor on the same device. The device waits for it as for any operator; the host waits only for
    processes on CPUs.
    """
    value = flag.float()
    work = dist.all_reduce(value, op=dist.ReduceOp.MAX, async_op=True)

    def answer() -> torch.Tensor:
        work.wait()
        return value > 0

    return answer


def mean_over_ranks(values: dict[str, torch.Tensor], flags: torch.Tensor) -> tuple[dict[str, float], list[float]]:
    """Average scalars and the elements of `flags` (N,) over all processes in one reduction, and return them as numbers.

    Waits for the device.
    """
    packed = torch.cat([torch.stack([v.detach().float() for v in values.values()]), flags])
    if dist.is_initialized():
        dist.all_reduce(packed)
        packed /= dist.get_world_size()
    numbers = packed.tolist()
    return dict(zip(values, numbers, strict=False)), numbers[len(values) :]


def broadcast_from_main(make: Callable[[], T]) -> T:
    """Return the result of `make()` in process 0 to every process. It may hold tensors on the CPU."""
    if not dist.is_initialized():
        return make()
    values: list = [make() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(values)
    return values[0]


def gather_from_all(value: T) -> list[T]:
    """Return the values of all processes, by rank."""
    if not dist.is_initialized():
        return [value]
    values: list = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def barrier() -> None:
    """Wait until every process has reached this call."""
    if dist.is_initialized():
        dist.barrier()
