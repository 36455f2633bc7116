"""The training loop: epochs of steps, a checkpoint after every epoch.

It knows a network that turns a batch into losses, a loader of batches, and the objects of this folder; nothing of configs or data sets.
"""

import inspect
import logging
import math
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pysot.engine.amp import ApexAmp, TorchAmp
from pysot.engine.batch import float_images
from pysot.engine.checkpoint import CheckpointPolicy, other_batches, restore_model, restore_optimizer, whole_steps
from pysot.engine.fetch import LoaderFailure, fetched
from pysot.engine.frozen import fold_frozen
from pysot.engine.identity import agree, fingerprint
from pysot.engine.lr_scheduler import LRSchedule
from pysot.engine.monitor import Monitor
from pysot.engine.optimizer import FreezePlan, clear_gradients, clip_gradients, flat_tensors, step_unless
from pysot.engine.skipped_steps import REMEDY, SkippedSteps, bad_batch, bad_norm, flat_statistics
from pysot.utils.device import CopyStream, peak_memory_mib, synchronize
from pysot.utils.distributed import Rank, ask_all, barrier, mean_over_ranks
from pysot.utils.meter import reserved_memory_mib
from pysot.utils.signals import Interrupted, StopRequest
from pysot.utils.watchdog import FIRST_STEP, Heartbeat

logger = logging.getLogger(__name__)

# Batch-norm statistics stay per rank, as published. torch 2.13 has a new name for that.
_NO_BUFFERS = {
    (
        "forward_sync_buffers"
        if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
        else "broadcast_buffers"
    ): False
}


@dataclass(frozen=True)
class TrainSettings:
    """How to train; see the TRAIN section of pysot/core/config.py. `grad_sum`: gradients are summed over processes, else averaged. `channels_last`: images
    and weights lie with the channels of a pixel side by side. `compiled`: the network runs through torch.compile.
    """

    epochs: int
    batch_size: int
    grad_clip: float
    grad_sum: bool
    print_freq: int
    log_grads: bool = False
    max_steps: int | None = None
    channels_last: bool = False
    compiled: bool = False
    validate_every: int = 1


