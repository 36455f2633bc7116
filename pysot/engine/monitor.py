"""Reports of a training run: progress bar, log lines, TensorBoard, and the values for the final summary."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from pysot.models.model_builder import ModelBuilder
from pysot.models.siamrpn import SiamRPN
from pysot.utils.log_helper import RunningMean, SpeedMeter, epoch_line, live_line, speed_line

logger = logging.getLogger(__name__)
Batch = TypeVar("Batch")


class Writer(Protocol):
    """Writer of TensorBoard files, such as `Board`."""

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Write a number."""

    def add_image(self, name: str, picture: np.ndarray, step: int, dataformats: str) -> None:
        """Write a uint8 image with the axes `dataformats`, such as HWC."""


class Monitor:
    """Measures and reports the steps of a training run; with `is_main=False` it only counts.

    `bar(iterable, total, description, initial)` may wrap the steps of an epoch in a progress bar with
    set_postfix_str(text). `picture(model, batch)` draws pairs, (H, W, 3) uint8 RGB, every `picture_every` steps.
    """

    def __init__(
        self,
        is_main: bool = True,
        writer: Writer | None = None,
        bar: Callable[..., Any] | None = None,
        picture: Callable[[ModelBuilder, Mapping[str, torch.Tensor]], np.ndarray] | None = None,
        picture_every: int = 0,
    ):
        self.is_main = is_main
        self.writer = writer
        self.bar = bar
        self.picture = picture
        self.picture_every = picture_every
        self.means = RunningMean()
        self.speed = SpeedMeter(1)
        self._progress: Any = None
        self._last_step_time = 0.0
        self._data_time = 0.0

    def begin_epoch(self, loader: Iterable, title: str, steps: int, start_step: int, pairs: int) -> Iterable:
        """Reset the counts and return the batches of an epoch, wrapped in the progress bar if there is one.

        `pairs` is the number of pairs per step, summed over all processes.
        """
        self.means = RunningMean()
        self.speed = SpeedMeter(pairs)
        self._progress = None
        if self.bar is not None and self.is_main:
            self._progress = self.bar(loader, total=steps, description=title, initial=start_step)
        return loader if self._progress is None else self._progress

    def time_batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches, and record the waiting time for each as its data time."""
        source = iter(batches)
        self._last_step_time = request_time = time.perf_counter()
        while (batch := next(source, None)) is not None:
            self._data_time = time.perf_counter() - request_time
            yield batch
            request_time = time.perf_counter()

    def end_step(self, synchronized: bool, counts: bool = True) -> None:
        """Record the time since the last step; `synchronized` means that the host has waited for the device.

        A step that does not count is not one of those whose speed is measured, unless there are no others.
        """
        now = time.perf_counter()
        self.means.add(batch_time=now - self._last_step_time, data_time=self._data_time)
        self.speed.add(now - self._last_step_time, synchronized, counts)
        self._last_step_time = now

    def report(
        self,
        values: Mapping[str, float],
        lr: float,
        epoch: int,
        step: int,
        steps: int,
        total_step: int,
        total_steps: int,
    ) -> None:
        """Add the mean losses over all processes, and report the step in log, progress bar and TensorBoard.

        It is step number `step` of the `steps` of epoch `epoch`, and `total_step` of the `total_steps` of the training
        run; all count from 1.
        """
        self.means.add(**values)
        if not self.is_main:
            return
        means = {name: self.means.mean(name) for name in ("batch_time", "data_time", *values)}
        logger.info(epoch_line(epoch, step, steps, lr, means))
        logger.info(speed_line(total_step, means["batch_time"], total_steps))
        if self._progress is not None:
            text = live_line(means["total_loss"], lr, self.speed.latest, self.waiting)
            self._progress.set_postfix_str(text, refresh=False)
        times = {
            "batch_time": means["batch_time"],
            "data_time": means["data_time"],
            "pairs_per_second": self.speed.latest,
        }
        self.log_scalars({**values, "lr": lr, **times}, total_step)

    def report_validation(self, scores: Mapping[str, float], epochs: int, best: Path | None, total_step: int) -> None:
        """Report the scores after `epochs` epochs; `best` is the path of the checkpoint if it is the best so far."""
        values = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        note = f"; the best so far, kept as {best}" if best else ""
        logger.info("validation after epoch %d: %s%s", epochs, values, note)
        self.log_scalars({f"validation/{name}": value for name, value in scores.items()}, total_step)

    @property
    def waiting(self) -> float:
        """Share of the time of the last steps spent waiting for data."""
        return self.means.mean("data_time") / max(self.means.mean("batch_time"), 1e-9)

    def log_scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write values to TensorBoard."""
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, float(value), step)

    def log_gradients(self, model: SiamRPN, scale: float, step: int) -> None:
        """Write the norm of each parameter's gradient, times `scale`, to TensorBoard, with the names of the original.

        The norms over all parameters, the backbone, and the head are written as well.
        """
        if self.writer is None:
            return
        named = [(name, parameter.grad) for name, parameter in model.named_parameters() if parameter.grad is not None]
        values = (torch.stack([gradient.norm() for _, gradient in named]) * scale).tolist()
        norms = dict(zip([name for name, _ in named], values, strict=True))
        parts = {"tot": "", "feature": "backbone.", model.head_name.removesuffix("_head"): f"{model.head_name}."}
        totals = {
            f"grad/{part}": math.hypot(*(norm for name, norm in norms.items() if name.startswith(prefix)))
            for part, prefix in parts.items()
        }
        self.log_scalars({f"grad_all/{name}": norm for name, norm in norms.items()} | totals, step)

    def log_picture(self, model: ModelBuilder, make_batch: Callable[[], Mapping[str, torch.Tensor]], step: int) -> None:
        """Draw pairs of the batch that make_batch() returns for TensorBoard, every `picture_every` steps."""
        if self.writer is None or self.picture is None or not self.picture_every:
            return
        if step % self.picture_every == 0:
            self.writer.add_image("pairs", self.picture(model, make_batch()), step, dataformats="HWC")
