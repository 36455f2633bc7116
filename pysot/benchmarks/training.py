"""The speed and memory of the training step, its own and that of the plain way: what tools/benchmark.py and tools/check_device.py share."""

import gc
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from yacs.config import CfgNode

from pysot.benchmarks.train_step import PlainStep, seconds_per_step, time_parts
from pysot.engine.batch import float_images
from pysot.engine.optimizer import FreezePlan
from pysot.engine.train_loop import Trainer
from pysot.models.model_builder import build_model
from pysot.utils.device import forget_peak_memory, peak_memory_mib
from pysot.utils.meter import reserved_memory_mib


@dataclass(frozen=True)
class Timed:
    """Seconds per step of each repetition, memory in use and reserved (None on a CPU) in MiB, and the median seconds of the parts where they were timed."""

    seconds: list[float]
    memory: float
    reserved: float | None
    parts: dict[str, float]

    def speeds(self, batch: int) -> list[float]:
        """Pairs per second of each repetition."""
        return [batch / seconds for seconds in self.seconds]


def time_trainer(trainer: Trainer, batches: list[dict], steps: int, repeats: int, stream: Iterable[dict] | None = None, warm_up: int = 3) -> Timed:
    """Time a begun trainer over `batches`; the parts of a step over a `stream` of others, whose wait for data counts, without one over the same again."""
    forget_peak_memory(trainer.device)
    seconds = seconds_per_step(trainer.step, batches, trainer.device, steps, repeats, warm_up)
    memory = peak_memory_mib(trainer.device), reserved_memory_mib(trainer.device)
    stream, most = (itertools.cycle(batches), 2 * steps) if stream is None else (stream, min(2 * steps, len(trainer.loader) - len(batches)))
    return Timed(seconds, *memory, time_parts(trainer, stream, most))


def time_plain(cfg: CfgNode, freeze: FreezePlan, epoch: int, batches: list[dict], device: torch.device, steps: int, repeats: int) -> Timed:
    """Time the plain way of stepping a new network of a config; see `free` about what came before it."""
    forget_peak_memory(device)
    step = PlainStep(build_model(cfg), freeze, epoch, cfg.TRAIN, device)
    seconds = seconds_per_step(step, [float_images(batch) for batch in batches], device, steps, repeats)
    return Timed(seconds, peak_memory_mib(device), reserved_memory_mib(device), {})


def free(compiled: bool) -> None:
    """Let go of trainers that nobody holds any more, so that what comes next has the memory to itself. What is compiled holds its network."""
    if compiled:
        torch.compiler.reset()
    gc.collect()
