"""Benchmark of several processes against one: speed, cost of communication, and a model of more processes from that."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from pysot.benchmarks.job import Job, Result, Row
from pysot.benchmarks.synthetic import Batch
from pysot.benchmarks.train_step import describe_bottleneck, time_parts
from pysot.benchmarks.training import build_trainer_and_loader
from pysot.engine.train_loop import Trainer
from pysot.utils.device import synchronize
from pysot.utils.distributed import barrier

MODELED_CARDS = (8, 64)


@dataclass(frozen=True)
class Scaling:
    """Seconds of a training step with one and with several processes, and of the all-reduce.

    `alone`: a step of one process while the others wait. `unsynchronized`: a step of `processes` at once that exchange
    no gradients. `synchronized`: the same with the exchange. `latency`: an all-reduce of one number. `all_reduce`: an
    all-reduce of all gradients, which have `gradient_bytes`.
    """

    processes: int
    alone: float
    unsynchronized: float
    synchronized: float
    latency: float
    all_reduce: float
    gradient_bytes: int

    @property
    def efficiency(self) -> float:
        """Return the weak scaling: the speed of a process among the others over its speed alone."""
        return self.alone / self.synchronized

    @property
    def communication(self) -> float:
        """Return the seconds per step spent waiting for gradients of others, beyond what the backward pass hides."""
        return max(0.0, self.synchronized - self.unsynchronized)

    def ring_seconds(self, processes: int) -> float:
        """Return the seconds of an all-reduce of all gradients over a ring of `processes`.

        A ring sends 2 (n - 1) messages one after the other, which carry 2 (n - 1) / n of the bytes: Patarasuk and Yuan,
        Bandwidth optimal all-reduce algorithms, 2009. Latency and bandwidth are as measured.
        """
        message = self.latency / (2 * (self.processes - 1))
        bytes_part = max(0.0, self.all_reduce - self.latency) / ((self.processes - 1) / self.processes)
        return 2 * (processes - 1) * message + bytes_part * (processes - 1) / processes

    def predicted_step_seconds(self, processes: int) -> float:
        """Predict the seconds of a step of more `processes`, each with a link and a share of a machine as measured.

        The backward pass hides nothing of what a longer ring adds.
        """
        longer_ring = max(0.0, self.ring_seconds(processes) - self.ring_seconds(self.processes))
        return self.unsynchronized + self.communication + longer_ring

    def predicted_efficiency(self, processes: int) -> float:
        """Predict the `efficiency` of more `processes`."""
        return self.alone / self.predicted_step_seconds(processes)


def measure_scaling(trainer: Trainer, batches: Sequence[Batch], steps: int, repeats: int) -> Scaling:
    """Time the steps of a trainer of several processes; every process must call this.

    Returns medians of `repeats` rounds; every round measures everything in turn. Raises ValueError for a trainer of one
    process.
    """
    if trainer.rank.world_size < 2:
        raise ValueError(
            "scaling needs two processes or more; start with torchrun --nproc_per_node=N, or leave --processes at its "
            "default"
        )
    wrapped = cast(DistributedDataParallel, trainer.train_step.network)
    trainer.compute = trainer.train_step  # a graph contains the exchange, or not

    def run_steps(synchronize_gradients: bool) -> None:
        for index in range(steps):
            if synchronize_gradients:
                trainer.step(batches[index % len(batches)])
            else:
                with wrapped.no_sync():
                    trainer.step(batches[index % len(batches)])

    size = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    gradients, one_number = (torch.zeros(n, device=trainer.device) for n in (size, 1))
    # By field of Scaling: the work, and how many times it does what the field measures.
    works: dict[str, tuple[Callable[[], object], int]] = {
        "alone": (lambda: run_steps(False) if trainer.rank.is_main else None, steps),
        "unsynchronized": (lambda: run_steps(False), steps),
        "synchronized": (lambda: run_steps(True), steps),
        "latency": (lambda: [dist.all_reduce(one_number) for _ in range(10)], 10),
        "all_reduce": (lambda: [dist.all_reduce(gradients) for _ in range(3)], 3),
    }
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(2):  # DistributedDataParallel fixes its buckets, in all processes, before its second step
        run_steps(True)
    for _ in range(repeats):
        for name, (work, count) in works.items():
            spent[name].append(_slowest_seconds(work, trainer.device) / count)
    medians = {name: statistics.median(seconds) for name, seconds in spent.items()}
    return Scaling(trainer.rank.world_size, **medians, gradient_bytes=gradients.numel() * gradients.element_size())


def _slowest_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of the slowest process; all begin together, and processes that are done wait idle."""
    synchronize(device)
    barrier()
    began = time.perf_counter()
    work()
    synchronize(device)
    seconds = torch.tensor(time.perf_counter() - began, device=device)
    dist.all_reduce(seconds, dist.ReduceOp.MAX)
    return seconds.item()


def scale(job: Job) -> Result:
    """Measure several processes against one. Every process must call it. Raises as `measure_scaling`."""
    trainer, loader = build_trainer_and_loader(job)
    trainer.begin(0)
    stream = iter(loader)
    batches = [next(stream) for _ in range(2)]
    scaling = measure_scaling(trainer, batches, job.steps, job.repeats)
    with cast(DistributedDataParallel, trainer.train_step.network).no_sync():
        parts = time_parts(trainer, stream, min(2 * job.steps, len(loader) - len(batches)))
    bottleneck = describe_bottleneck(parts | {"communication": scaling.communication})
    return _rows(scaling, job.case.batch_size), bottleneck


def _rows(scaling: Scaling, batch: int) -> list[Row]:
    """Return the measured values and the model."""
    count = scaling.processes
    pairs = count * batch
    sharing = scaling.unsynchronized - scaling.alone
    rows = [
        Row("one process", batch / scaling.alone, "pairs/s"),
        Row(
            f"{count} processes", pairs / scaling.synchronized, "pairs/s", scaling.alone * count / scaling.synchronized
        ),
        Row("parallel efficiency", 100 * scaling.efficiency, "%"),
        Row("lost to sharing a machine", 100 * sharing / scaling.synchronized, "%"),
        Row("lost to communication", 100 * scaling.communication / scaling.synchronized, "%"),
        Row("gradients", scaling.gradient_bytes / 2**20, "MiB"),
        Row("all-reduce of the gradients alone", 1000 * scaling.all_reduce, "ms"),
        Row("all-reduce of one number", 1000 * scaling.latency, "ms"),
    ]
    for cards in MODELED_CARDS:
        efficiency = scaling.predicted_efficiency(cards)
        speed = cards * batch / scaling.predicted_step_seconds(cards)
        rows += [
            Row(f"model of {cards}", speed, "pairs/s", cards * efficiency),
            Row(f"model of {cards}, efficiency", 100 * efficiency, "%"),
        ]
    return rows
