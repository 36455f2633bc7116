"""Several processes: who am I, start, reduce, end. One process needs none of it and passes through unchanged."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from pysot.utils.device import distributed_backend

_TIMEOUT = timedelta(minutes=40)  # above HCCL's own (30 minutes), so that HCCL's message comes first


@dataclass(frozen=True)
class Rank:
    """This process: its number among all, the number of all, and its number on this machine."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0


def find_rank(local_rank: int | None = None) -> Rank:
    """This process's place, from the environment that torchrun sets (RANK, WORLD_SIZE, LOCAL_RANK); `local_rank` is that of the old launcher.

    Raises ValueError if the environment contradicts itself.
    """
    env = os.environ
    try:
        world_size, rank = int(env.get("WORLD_SIZE", 1)), int(env.get("RANK", 0))
        local = int(env.get("LOCAL_RANK", local_rank if local_rank is not None else 0))
    except ValueError as error:
        raise ValueError(f"RANK, WORLD_SIZE and LOCAL_RANK must be whole numbers: {error}") from None
    if not 0 <= rank < world_size:
        raise ValueError(f"RANK is {rank} and WORLD_SIZE {world_size}; expected RANK from 0 to {world_size - 1}. Start with torchrun --nproc_per_node=N")
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if world_size > 1 and name not in env]
    if missing:
        raise ValueError(f"WORLD_SIZE is {world_size} but {' and '.join(missing)} is not set; start with torchrun --nproc_per_node=N, or export it")
    return Rank(rank, world_size, local)


@contextmanager
def process_group(me: Rank, device: torch.device) -> Iterator[None]:
    """The process group of a run of several processes, left in order at the end. Raises RuntimeError if the processes do not find each other."""
    if me.world_size == 1:
        yield
        return
    try:
        dist.init_process_group(distributed_backend(device), rank=me.rank, world_size=me.world_size, timeout=_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise RuntimeError(f"rank {me.rank}: the processes did not meet at {where}: {error}. If the port is taken, set another MASTER_PORT") from error
    try:
        yield
    finally:
        dist.destroy_process_group()


def mean_over_ranks(values: dict[str, torch.Tensor], flags: torch.Tensor) -> tuple[dict[str, float], list[float]]:
    """Scalars and the elements of `flags` (N,), averaged over all processes in one reduction, as numbers. It waits for the device."""
    packed = torch.cat([torch.stack([v.detach().float() for v in values.values()]), flags])
    if dist.is_initialized():
        dist.all_reduce(packed)
        packed /= dist.get_world_size()
    numbers = packed.tolist()
    return dict(zip(values, numbers, strict=False)), numbers[len(values):]


def barrier() -> None:
    """Wait until every process has come here."""
    if dist.is_initialized():
        dist.barrier()
