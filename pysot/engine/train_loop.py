"""The training loop: epochs of steps, a checkpoint after every epoch.

It knows a network that turns a batch into losses, a loader of batches, and the objects of this folder; nothing of configs or data sets.
"""

import inspect
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pysot.engine.checkpoint import read_training_state, restore_model, restore_optimizer, save_checkpoint
from pysot.engine.lr_scheduler import LRSchedule
from pysot.engine.optimizer import FreezePlan, gradient_norm
from pysot.utils.device import autocast, make_scaler, peak_memory_mib, synchronize
from pysot.utils.distributed import Rank, barrier, mean_over_ranks
from pysot.utils.log_helper import RunningMean, epoch_line, speed_line

logger = logging.getLogger(__name__)

MAX_SKIPPED_IN_A_ROW = 50
_REMEDY = "Lower TRAIN.BASE_LR, check the pretrained weights and the data, or go on from an earlier checkpoint"
# Batch-norm statistics stay per rank, as published. torch 2.13 has a new name for that.
_NO_BUFFERS = {("forward_sync_buffers" if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters else "broadcast_buffers"): False}
WARM_UP_STEPS = 5  # not counted in FPS: first kernels are built, caches are cold


@dataclass(frozen=True)
class TrainSettings:
    """How to train; see the TRAIN section of pysot/core/config.py. `grad_sum`: gradients are summed over processes, else averaged."""

    epochs: int
    batch_size: int
    grad_clip: float
    grad_sum: bool
    precision: str
    loss_scale: float | str
    print_freq: int
    snapshot_dir: str
    log_grads: bool = False
    max_steps: int | None = None
    save: bool = True


