"""Measures what several processes gain over one, and what their communication costs; a model of more processes from that."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist

from pysot.benchmarks.job import Job, Result, Row
from pysot.benchmarks.train_step import time_parts, verdict
from pysot.benchmarks.training import build_run
from pysot.engine.train_loop import Trainer
from pysot.utils.device import synchronize
from pysot.utils.distributed import barrier

FORESEEN = (8, 64)  # cards


@dataclass(frozen=True)
class Scaling:
    """Seconds of a training step: of one process that has the machine to itself (`alone`), of `processes` at once that reduce no gradients (`apart`), and of
    as many that do (`together`); seconds of an all-reduce of nothing (`latency`) and of all gradients (`reduce`), whose size is `gradient_bytes`.
    """

    processes: int
    alone: float
    apart: float
    together: float
    latency: float
    reduce: float
    gradient_bytes: int

    @property
    def efficiency(self) -> float:
        """Weak scaling: the speed of a process among the others over its speed alone."""
        return self.alone / self.together

    @property
    def communication(self) -> float:
        """Seconds of a step that the processes wait for each other's gradients, beyond what hides behind the backward pass."""
        return max(0.0, self.together - self.apart)

    def ring(self, processes: int) -> float:
        """Seconds of an all-reduce of all gradients over a ring: 2 (n - 1) messages one after the other, which carry 2 (n - 1) / n of the bytes.
        Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms, 2009; latency and bandwidth as measured.
        """
        message = self.latency / (2 * (self.processes - 1))
        bytes_part = max(0.0, self.reduce - self.latency) / ((self.processes - 1) / self.processes)
        return 2 * (processes - 1) * message + bytes_part * (processes - 1) / processes

    def step_of(self, processes: int) -> float:
        """Seconds of a step of more `processes`, each with a link and a share of a machine as here: what a longer ring adds, nothing hides."""
        return self.apart + self.communication + max(0.0, self.ring(processes) - self.ring(self.processes))

    def efficiency_of(self, processes: int) -> float:
        """`efficiency` as `step_of` foresees it."""
        return self.alone / self.step_of(processes)


def measure_scaling(trainer: Trainer, batches: Sequence[dict], steps: int, repeats: int) -> Scaling:
    """Time the steps of a trainer of several processes, each of which calls this. Medians of `repeats` rounds, in which every way has its turn.

    Raises ValueError for a trainer of one process.
    """
    if trainer.rank.world_size < 2:
        raise ValueError(
            "scaling needs two processes or more; start with torchrun --nproc_per_node=N, or leave --processes at its default"
        )

    def steps_on(synchronized: bool) -> None:
        for index in range(steps):
            if synchronized:
                trainer.step(batches[index % len(batches)])
            else:
                with trainer.wrapped.no_sync():
                    trainer.step(batches[index % len(batches)])

    size = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    gradients, nothing = (torch.zeros(n, device=trainer.device) for n in (size, 1))
    ways = {
        "alone": (lambda: steps_on(False) if trainer.rank.is_main else None, steps),
        "apart": (lambda: steps_on(False), steps),
        "together": (lambda: steps_on(True), steps),
        "latency": (lambda: [dist.all_reduce(nothing) for _ in range(10)], 10),
        "reduce": (lambda: [dist.all_reduce(gradients) for _ in range(3)], 3),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(2):  # DistributedDataParallel settles its buckets, together, before its second step
        steps_on(True)
    for _ in range(repeats):
        for name, (work, count) in ways.items():
            spent[name].append(_slowest(work, trainer.device) / count)
    medians = {name: statistics.median(seconds) for name, seconds in spent.items()}
    return Scaling(trainer.rank.world_size, **medians, gradient_bytes=gradients.numel() * gradients.element_size())


def _slowest(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the process that takes longest, all having begun together; the others wait for it without work of their own."""
    synchronize(device)
    barrier()
    began = time.perf_counter()
    work()
    synchronize(device)
    seconds = torch.tensor(time.perf_counter() - began, device=device)
    dist.all_reduce(seconds, dist.ReduceOp.MAX)
    return seconds.item()


def scale(job: Job) -> Result:
    """Several processes against one. Every process calls it. Raises as `measure_scaling`."""
    trainer, loader = build_run(job)
    trainer.begin(0)
    stream = iter(loader)
    batches = [next(stream) for _ in range(2)]
    seen = measure_scaling(trainer, batches, job.steps, job.repeats)
    with trainer.wrapped.no_sync():
        parts = time_parts(trainer, stream, min(2 * job.steps, len(loader) - len(batches)))
    return _rows(seen, job.case.batch_size), verdict(parts | {"communication": seen.communication})


def _rows(seen: Scaling, batch: int) -> list[Row]:
    """The figures of a measurement, and the model."""
    count = seen.processes
    rows = [
        Row("one process", batch / seen.alone, "pairs/s"),
        Row(f"{count} processes", count * batch / seen.together, "pairs/s", seen.alone * count / seen.together),
        Row("parallel efficiency", 100 * seen.efficiency, "%"),
        Row("lost to sharing a machine", 100 * (seen.apart - seen.alone) / seen.together, "%"),
        Row("lost to communication", 100 * seen.communication / seen.together, "%"),
        Row("gradients", seen.gradient_bytes / 2**20, "MiB"),
        Row("all-reduce of the gradients alone", 1000 * seen.reduce, "ms"),
        Row("all-reduce of one number", 1000 * seen.latency, "ms"),
    ]
    for cards in FORESEEN:
        efficiency = seen.efficiency_of(cards)
        rows += [
            Row(f"model of {cards}", cards * batch / seen.step_of(cards), "pairs/s", cards * efficiency),
            Row(f"model of {cards}, efficiency", 100 * efficiency, "%"),
        ]
    return rows
