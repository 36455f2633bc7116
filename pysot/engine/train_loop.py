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

from pysot.engine.amp import ApexAmp, TorchAmp
from pysot.engine.checkpoint import checkpoint_path, latest_path, read_training_state, restore_model, restore_optimizer, save_checkpoint
from pysot.engine.lr_scheduler import LRSchedule
from pysot.engine.optimizer import FreezePlan, clear_gradients, flat_tensors, gradient_norm, step_unless, trained_parameters
from pysot.utils.device import peak_memory_mib, synchronize
from pysot.utils.distributed import Rank, barrier, mean_over_ranks
from pysot.utils.log_helper import RunningMean, SpeedMeter, epoch_line, speed_line

logger = logging.getLogger(__name__)

MAX_SKIPPED_IN_A_ROW = 50
_REMEDY = "Lower TRAIN.BASE_LR, check the pretrained weights and the data, or go on from an earlier checkpoint"
# Batch-norm statistics stay per rank, as published. torch 2.13 has a new name for that.
_NO_BUFFERS = {("forward_sync_buffers" if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters else "broadcast_buffers"): False}


@dataclass(frozen=True)
class TrainSettings:
    """How to train; see the TRAIN section of pysot/core/config.py. `grad_sum`: gradients are summed over processes, else averaged."""

    epochs: int
    batch_size: int
    grad_clip: float
    grad_sum: bool
    print_freq: int
    snapshot_dir: str
    log_grads: bool = False
    max_steps: int | None = None
    save: bool = True