class Trainer:
    """A run. `run()` trains from `start_epoch` to the end and returns figures; `resume(content, path)` before it goes on from a checkpoint.

    `make_optimizer(model)` is called whenever other parameters begin to train. `checkpoints` is None for a run that writes none. `stop` is asked after every
    step. `notes()` gives sentences about the data of an epoch; `describe(epoch, step)` names the items of a step of this process. `validate(path)` is called
    in every process after an epoch, with its checkpoint, which process 0 has, and gives scores to process 0, among them EAO. `identity` is what the run is (see
    `run_folder`), `begins()` is called in process 0 when all is well and the first step is next.
    """

    def __init__(
        self,
        model: nn.Module,
        loader,
        settings: TrainSettings,
        schedule: LRSchedule,
        freeze: FreezePlan,
        make_optimizer: Callable[[nn.Module], torch.optim.Optimizer],
        amp: TorchAmp | ApexAmp,
        checkpoints: CheckpointPolicy | None,
        device: torch.device,
        rank: Rank,
        start_epoch: int = 0,
        monitor: Monitor | None = None,
        stop: StopRequest | None = None,
        notes: Callable[[], Iterable[str]] = tuple,
        describe: Callable[[int, int], str] | None = None,
        validate: Callable[[Path], dict[str, float]] | None = None,
        identity: dict | None = None,
        begins: Callable[[], None] = lambda: None,
        heartbeat: Heartbeat | None = None,
    ):
        self.memory_format = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.model, self.loader, self.settings, self.schedule, self.freeze = (
            model.to(device),
            loader,
            settings,
            schedule,
            freeze,
        )
        self.model.to(memory_format=self.memory_format)
        self.make_optimizer, self.amp, self.device, self.rank, self.start_epoch = (
            make_optimizer,
            amp,
            device,
            rank,
            start_epoch,
        )
        self.checkpoints, self.monitor, self.validate = checkpoints, monitor or Monitor(is_main=rank.is_main), validate
        self.stop, self.notes, self.heartbeat, self.identity, self.begins = (
            stop or StopRequest(),
            notes,
            heartbeat or Heartbeat(),
            identity or {},
            begins,
        )
        self.optimizer: torch.optim.Optimizer | None = None
        self.wrapped: nn.Module = model
        self.start_step = self.first_step = self.step_count = 0
        self.statistics = flat_statistics(self.model)
        self.skipped_steps, self.uploads = SkippedSteps(settings.print_freq, device, describe), CopyStream(device)
        self._resumed: tuple[dict, str] | None = None

    def resume(self, content: dict, path: str, may_be_finished: bool = False) -> None:
        """Take weights, optimizer, scaler and epoch from the `content` of the checkpoint at `path`. Raises ValueError for one that does not fit, and for one
        with nothing left to train unless it `may_be_finished`.
        """
        if content["epoch"] >= self.settings.epochs and not may_be_finished:
            raise ValueError(
                f"{path} has trained {content['epoch']} epochs already; TRAIN.EPOCH is {self.settings.epochs}. Raise it, or --train_epochs, or "
                "test the snapshot"
            )
        restore_model(self.model, content, path)
        if told := other_batches(content, self.settings.batch_size, self.rank.world_size, self.settings.grad_sum):
            logger.warning("%s %s", path, told)
        self.amp.load_state_dict(content.get("scaler", {}))
        self.start_epoch = content["epoch"]
        self.start_step = min(
            whole_steps(content["pairs"], self.settings.batch_size, self.rank.world_size, path), len(self.loader)
        )
        if self.start_step == len(self.loader):
            self.start_epoch, self.start_step = self.start_epoch + 1, 0
        self._resumed = (content, path)
        if self.checkpoints is not None and self.rank.is_main:
            self.checkpoints.resume()
        left = self.settings.epochs - self.start_epoch
        step = f", step {self.start_step + 1}" if self.start_step else ""
        logger.info(
            "resumed from %s: %s",
            path,
            f"epoch {self.start_epoch + 1}{step} is next" if left > 0 else "all epochs are trained",
        )

    def run(self) -> dict[str, float]:
        """Train. Returns `steps`, `loss` (mean of the last steps), `pairs_per_second` over all processes with its `spread` (see SpeedMeter),
        `peak_memory_mib`, `reserved_memory_mib` (None on a CPU), `skipped`, `waiting` (share of time that data took), `snapshot` (the last checkpoint) and
        `eao` (the best, -inf for none); nothing where all epochs are trained already. Raises ValueError if the processes are about to do different things.
        """
        steps = len(self.loader)
        agree(
            {
                "the next epoch": self.start_epoch + 1,
                "the next step": self.start_step + 1,
                "the steps of an epoch": steps,
                "the pairs of a process": self.settings.batch_size,
                "the epochs": self.settings.epochs,
                **self.identity,
                "the weights": fingerprint(self.model),
            }
        )
        if self.rank.is_main:
            self.begins()
        self.stop.saves = True
        try:
            return self._run(steps)
        finally:
            self.stop.saves = False

    def _run(self, steps: int) -> dict[str, float]:
        self.first_step = self.step_count = self.skipped_steps.counted = self.start_epoch * steps + self.start_step
        figures = {}
        if self._resumed is not None and not self.start_step:
            self._validate(Path(self._resumed[1]), self.start_epoch)  # the run may have been killed in the middle of it
        for epoch in range(self.start_epoch, self.settings.epochs):
            self.begin(epoch)
            before, skipped = self.step_count, self.skipped_steps.total
            figures = self._epoch(epoch, steps)
            if self.skipped_steps.total - skipped == self.step_count - before > 0 and not self.amp.searches:
                raise RuntimeError(
                    f"every step of epoch {epoch + 1} had a loss or gradients that are no numbers; nothing was saved. {REMEDY}"
                )
            path = self._save(epoch)
            for note in self.notes():
                logger.warning("epoch %d: %s", epoch + 1, note)
            self.heartbeat.beat("waits for the others at the end of an epoch")
            barrier()
            if path is not None and self.step_count == (epoch + 1) * steps:
                self._validate(path, epoch + 1)
            figures |= {"snapshot": path, "eao": self.checkpoints.best if self.checkpoints else -math.inf}
            if self._enough():
                break
            self.start_step = 0
        return figures

    def begin(self, epoch: int) -> None:
        """Freeze state, optimizer and wrapper of an epoch; they change at the start and where the backbone begins to train."""
        self.heartbeat.beat(f"begins epoch {epoch + 1}", FIRST_STEP)
        self.freeze.apply(self.model, epoch)
        if self.optimizer is None or self.freeze.changes_at(epoch):
            # pysot-compat: momenta restart at the unfreeze epoch. test: engine/test_train_loop.py::test_unfreeze_restarts_momentum
            self.optimizer = self.amp.prepare(self.model, self.make_optimizer(self.model))
            fold_frozen(self.model.backbone, self.amp.compute_type)
            self.wrapped = self._wrap()
            if self._resumed is not None and (self.start_step or not self.freeze.changes_at(epoch)):
                restore_optimizer(self.optimizer, *self._resumed)
        lr = self.schedule.apply(self.optimizer, epoch)
        self.loader.batch_sampler.set_epoch(epoch, self.start_step)
        parts = ", ".join(group["name"] for group in self.optimizer.param_groups)
        logger.info("epoch %d of %d: lr %.6f, trained parts: %s", epoch + 1, self.settings.epochs, lr, parts)

    def _wrap(self) -> nn.Module:
        """DDP synchronises what required gradients when it wrapped the model, so it wraps again at the unfreeze."""
        if self.settings.compiled:
            self.model.compile()
        if self.rank.world_size == 1:
            return self.model
        ids = None if self.device.type == "cpu" else [self.device.index]
        views = flat_tensors(self.optimizer) is None  # else the optimizer lays the gradients out itself
        return DistributedDataParallel(self.model, device_ids=ids, gradient_as_bucket_view=views, **_NO_BUFFERS)

    def _epoch(self, epoch: int, steps: int) -> dict[str, float]:
        monitor, pairs = self.monitor, self.settings.batch_size * self.rank.world_size
        bar = monitor.begin_epoch(
            self.loader, f"epoch {epoch + 1}/{self.settings.epochs}", steps, self.start_step, pairs
        )
        self._go_on_within_epoch()
        for index, batch in enumerate(monitor.timed(self._batches(bar, epoch)), self.start_step + 1):
            losses = self.step(batch)
            self.step_count += 1
            self.heartbeat.step(self.step_count + 1, first=index <= self.start_step + 2)
            last = index == steps or self._enough()
            due = index % self.settings.print_freq == 0 or last
            if due or monitor.speed.warms_up:
                synchronize(self.device)
            monitor.end_step(mark=due)
            if due:
                self._report(epoch, index, steps, losses)
            if self.rank.is_main:
                monitor.pictures(self.model, lambda batch=batch: self.to_device(batch), self.step_count)
            if last:
                break
            self._between_steps(epoch)
        if self.rank.is_main:
            logger.info(monitor.speed.line())
        return {
            "steps": self.step_count,
            "loss": monitor.means.mean("total_loss"),
            "pairs_per_second": monitor.speed.mean,
            "spread": monitor.speed.spread,
            "peak_memory_mib": peak_memory_mib(self.device),
            "reserved_memory_mib": reserved_memory_mib(self.device),
            "skipped": self.skipped_steps.total,
            "waiting": monitor.waiting,
        }

    def _go_on_within_epoch(self) -> None:
        """Means and counts of a run that goes on inside an epoch, so that its lines are those of an uninterrupted one."""
        content, self._resumed = self._resumed[0] if self._resumed else {}, None
        if self.start_step and "progress" in content:
            self.monitor.means.load_state_dict(content["progress"]["means"])
            self.skipped_steps.load_state_dict(content["progress"]["skips"])

    def _batches(self, bar: Iterable, epoch: int) -> Iterable[dict[str, torch.Tensor]]:
        """The batches; a loader process that dies or hangs ends the run with the state saved."""
        try:
            yield from fetched(bar, starts=self.step_count == self.first_step)
        except LoaderFailure as error:
            self._end_if_asked(epoch)
            self._save(epoch)
            raise RuntimeError(f"{error}. TRAIN.RESUME auto goes on from here") from error

    def _between_steps(self, epoch: int) -> None:
        """Write latest.pth when it is time, and end the run if it was asked to end."""
        self._end_if_asked(epoch)
        if self.rank.is_main and self.checkpoints is not None and self.checkpoints.due():
            self._save(epoch)

    def _end_if_asked(self, epoch: int) -> None:
        """Save the state and leave. Only rank 0 does so on its own: the others go on, to let it finish its step, until it is gone."""
        asked = self.stop.signum
        if asked and self.rank.is_main:
            self._save(epoch)
            kept = (
                "its state is saved, TRAIN.RESUME auto goes on from it"
                if self.checkpoints is not None
                else "it kept no checkpoints"
            )
            raise Interrupted(asked, f"ended by {signal.Signals(asked).name} after step {self.step_count}; {kept}")

    def _enough(self) -> bool:
        limit = self.settings.max_steps
        return limit is not None and self.step_count - self.first_step >= limit

    def step(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """One step on a batch of CPU tensors; returns the losses of this process, on the device. Nothing in it waits for the device."""
        statistics = [flat.clone() for flat in self.statistics]
        losses = self.forward(self.to_device(batch))
        bad_on_this_rank = bad_batch(losses["total_loss"], self.statistics)
        exchanges = getattr(
            self.wrapped, "require_backward_grad_sync", False
        )  # not within DDP's no_sync, where each process steps for itself
        bad_anywhere = (
            ask_all(bad_on_this_rank) if exchanges else lambda: bad_on_this_rank
        )  # the answer travels while the gradients are computed
        overflow = self.backward(losses["total_loss"])
        norm, bad = self.update(bad_anywhere() | overflow)
        for flat, old in zip(self.statistics, statistics, strict=True):
            torch.where(bad, old, flat, out=flat)
        self.skipped_steps.mark(self.step_count, bad, bad_on_this_rank)
        return {**losses, "grad_norm": norm}

    def to_device(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The batch on the device, its images float."""
        return float_images(self.uploads.copy(batch), self.memory_format)

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The losses of a batch on the device."""
        clear_gradients(self.optimizer, in_place=self.wrapped is not self.model)
        with self.amp.autocast():
            return self.wrapped(batch)

    def backward(self, loss: torch.Tensor) -> bool:
        """Gradients, reduced over the processes; whether the device has seen an overflow, see `TorchAmp.backward`."""
        # DDP averages gradients over the processes; their number as a factor makes that the sum, for which BASE_LR is tuned.
        factor = self.rank.world_size if self.settings.grad_sum else 1
        return self.amp.backward(loss * factor, self.optimizer)

    def update(self, bad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Clip and step; the gradient norm before, and whether the step was left out, because it is `bad` already or by its gradients."""
        norm = clip_gradients(self.optimizer, self.settings.grad_clip)
        # The norm is that of the reduced gradients: every process sees the same value and takes the same decision.
        bad = bad | bad_norm(norm)
        step_unless(bad, self.optimizer)
        self.amp.update()
        return norm, bad

    def _report(self, epoch: int, step: int, steps: int, losses: dict[str, torch.Tensor]) -> None:
        values, bad = mean_over_ranks(losses, self.skipped_steps.flags[0])
        self.skipped_steps.count(bad, self.step_count, epoch, epoch * steps)
        end = min(self.settings.epochs * steps, self.first_step + (self.settings.max_steps or math.inf))
        self.monitor.report(values, float(self.schedule.rates[epoch]), epoch + 1, step, steps, self.step_count, end)
        if self.rank.is_main:
            self.monitor.scalars({"skipped_steps": self.skipped_steps.total}, self.step_count)
            if self.settings.log_grads:
                self.monitor.gradients(
                    self.model, max(1.0, values["grad_norm"] / self.settings.grad_clip), self.step_count
                )

    def _validate(self, path: Path, epochs: int) -> None:
        """Track with the checkpoint of `epochs` epochs, if it is time, and keep the best one."""
        if self.validate is None or (epochs % self.settings.validate_every and epochs < self.settings.epochs):
            return
        scores = self.validate(path)
        if self.rank.is_main:
            best = self.checkpoints.keep_best(path, scores["EAO"])
            told = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
            logger.info(
                "validation after epoch %d: %s%s", epochs, told, f"; the best so far, kept as {best}" if best else ""
            )
            self.monitor.scalars({f"validation/{name}": value for name, value in scores.items()}, self.step_count)

    def _save(self, epoch: int) -> Path | None:
        """checkpoint_e{n}.pth at the end of an epoch, latest.pth inside one; process 0 writes it."""
        if self.checkpoints is None:
            return None
        done = self.step_count - epoch * len(self.loader)
        whole = done == len(self.loader)
        if not self.rank.is_main:
            return self.checkpoints.path(epoch + whole, whole)
        before = self.heartbeat.doing, self.heartbeat.patience
        self.heartbeat.beat("writes a checkpoint", FIRST_STEP)
        progress = {"means": self.monitor.means.state_dict(), "skips": self.skipped_steps.state_dict()}
        path = self.checkpoints.write(
            epoch + whole,
            whole,
            self.model,
            self.optimizer,
            scaler=self.amp.state_dict(),
            progress=progress,
            pairs=0 if whole else done * self.settings.batch_size * self.rank.world_size,
            batch_size=self.settings.batch_size,
            world_size=self.rank.world_size,
            identity=self.identity,
        )
        self.heartbeat.beat(*before)
        logger.info("wrote %s", path)
        return path
