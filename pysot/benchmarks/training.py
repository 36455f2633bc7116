"""Speed and memory of the training step and of the plain step, for tools/benchmark.py and tools/check_device.py."""

import gc
import itertools
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader

from pysot.benchmarks.case_builder import Case, build_plain_step, check_plain_step
from pysot.benchmarks.ceilings import Ceilings, count_work, measure_ceilings
from pysot.benchmarks.job import Job, Result, Row
from pysot.benchmarks.synthetic import Batch
from pysot.benchmarks.train_step import computing_seconds, seconds_per_step, time_parts
from pysot.datasets.data_builder import build_train_loader
from pysot.engine.batch import float_images
from pysot.engine.engine_builder import build_trainer
from pysot.engine.optimizer import FreezePlan
from pysot.engine.train_loop import Trainer
from pysot.models.model_builder import build_model
from pysot.utils.device import needs_pinned_memory, peak_memory_mib, reset_peak_memory
from pysot.utils.meter import reserved_memory_mib

_PLAIN_WARM_UP = 3  # steps


@dataclass(frozen=True)
class StepTiming:
    """Time and memory of a training step.

    `seconds` per step of each repetition. `memory` and `reserved` are the peak memory in use and reserved, in MiB;
    `reserved` is None on a CPU. `parts` are the median seconds by part, empty if the parts were not timed.
    """

    seconds: list[float]
    memory: float
    reserved: float | None
    parts: dict[str, float]

    def speeds(self, batch: int) -> list[float]:
        """Return the pairs per second of each repetition."""
        return [batch / seconds for seconds in self.seconds]


def build_trainer_and_loader(job: Job) -> tuple[Trainer, DataLoader]:
    """Return a trainer and the loader of the config's data, as in tools/train.py."""
    cfg, rank, device = job.case.cfg, job.rank, job.device
    loader = build_train_loader(
        cfg,
        seed=0,
        rank=rank.index,
        world_size=rank.world_size,
        pin_memory=needs_pinned_memory(device),
        workers=job.claim_cores(rank, device),
        data_path=job.data_path,
    )
    return build_trainer(cfg, build_model(cfg), loader, device, rank, save=False), loader


def time_trainer(
    trainer: Trainer,
    batches: list[Batch],
    steps: int,
    repeats: int,
    stream: Iterable[Batch] | None = None,
) -> StepTiming:
    """Time a started trainer over `batches`, then the parts of a step.

    The parts are timed over the further batches of `stream`, and include the wait for data; without a stream, over
    `batches` again.
    """
    reset_peak_memory(trainer.device)
    seconds = seconds_per_step(trainer.step, batches, trainer.device, steps, repeats, trainer.warm_up_steps)
    memory, reserved = peak_memory_mib(trainer.device), reserved_memory_mib(trainer.device)
    if stream is None:
        parts = time_parts(trainer, itertools.cycle(batches), 2 * steps)
    else:
        parts = time_parts(trainer, stream, min(2 * steps, len(trainer.loader) - len(batches)))
    return StepTiming(seconds, memory, reserved, parts)


def time_plain(
    case: Case,
    freeze: FreezePlan,
    epoch: int,
    batches: list[Batch],
    device: torch.device,
    steps: int,
    repeats: int,
) -> StepTiming:
    """Time the plain step on a new network of a config. Call `release_memory` first if another network existed."""
    reset_peak_memory(device)
    step = build_plain_step(case.cfg, freeze, epoch, device)
    seconds = seconds_per_step(step, [float_images(batch) for batch in batches], device, steps, repeats, _PLAIN_WARM_UP)
    return StepTiming(seconds, peak_memory_mib(device), reserved_memory_mib(device), {})


def release_memory(compiled: bool) -> None:
    """Free the memory of trainers that are no longer referenced; `compiled` code keeps a reference to its network."""
    if compiled:
        torch.compiler.reset()
    gc.collect()


def train(job: Job) -> Result:
    """Measure the training step against the plain step, and against the ceilings of the device.

    The trainer is freed before the plain step starts, so each peak memory is measured separately.
    """
    check_plain_step(job.case.cfg)
    epoch = job.case.unfreeze_epoch if job.backbone else 0
    timing, ceilings, batches, freeze = _time_trainer_of_job(job, epoch)
    release_memory(job.case.compiled)
    plain = time_plain(job.case, freeze, epoch, batches, job.device, job.steps, job.repeats)
    if job.device.type == "cpu":
        target = 1.3
    else:
        target = 3.0 if job.backbone else 4.0
    seconds = statistics.median(timing.seconds)
    rows = _rows(timing, plain, job.case.batch_size, target) + ceilings.rows(seconds)
    return rows, ceilings.describe(seconds, timing.parts)


def _time_trainer_of_job(job: Job, epoch: int) -> tuple[StepTiming, Ceilings, list[Batch], FreezePlan]:
    """Time the trainer; return also the batches and the freeze plan, for the plain step. The trainer is not kept."""
    trainer, loader = build_trainer_and_loader(job)
    stream = iter(loader)
    trainer.begin(epoch)
    batches = [next(stream) for _ in range(4)]
    work = count_work(trainer, batches[0])
    timing = time_trainer(trainer, batches, job.steps, job.repeats, stream)
    ceilings = measure_ceilings(trainer, batches, job.case.precision, work, job.steps)
    return timing, ceilings, batches, trainer.freeze


def _rows(timing: StepTiming, plain: StepTiming, batch: int, target: float) -> list[Row]:
    """Return speed and memory of both steps, and the parts of the trainer's; `target` is for the ratio of speeds."""
    speeds, plain_speeds, parts = timing.speeds(batch), plain.speeds(batch), timing.parts
    ratio = statistics.median(speeds) / statistics.median(plain_speeds)
    outside = 1 - computing_seconds(parts) / sum(parts.values())
    reserved = {"reserved memory": timing.reserved, "reserved memory of the plain way": plain.reserved}
    return [
        Row("speed", statistics.median(speeds), "pairs/s", ratio, target),
        Row("speed, spread", statistics.pstdev(speeds), "pairs/s"),
        Row("plain way", statistics.median(plain_speeds), "pairs/s"),
        Row("plain way, spread", statistics.pstdev(plain_speeds), "pairs/s"),
        Row("peak memory", timing.memory, "MiB", timing.memory / plain.memory, 1.0),
        Row("peak memory of the plain way", plain.memory, "MiB"),
        *(Row(name, mib, "MiB") for name, mib in reserved.items() if mib is not None),
        *(Row(part, 1000 * seconds, "ms") for part, seconds in parts.items()),
        Row("outside forward and backward", 100 * outside, "%", target=5.0),
    ]