class Trainer:
    """A run. `run()` trains from `start_epoch` to the end and returns figures; `resume(path)` before it goes on from a checkpoint.

    `make_optimizer(model)` is called whenever other parameters begin to train. `writer` takes `add_scalar(name, value, step)`.
    `progress(iterable, total, description, initial)` may wrap the steps of an epoch in a bar.
    """

    def __init__(
        self, model: nn.Module, loader, settings: TrainSettings, schedule: LRSchedule, freeze: FreezePlan,
        make_optimizer: Callable[[nn.Module], torch.optim.Optimizer], amp: TorchAmp | ApexAmp, device: torch.device, me: Rank, start_epoch: int = 0,
        writer=None, progress: Callable[..., Iterable] = lambda steps, total, description, initial: steps,
    ):
        self.model, self.loader, self.settings, self.schedule, self.freeze = model.to(device), loader, settings, schedule, freeze
        self.make_optimizer, self.amp, self.device, self.me, self.start_epoch = make_optimizer, amp, device, me, start_epoch
        self.writer, self.progress = writer, progress
        self.optimizer: torch.optim.Optimizer | None = None
        self.wrapped: nn.Module = model
        self.start_step = self.first_step = self.step_count = self._counted = self.skipped = self.skipped_in_a_row = 0
        self.bad = torch.zeros(settings.print_freq, device=self.device)  # 1 for each step since the last line that was skipped
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
        self.amp.load_state_dict(content.get("scaler", {}))
        self.start_epoch, self.start_step = content["epoch"], self._step_of(content["pairs"], path)
        self._resumed = (content, path)
        left = self.settings.epochs - self.start_epoch
        step = f", step {self.start_step + 1}" if self.start_step else ""
        logger.info("resumed from %s: %s", path, f"epoch {self.start_epoch + 1}{step} is next" if left > 0 else "all epochs are trained")

    def _step_of(self, pairs: int, path: str) -> int:
        """The step at which an epoch goes on after `pairs`, for this number of processes and this batch size."""
        whole, rest = divmod(pairs, self.settings.batch_size * self.me.world_size)
        if rest:
            raise ValueError(
                f"{path} has trained {pairs} pairs of its epoch, which is no whole number of steps of {self.settings.batch_size} x {self.me.world_size} "
                "processes; resume with as many processes and TRAIN.BATCH_SIZE as before, or from a checkpoint at the end of an epoch"
            )
        return min(whole, len(self.loader))

    def run(self) -> dict[str, float]:
        """Train. Returns `steps`, `loss` (mean of the last steps), `pairs_per_second` over all processes with its `spread` (see SpeedMeter),
        `peak_memory_mib` and `skipped`; nothing where all epochs are trained already.
        """
        steps = len(self.loader)
        self.first_step = self.step_count = self._counted = self.start_epoch * steps + self.start_step
        figures = {}
        for epoch in range(self.start_epoch, self.settings.epochs):
            self._begin(epoch)
            before, skipped = self.step_count, self.skipped
            figures = self._epoch(epoch, steps)
            if self.skipped - skipped == self.step_count - before > 0 and not self.amp.searches:
                raise RuntimeError(f"every step of epoch {epoch + 1} had gradients that are no numbers; nothing was saved. {_REMEDY}")
            if self.settings.save:
                self._save(epoch, steps)
            if self._enough():
                break
            self.start_step = 0
        return figures

    def _begin(self, epoch: int) -> None:
        """Freeze state, optimizer and wrapper of an epoch; they change at the start and where the backbone begins to train."""
        self.freeze.apply(self.model, epoch)
        if self.optimizer is None or self.freeze.changes_at(epoch):
            # pysot-compat: momenta restart at the unfreeze epoch. test: engine/test_train_loop.py::test_unfreeze_restarts_momentum
            self.optimizer = self.amp.prepare(self.model, self.make_optimizer(self.model))
            self.wrapped = self._wrap()
            if self._resumed is not None and (self.start_step or not self.freeze.changes_at(epoch)):
                restore_optimizer(self.optimizer, *self._resumed)
            self._resumed = None
        lr = self.schedule.apply(self.optimizer, epoch)
        self.loader.batch_sampler.set_epoch(epoch, self.start_step)
        parts = ", ".join(group["name"] for group in self.optimizer.param_groups)
        logger.info("epoch %d of %d: lr %.6f, trained parts: %s", epoch + 1, self.settings.epochs, lr, parts)

    def _wrap(self) -> nn.Module:
        """DDP synchronises what required gradients when it wrapped the model, so it wraps again at the unfreeze."""
        if self.me.world_size == 1:
            return self.model
        ids = None if self.device.type == "cpu" else [self.device.index]
        views = flat_tensors(self.optimizer) is None  # else the optimizer lays the gradients out itself
        return DistributedDataParallel(self.model, device_ids=ids, gradient_as_bucket_view=views, **_NO_BUFFERS)

    def _epoch(self, epoch: int, steps: int) -> dict[str, float]:
        self.means, speed = RunningMean(), SpeedMeter(self.settings.batch_size * self.me.world_size)
        bar = self.progress(self.loader, total=steps, description=f"epoch {epoch + 1}/{self.settings.epochs}", initial=self.start_step)
        clock = time.perf_counter()
        for index, batch in enumerate(bar, self.start_step + 1):
            data_time = time.perf_counter() - clock
            losses = self.step(batch)
            self.step_count += 1
            last = index == steps or self._enough()
            due = index % self.settings.print_freq == 0 or last
            if due or speed.warms_up:
                synchronize(self.device)
            now = time.perf_counter()
            self.means.add(batch_time=now - clock, data_time=data_time)
            speed.add(now - clock, mark=due)
            clock = now
            if due:
                self._report(epoch, index, steps, losses)
            if last:
                break
        if self.me.is_main:
            logger.info(speed.line())
        return {
            "steps": self.step_count, "loss": self.means.mean("total_loss"), "pairs_per_second": speed.mean, "spread": speed.spread,
            "peak_memory_mib": peak_memory_mib(self.device), "skipped": self.skipped,
        }

    def _enough(self) -> bool:
        limit = self.settings.max_steps
        return limit is not None and self.step_count - self.first_step >= limit

    def step(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """One step on a batch of CPU tensors; returns the losses of this process, on the device. Nothing in it waits for the device."""
        batch = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        clear_gradients(self.optimizer)
        with self.amp.autocast():
            losses = self.wrapped(batch)
        # DDP averages gradients over the processes; their number as a factor makes that the sum, for which BASE_LR is tuned.
        factor = self.me.world_size if self.settings.grad_sum else 1
        overflow = self.amp.backward(losses["total_loss"] * factor, self.optimizer)
        norm = gradient_norm(trained_parameters(self.optimizer), self.settings.grad_clip)
        # The norm is that of the reduced gradients: every process sees the same value and takes the same decision.
        bad = ~torch.isfinite(norm) | overflow
        step_unless(bad, self.optimizer)
        self.amp.update()
        self.bad[self.step_count % len(self.bad)] = bad
        return {**losses, "grad_norm": norm}

    def _report(self, epoch: int, step: int, steps: int, losses: dict[str, torch.Tensor]) -> None:
        values, bad = mean_over_ranks(losses, self.bad)
        self.bad.zero_()
        self._count_skipped(bad)
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

    def _count_skipped(self, bad: list[float]) -> None:
        """Count the steps since the last line that all processes skipped; too many in a row end the run."""
        for number in range(self._counted + 1, self.step_count + 1):
            flagged = bad[(number - 1) % len(bad)] > 0
            self.skipped += flagged
            self.skipped_in_a_row = self.skipped_in_a_row + 1 if flagged else 0
            if flagged:
                logger.warning("step %d skipped: its gradients are no finite numbers on some process", number)
            if self.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW:
                raise RuntimeError(f"{MAX_SKIPPED_IN_A_ROW} steps in a row had gradients that are no numbers, the last at step {number}. {_REMEDY}")
        self._counted = self.step_count

    def _write_gradients(self) -> None:
        for name, parameter in self.model.named_parameters():
            if parameter.grad is not None:
                self.writer.add_scalar(f"grad/{name}", parameter.grad.norm().item(), self.step_count)

    def _save(self, epoch: int, steps: int) -> None:
        """checkpoint_e{n}.pth at the end of an epoch, latest.pth inside one."""
        done = self.step_count - epoch * steps
        if self.me.is_main:
            whole = done == steps
            folder = self.settings.snapshot_dir
            path = checkpoint_path(folder, epoch + 1) if whole else latest_path(folder)
            pairs = 0 if whole else done * self.settings.batch_size * self.me.world_size
            save_checkpoint(path, epoch + whole, self.model, self.optimizer, scaler=self.amp.state_dict(), pairs=pairs)
            logger.info("wrote %s", path)
        barrier()
