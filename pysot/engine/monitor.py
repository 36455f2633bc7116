"""What people watch of a run: a line per epoch on a terminal, lines in the log, TensorBoard, and the figures of the end."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from pysot.utils.log_helper import RunningMean, SpeedMeter, epoch_line, live_line, speed_line

logger = logging.getLogger(__name__)


class Monitor:
    """Times the steps of a run and reports them. Processes other than the main one pass `is_main=False` and only keep count.

    `writer` takes add_scalar(name, value, step) and add_image(name, picture, step, dataformats). `bar(iterable, total, description, initial)` may wrap the
    steps of an epoch in something with set_postfix_str(text). `picture(model, batch)` draws pairs, (H, W, 3) uint8 RGB, every `picture_every` steps.
    """

    def __init__(
        self,
        is_main: bool = True,
        writer=None,
        bar: Callable[..., Iterable] | None = None,
        picture: Callable[[nn.Module, Mapping[str, torch.Tensor]], Any] | None = None,
        picture_every: int = 0,
    ):
        self.is_main, self.writer, self.bar = is_main, writer, bar
        self.picture, self.picture_every = picture, picture_every
        self.means, self.speed = RunningMean(), SpeedMeter(1)
        self._live, self._clock, self._data_time = None, 0.0, 0.0

    def begin_epoch(self, loader, title: str, steps: int, start_step: int, pairs: int) -> Iterable:
        """Start to count; returns the steps of an epoch, with a bar around them where there is one. `pairs` are those of a step of all processes."""
        self.means, self.speed = RunningMean(), SpeedMeter(pairs)
        self._live = (
            None
            if self.bar is None or not self.is_main
            else self.bar(loader, total=steps, description=title, initial=start_step)
        )
        return loader if self._live is None else self._live

    def timed(self, batches: Iterable) -> Iterator:
        """The batches; the time until each comes is its data time."""
        source = iter(batches)
        self._clock = asked = time.perf_counter()
        while (batch := next(source, None)) is not None:
            self._data_time = time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()

    def end_step(self, mark: bool) -> None:
        """Take in the time since the step before; `mark` says that the device was waited for."""
        now = time.perf_counter()
        self.means.add(batch_time=now - self._clock, data_time=self._data_time)
        self.speed.add(now - self._clock, mark)
        self._clock = now

    def report(
        self,
        values: Mapping[str, float],
        lr: float,
        epoch: int,
        step: int,
        steps: int,
        total_step: int,
        total_steps: float,
    ) -> None:
        """Take in the means of the losses over all processes, and tell of the step: number `step` of the `steps` of epoch `epoch`, all from 1."""
        self.means.add(**values)
        if not self.is_main:
            return
        shown = {name: self.means.mean(name) for name in ("batch_time", "data_time", *values)}
        logger.info(epoch_line(epoch, step, steps, lr, shown))
        logger.info(speed_line(total_step, shown["batch_time"], total_steps))
        if self._live is not None:
            self._live.set_postfix_str(
                live_line(shown["total_loss"], lr, self.speed.latest, self.waiting), refresh=False
            )
        times = {
            "batch_time": shown["batch_time"],
            "data_time": shown["data_time"],
            "pairs_per_second": self.speed.latest,
        }
        self.scalars({**values, "lr": lr, **times}, total_step)

    @property
    def waiting(self) -> float:
        """The share of the time of the last steps that went by in waiting for data."""
        return self.means.mean("data_time") / max(self.means.mean("batch_time"), 1e-9)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write values to TensorBoard."""
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, float(value), step)

    def gradients(self, model: nn.Module, scale: float, step: int) -> None:
        """Write the norm of each parameter's gradient, times `scale`, and those of all, of the backbone and of the heads, under the original's names."""
        if self.writer is None:
            return
        named = [(name, parameter.grad) for name, parameter in model.named_parameters() if parameter.grad is not None]
        norms = dict(
            zip(
                [name for name, _ in named],
                (torch.stack([gradient.norm() for _, gradient in named]) * scale).tolist(),
                strict=True,
            )
        )
        parts = {"tot": "", "feature": "backbone", "rpn": "rpn_head"}
        totals = {
            f"grad/{part}": math.hypot(*(norm for name, norm in norms.items() if name.startswith(prefix)))
            for part, prefix in parts.items()
        }
        self.scalars({f"grad_all/{name}": norm for name, norm in norms.items()} | totals, step)

    def pictures(self, model: nn.Module, batch: Callable[[], Mapping[str, torch.Tensor]], step: int) -> None:
        """Draw pairs of the batch of a step, which batch() gives, for TensorBoard, if it is time."""
        if (
            self.writer is not None
            and self.picture is not None
            and self.picture_every
            and step % self.picture_every == 0
        ):
            self.writer.add_image("pairs", self.picture(model, batch()), step, dataformats="HWC")
