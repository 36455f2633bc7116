"""The speed and memory of the training step, its own and that of the plain way: what tools/benchmark.py and
tools/check_device.py share.
"""

import gc
import itertools
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader

from pysot.benchmarks.case_builder import Case, build_plain_step
from pysot.benchmarks.job import Job, Result, Row
from pysot.benchmarks.train_step import seconds_per_step, time_parts, verdict
from pysot.datasets.data_builder import build_train_loader
from pysot.engine.batch import float_images
from pysot.engine.engine_builder import build_trainer
from pysot.engine.optimizer import FreezePlan
from pysot.engine.train_loop import Trainer
from pysot.models.model_builder import build_model
from pysot.utils.device import forget_peak_memory, peak_memory_mib, wants_pinned_memory
from pysot.utils.meter import reserved_memory_mib


@dataclass(frozen=True)
class Timed:
    """Seconds per step of each repetition, memory in use and reserved (None on a CPU) in MiB, and the median seconds of
    the parts where they were timed.
    """

    seconds: list[float]
    memory: float
    reserved: float | None
    parts: dict[str, float]

    def speeds(self, batch: int) -> list[float]:
        """Pairs per second of each repetition."""
        return [batch / seconds for seconds in self.seconds]


def build_run(job: Job) -> tuple[Trainer, DataLoader]:
    """A trainer and the loader of the config's data, as tools/train.py has them."""
    cfg, rank, device = job.case.cfg, job.rank, job.device
    loader = build_train_loader(
        cfg,
        seed=0,
        rank=rank.index,
        world_size=rank.world_size,
        pin_memory=wants_pinned_memory(device),
        workers=job.claim_cores(rank, device),
        data_path=job.data_path,
    )
    return build_trainer(cfg, build_model(cfg), loader, device, rank, save=False), loader


def time_trainer(
    trainer: Trainer,
    batches: list[dict],
    steps: int,
    repeats: int,
    stream: Iterable[dict] | None = None,
    warm_up: int = 3,
) -> Timed:
    """Time a begun trainer over `batches`; the parts of a step over a `stream` of others, whose wait for data counts,
    without one over the same again.
    """
    forget_peak_memory(trainer.device)
    seconds = seconds_per_step(trainer.step, batches, trainer.device, steps, repeats, warm_up)
    memory = peak_memory_mib(trainer.device), reserved_memory_mib(trainer.device)
    if stream is None:
        return Timed(seconds, *memory, time_parts(trainer, itertools.cycle(batches), 2 * steps))
    return Timed(seconds, *memory, time_parts(trainer, stream, min(2 * steps, len(trainer.loader) - len(batches))))


def time_plain(
    case: Case,
    freeze: FreezePlan,
    epoch: int,
    batches: list[dict],
    device: torch.device,
    steps: int,
    repeats: int,
) -> Timed:
    """Time the plain way of stepping a new network of a config; see `free` about what came before it."""
    forget_peak_memory(device)
    step = build_plain_step(case.cfg, freeze, epoch, device)
    seconds = seconds_per_step(step, [float_images(batch) for batch in batches], device, steps, repeats)
    return Timed(seconds, peak_memory_mib(device), reserved_memory_mib(device), {})


def free(compiled: bool) -> None:
    """Let go of trainers that nobody holds any more, so that what comes next has the memory to itself. What is compiled
    holds its network.
    """
    if compiled:
        torch.compiler.reset()
    gc.collect()


def train(job: Job) -> Result:
    """The training step against the plain way. The trainer is gone before the plain way has its turn: the peak memory
    of each is its own.
    """
    epoch = job.case.unfreeze_epoch if job.backbone else 0
    ours, batches, freeze = _time_ours(job, epoch)
    free(job.case.compiled)
    plain = time_plain(job.case, freeze, epoch, batches, job.device, job.steps, job.repeats)
    target = 1.3 if job.device.type == "cpu" else 3.0 if job.backbone else 4.0
    return _rows(ours, plain, job.case.batch_size, target), verdict(ours.parts)


def _time_ours(job: Job, epoch: int) -> tuple[Timed, list[dict], FreezePlan]:
    """The step as it is timed; the batches and the freeze plan, for another way to step. Its trainer ends with it."""
    trainer, loader = build_run(job)
    stream = iter(loader)
    trainer.begin(epoch)
    batches = [next(stream) for _ in range(4)]
    return time_trainer(trainer, batches, job.steps, job.repeats, stream), batches, trainer.freeze


def _rows(ours: Timed, plain: Timed, batch: int, target: float) -> list[Row]:
    """Speed and memory of both ways, and the parts of our step, which is to be `target` times as fast."""
    speeds, plain_speeds, parts = ours.speeds(batch), plain.speeds(batch), ours.parts
    ratio = statistics.median(speeds) / statistics.median(plain_speeds)
    outside = 1 - (parts["forward"] + parts["backward"]) / sum(parts.values())
    reserved = {"": ours.reserved, " of the plain way": plain.reserved}
    return [
        Row("speed", statistics.median(speeds), "pairs/s", ratio, target),
        Row("speed, spread", statistics.pstdev(speeds), "pairs/s"),
        Row("plain way", statistics.median(plain_speeds), "pairs/s"),
        Row("plain way, spread", statistics.pstdev(plain_speeds), "pairs/s"),
        Row("peak memory", ours.memory, "MiB", ours.memory / plain.memory, 1.0),
        Row("peak memory of the plain way", plain.memory, "MiB"),
        *(Row(f"reserved memory{way}", mib, "MiB") for way, mib in reserved.items() if mib is not None),
        *(Row(part, 1000 * seconds, "ms") for part, seconds in parts.items()),
        Row("outside forward and backward", 100 * outside, "%", target=5.0),
    ]