class Trainer:
    """A run. `run()` trains from `start_epoch` to the end and returns figures; `resume(path)` before it goes on from a checkpoint.

    `make_optimizer(model)` is called whenever other parameters begin to train. `writer` takes `add_scalar(name, value, step)`.
    `progress(iterable, total, description)` may wrap the steps of an epoch in a bar.
    """

    def __init__(
        self, model: nn.Module, loader, settings: TrainSettings, schedule: LRSchedule, freeze: FreezePlan,
        make_optimizer: Callable[[nn.Module], torch.optim.Optimizer], device: torch.device, me: Rank, start_epoch: int = 0,
        writer=None, progress: Callable[..., Iterable] = lambda steps, total, description: steps,
    ):
        self.model, self.loader, self.settings, self.schedule, self.freeze = model.to(device), loader, settings, schedule, freeze
        self.make_optimizer, self.device, self.me, self.start_epoch = make_optimizer, device, me, start_epoch
        self.writer, self.progress = writer, progress
        self.scaler = make_scaler(device, settings.precision, settings.loss_scale)
        self.optimizer: torch.optim.Optimizer | None = None
        self.wrapped: nn.Module = model
        self.step_count = self.skipped = self.skipped_in_a_row = 0
        self.means = RunningMean()
        self._resumed: tuple[dict, str] | None = None

    def resume(self, path: str, may_be_finished: bool = False) -> None:
        """Take weights, optimizer, scaler and epoch from a checkpoint. Raises ValueError for one that does not fit, and for one with nothing left to train
        unless it `may_be_finished`.
        """
        content = read_training_state(path)
        if content["epoch"] >= self.settings.epochs and not may_be_finished:
            raise ValueError(f"{path} has trained {content['epoch']} epochs already; TRAIN.EPOCH is {self.settings.epochs}. Raise it, or test the snapshot")
        restore_model(self.model, content, path)
        if content.get("scaler"):
            self.scaler.load_state_dict(content["scaler"])
        self.start_epoch = content["epoch"]
        self._resumed = (content, path)
        left = self.settings.epochs - self.start_epoch
        logger.info("resumed from %s: %s", path, f"epoch {self.start_epoch + 1} is next" if left > 0 else "all epochs are trained")

    def run(self) -> dict[str, float]:
        """Train. Returns `steps`, `loss` (mean of the last steps), `pairs_per_second` over all processes, `peak_memory_mib` and `skipped`; nothing where all
        epochs are trained already.
        """
        steps = len(self.loader)
        self.step_count = self.start_epoch * steps
        figures = {}
        for epoch in range(self.start_epoch, self.settings.epochs):
            self._begin(epoch)
            before, skipped = self.step_count, self.skipped
            figures = self._epoch(epoch, steps)
            whole = self.step_count == (epoch + 1) * steps
            if self.skipped - skipped == self.step_count - before:
                raise RuntimeError(f"every step of epoch {epoch + 1} had gradients that are no numbers; nothing was saved. {_REMEDY}")
            if self.settings.save and whole:
                self._save(epoch + 1)
            if self._enough(steps):
                break
        return figures

    def _begin(self, epoch: int) -> None:
        """Freeze state, optimizer and wrapper of an epoch; they change at the start and where the backbone begins to train."""
        self.freeze.apply(self.model, epoch)
        if self.optimizer is None or self.freeze.changes_at(epoch):
            # pysot-compat: momenta restart at the unfreeze epoch. test: engine/test_train_loop.py::test_unfreeze_restarts_momentum
            self.optimizer = self.make_optimizer(self.model)
            self.wrapped = self._wrap()
            if self._resumed is not None and not self.freeze.changes_at(epoch):
                restore_optimizer(self.optimizer, *self._resumed)
            self._resumed = None
        lr = self.schedule.apply(self.optimizer, epoch)
        self.loader.batch_sampler.set_epoch(epoch)
        parts = ", ".join(group["name"] for group in self.optimizer.param_groups)
        logger.info("epoch %d of %d: lr %.6f, trained parts: %s", epoch + 1, self.settings.epochs, lr, parts)

    def _wrap(self) -> nn.Module:
        """DDP synchronises what required gradients when it wrapped the model, so it wraps again at the unfreeze."""
        if self.me.world_size == 1:
            return self.model
        ids = None if self.device.type == "cpu" else [self.device.index]
        return DistributedDataParallel(self.model, device_ids=ids, gradient_as_bucket_view=True, **_NO_BUFFERS)

    def _epoch(self, epoch: int, steps: int) -> dict[str, float]:
        self.means = RunningMean()
        losses: dict[str, torch.Tensor] = {}
        durations, clock = [], time.perf_counter()
        for index, batch in enumerate(self.progress(self.loader, total=steps, description=f"epoch {epoch + 1}/{self.settings.epochs}")):
            data_time = time.perf_counter() - clock
            losses = self.step(batch)
            self.step_count += 1
            last = index + 1 == steps or self._enough(steps)
            if self.me.is_main and ((index + 1) % self.settings.print_freq == 0 or last):
                synchronize(self.device)
            seconds = time.perf_counter() - clock
            clock = time.perf_counter()
            self.means.add(batch_time=seconds, data_time=data_time)
            durations.append(seconds)
            if (index + 1) % self.settings.print_freq == 0 or last:
                self._report(epoch, index + 1, steps, losses)
            if self._enough(steps):
                break
        steady = durations[WARM_UP_STEPS:] or durations
        pairs = len(steady) * self.settings.batch_size * self.me.world_size / sum(steady)
        if self.me.is_main:
            logger.info("FPS %.2f", pairs)
        return {
            "steps": self.step_count, "loss": self.means.mean("total_loss"), "pairs_per_second": pairs,
            "peak_memory_mib": peak_memory_mib(self.device), "skipped": self.skipped,
        }

    def _enough(self, steps: int) -> bool:
        limit = self.settings.max_steps
        return limit is not None and self.step_count - self.start_epoch * steps >= limit

    def step(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """One step on a batch of CPU tensors; returns the losses of this process, on the device."""
        batch = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.device, self.settings.precision):
            losses = self.wrapped(batch)
        # DDP averages gradients over the processes; their number as a factor makes that the sum, for which BASE_LR is tuned.
        factor = self.me.world_size if self.settings.grad_sum else 1
        self.scaler.scale(losses["total_loss"] * factor).backward()
        self.scaler.unscale_(self.optimizer)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = gradient_norm(parameters, self.settings.grad_clip)
        # The norm is that of the reduced gradients: every process sees the same value and takes the same decision.
        if bool(torch.isfinite(norm)):
            self.optimizer.step()
            self.skipped_in_a_row = 0
        else:
            self._skip(norm)
        if self.scaler.is_enabled():
            dynamic = self.settings.loss_scale == "dynamic"
            self.scaler.update(None if dynamic else float(self.settings.loss_scale))
        return {**losses, "grad_norm": norm}

    def _skip(self, norm: torch.Tensor) -> None:
        self.skipped += 1
        self.skipped_in_a_row += 1
        logger.warning("step %d skipped: the gradient norm is %s on some process", self.step_count + 1, norm.item())
        if self.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
            raise RuntimeError(
                f"{MAX_SKIPPED_IN_A_ROW} steps in a row had gradients that are no numbers, the last at step {self.step_count + 1}. "
                f"{_REMEDY}"
            )

    def _report(self, epoch: int, step: int, steps: int, losses: dict[str, torch.Tensor]) -> None:
        values = mean_over_ranks(losses)
        self.means.add(**values)
        if not self.me.is_main:
            return
        shown = {name: self.means.mean(name) for name in ("batch_time", "data_time", *values)}
        lr = self.schedule.rates[epoch]
        logger.info(epoch_line(epoch + 1, step, steps, lr, shown))
        logger.info(speed_line(self.step_count, self.means.mean("batch_time"), self.settings.epochs * steps))
        if self.writer is not None:
            for name, value in {**values, "lr": float(lr), "batch_time": shown["batch_time"], "data_time": shown["data_time"]}.items():
                self.writer.add_scalar(name, value, self.step_count)
            if self.settings.log_grads:
                self._write_gradients()

    def _write_gradients(self) -> None:
        for name, parameter in self.model.named_parameters():
            if parameter.grad is not None:
                self.writer.add_scalar(f"grad/{name}", parameter.grad.norm().item(), self.step_count)

    def _save(self, epoch: int) -> None:
        if self.me.is_main:
            path = save_checkpoint(self.settings.snapshot_dir, epoch, self.model, self.optimizer, scaler=self.scaler.state_dict())
            logger.info("wrote %s", path)
        barrier()
