"""Training loop: epochs of steps, with a checkpoint after every epoch.

It takes a network that turns a batch into losses, a loader of batches, and the objects of this package; it does not
depend on configs or data sets.
"""

import functools
import logging
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pysot.engine import training_state
from pysot.engine.amp import ApexAmp, TorchAmp
from pysot.engine.batch import float_images
from pysot.engine.checkpoint import CheckpointPolicy, restore_optimizer
from pysot.engine.fetch import LoaderFailure, fetch_batches
from pysot.engine.frozen import fold_frozen
from pysot.engine.identity import check_agreement, weights_fingerprint
from pysot.engine.lr_scheduler import LRSchedule
from pysot.engine.monitor import Monitor
from pysot.engine.optimizer import FreezePlan, clear_gradients, clip_gradients, step_unless_bad
from pysot.engine.parallel import wrap_model
from pysot.engine.skipped_steps import SkippedSteps, flat_statistics, is_bad_batch, is_bad_norm
from pysot.engine.train_settings import TrainHooks, TrainSettings
from pysot.models.siamrpn import SiamRPN
from pysot.utils.device import synchronize
from pysot.utils.distributed import Rank, any_over_ranks, barrier, mean_over_ranks
from pysot.utils.streams import CopyStream
from pysot.utils.watchdog import FIRST_STEP

logger = logging.getLogger(__name__)


class Trainer:
    """Training run: `run()` trains from `start_epoch` to the end; call `resume(content, path)` before to resume.

    `loader` yields the batches of an epoch, its length is the number of steps per epoch, and its `batch_sampler` has
    set_epoch(epoch, start_step). `make_optimizer(model)` is called when other parameters begin to train. `checkpoints`
    is None if none are written. `identity` identifies the training run, see `run_folder`.
    """

    def __init__(
        self,
        model: SiamRPN,
        loader: Any,
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
        identity: dict | None = None,
        hooks: TrainHooks | None = None,
    ):
        self.settings = settings
        self.device = device
        self.rank = rank
        self.memory_format = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.model = model.to(device, memory_format=self.memory_format)  # type: ignore[call-overload]
        self.wrapped: nn.Module = model
        self.statistics = flat_statistics(self.model)
        self.loader = loader
        self.uploads = CopyStream(device)
        self.schedule = schedule
        self.freeze = freeze
        self.make_optimizer = make_optimizer
        self.optimizer: torch.optim.Optimizer | None = None
        self.amp = amp
        self.checkpoints = checkpoints
        self.monitor = monitor or Monitor(is_main=rank.is_main)
        self.hooks = hooks or TrainHooks()
        self.skipped_steps = SkippedSteps(settings.print_freq, device, self.hooks.describe)
        self.identity = identity or {}
        self.start_epoch = start_epoch
        self.start_step = 0
        self.first_step = 0
        self.step_count = 0
        self._resumed: tuple[dict, str] | None = None

    def resume(self, content: dict, path: str, may_be_finished: bool = False) -> None:
        """Restore weights, optimizer, scaler and epoch from the `content` of the checkpoint at `path`.

        Raises ValueError for a checkpoint that does not fit, and if no epoch is left unless it `may_be_finished`.
        """
        if not may_be_finished:
            training_state.check_epochs_left(content, path, self.settings)
        self.start_epoch, self.start_step = training_state.restore_state(
            content, path, self.model, self.amp, self.settings, self.rank, len(self.loader)
        )
        self._resumed = (content, path)
        if self.checkpoints is not None and self.rank.is_main:
            self.checkpoints.resume()
        position = training_state.describe_position(self.start_epoch, self.start_step, self.settings.epochs)
        logger.info("resumed from %s: %s", path, position)

    def run(self) -> dict[str, Any]:
        """Train, and return the results; they are empty if all epochs are already trained.

        The results are those of `epoch_results`, `snapshot` (the last checkpoint) and `eao` (the best, -inf for none).
        Raises ValueError if the processes are about to do different things.
        """
        steps = len(self.loader)
        plan = training_state.training_plan(self.settings, self.start_epoch, self.start_step, steps)
        check_agreement({**plan, **self.identity, "the weights": weights_fingerprint(self.model)})
        if self.rank.is_main:
            self.hooks.on_start()
        self.hooks.stop.saves = True
        try:
            return self._run(steps)
        finally:
            self.hooks.stop.saves = False
            # DDP must end before its process group; the other order may hang in gloo.
            self.wrapped = self.model

    def _run(self, steps: int) -> dict[str, Any]:
        self.first_step = self.start_epoch * steps + self.start_step
        self.step_count = self.first_step
        self.skipped_steps.counted = self.first_step
        results: dict[str, Any] = {}
        if self._resumed is not None and not self.start_step:
            # The last validation may have been interrupted.
            self._validate(Path(self._resumed[1]), self.start_epoch)
        for epoch in range(self.start_epoch, self.settings.epochs):
            self.begin(epoch)
            steps_before = self.step_count
            skipped_before = self.skipped_steps.total
            results = self._run_epoch(epoch, steps)
            if not self.amp.searches_scale:
                self.skipped_steps.check_epoch(epoch, self.step_count - steps_before, skipped_before)
            path = self._save(epoch)
            for note in self.hooks.data_warnings():
                logger.warning("epoch %d: %s", epoch + 1, note)
            self.hooks.heartbeat.beat("waits for the others at the end of an epoch")
            barrier()
            if path is not None and self.step_count == (epoch + 1) * steps:
                self._validate(path, epoch + 1)
            results |= {"snapshot": path, "eao": self.checkpoints.best if self.checkpoints else -math.inf}
            if self._reached_max_steps():
                break
            self.start_step = 0
        return results

    def begin(self, epoch: int) -> None:
        """Set freeze state, learning rates and batches of `epoch`.

        At the start, and when the backbone begins to train, optimizer and DDP wrapper are rebuilt.
        """
        self.hooks.heartbeat.beat(f"begins epoch {epoch + 1}", FIRST_STEP)
        self.freeze.apply(self.model, epoch)
        if self.optimizer is None or self.freeze.changes_at(epoch):
            # pysot-compat: momenta restart at the unfreeze epoch.
            # test: engine/test_train_loop.py::test_unfreeze_restarts_momentum
            self.optimizer = self.amp.prepare(self.model, self.make_optimizer(self.model))
            fold_frozen(self.model.backbone, self.amp.compute_type)
            if self.settings.compiled:
                self.model.compile()
            self.wrapped = wrap_model(self.model, self.optimizer, self.device, self.rank.world_size)
            if self._resumed is not None and (self.start_step or not self.freeze.changes_at(epoch)):
                restore_optimizer(self.optimizer, *self._resumed)
        lr = self.schedule.apply(self.optimizer, epoch)
        self.loader.batch_sampler.set_epoch(epoch, self.start_step)
        parts = ", ".join(group["name"] for group in self.optimizer.param_groups)
        logger.info("epoch %d of %d: lr %.6f, trained parts: %s", epoch + 1, self.settings.epochs, lr, parts)

    def _run_epoch(self, epoch: int, steps: int) -> dict[str, Any]:
        monitor = self.monitor
        pairs = self.settings.batch_size * self.rank.world_size
        title = f"epoch {epoch + 1}/{self.settings.epochs}"
        loader = monitor.begin_epoch(self.loader, title, steps, self.start_step, pairs)
        if self._resumed is not None and self.start_step:
            training_state.restore_progress(self._resumed[0], monitor, self.skipped_steps)
        self._resumed = None
        for index, batch in enumerate(monitor.time_batches(self._batches(loader, epoch)), self.start_step + 1):
            losses = self.step(batch)
            self.step_count += 1
            self.hooks.heartbeat.step(self.step_count + 1, first=index <= self.start_step + 2)
            is_last = index == steps or self._reached_max_steps()
            report_due = index % self.settings.print_freq == 0 or is_last
            if report_due or monitor.speed.ends_warm_up:
                synchronize(self.device)
            monitor.end_step(synchronized=report_due)
            if report_due:
                self._report(epoch, index, steps, losses)
            if self.rank.is_main:
                monitor.log_picture(self.model, functools.partial(self.to_device, batch), self.step_count)
            if is_last:
                break
            self._stop_if_requested(epoch)
            if self.rank.is_main and self.checkpoints is not None and self.checkpoints.due():
                self._save(epoch)
        if self.rank.is_main:
            logger.info(monitor.speed.line())
        return training_state.epoch_results(self.step_count, monitor, self.skipped_steps, self.device)

    def _batches(self, loader: Iterable, epoch: int) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the batches. If a loader process dies or hangs, save the state and raise RuntimeError."""
        try:
            yield from fetch_batches(loader, is_starting=self.step_count == self.first_step)
        except LoaderFailure as error:
            self._stop_if_requested(epoch)
            self._save(epoch)
            raise RuntimeError(f"{error}. TRAIN.RESUME auto resumes at this step") from error

    def _stop_if_requested(self, epoch: int) -> None:
        """Save the state and raise Interrupted if a stop was requested.

        Only the main process does so. The others continue, so that it can complete its step, until it has ended.
        """
        signum = self.hooks.stop.signum
        if signum and self.rank.is_main:
            self._save(epoch)
            raise training_state.interruption(signum, self.step_count, is_saved=self.checkpoints is not None)

    def _reached_max_steps(self) -> bool:
        return self.settings.max_steps is not None and self.step_count - self.first_step >= self.settings.max_steps

    def step(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Train on a batch of CPU tensors; return the losses of this process, on the device, without waiting for it."""
        statistics = [flat.clone() for flat in self.statistics]
        losses = self.forward(self.to_device(batch))
        bad_on_rank = is_bad_batch(losses["total_loss"], self.statistics)
        # Within DDP's no_sync each process steps on its own, without an exchange.
        exchanges = getattr(self.wrapped, "require_backward_grad_sync", False)
        # The exchange proceeds while the gradients are computed.
        get_bad_on_any_rank = any_over_ranks(bad_on_rank) if exchanges else lambda: bad_on_rank
        overflow = self.backward(losses["total_loss"])
        norm, skipped = self.update(get_bad_on_any_rank() | overflow)
        for flat, old in zip(self.statistics, statistics, strict=True):
            torch.where(skipped, old, flat, out=flat)
        self.skipped_steps.mark(self.step_count, skipped, bad_on_rank)
        return {**losses, "grad_norm": norm}

    def to_device(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the batch on the device, with float images."""
        return float_images(self.uploads.copy(batch), self.memory_format)

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the losses of a batch on the device."""
        assert self.optimizer is not None
        clear_gradients(self.optimizer, in_place=self.wrapped is not self.model)
        with self.amp.autocast():
            return self.wrapped(batch)

    def backward(self, loss: torch.Tensor) -> bool:
        """Compute gradients, reduced over the processes; return whether the device reported an overflow.

        See `TorchAmp.backward`.
        """
        assert self.optimizer is not None
        # DDP averages gradients over the processes. Their number as a factor makes the sum, for which BASE_LR is tuned.
        factor = self.rank.world_size if self.settings.grad_sum else 1
        return self.amp.backward(loss * factor, self.optimizer)

    def update(self, bad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Clip the gradients and step, unless the batch is `bad` or its gradients are.

        Returns the gradient norm before clipping, and whether the step was skipped.
        """
        assert self.optimizer is not None
        norm = clip_gradients(self.optimizer, self.settings.grad_clip)
        # The norm is that of the reduced gradients: every process sees the same value and takes the same decision.
        skipped = bad | is_bad_norm(norm)
        step_unless_bad(skipped, self.optimizer)
        self.amp.update()
        return norm, skipped

    def _report(self, epoch: int, step: int, steps: int, losses: dict[str, torch.Tensor]) -> None:
        settings = self.settings
        values, skipped = mean_over_ranks(losses, self.skipped_steps.flags[0])
        self.skipped_steps.count(skipped, self.step_count, epoch, epoch * steps)
        last_step = settings.epochs * steps
        if settings.max_steps:
            last_step = min(last_step, self.first_step + settings.max_steps)
        lr = float(self.schedule.rates[epoch])
        self.monitor.report(values, lr, epoch + 1, step, steps, self.step_count, last_step)
        if self.rank.is_main:
            self.monitor.log_scalars({"skipped_steps": self.skipped_steps.total}, self.step_count)
            if settings.log_grads:
                unclipped_scale = max(1.0, values["grad_norm"] / settings.grad_clip)
                self.monitor.log_gradients(self.model, unclipped_scale, self.step_count)

    def _validate(self, path: Path, epochs: int) -> None:
        """Track with the checkpoint after `epochs` epochs, if validation is due, and keep the best checkpoint."""
        validate = self.hooks.validate
        if validate is None or (epochs % self.settings.validate_every and epochs < self.settings.epochs):
            return
        scores = validate(path)
        if self.rank.is_main:
            assert self.checkpoints is not None
            best = self.checkpoints.keep_best(path, scores["EAO"])
            self.monitor.report_validation(scores, epochs, best, self.step_count)

    def _save(self, epoch: int) -> Path | None:
        """Write checkpoint_e{n}.pth at the end of an epoch, latest.pth inside one, on the main process."""
        if self.checkpoints is None:
            return None
        steps_done = self.step_count - epoch * len(self.loader)
        is_complete = steps_done == len(self.loader)
        epochs = epoch + is_complete
        if not self.rank.is_main:
            return self.checkpoints.path(epochs, is_complete)
        assert self.optimizer is not None
        previous_beat = self.hooks.heartbeat.doing, self.hooks.heartbeat.patience
        self.hooks.heartbeat.beat("writes a checkpoint", FIRST_STEP)
        values = training_state.checkpoint_values(
            0 if is_complete else steps_done, self.settings, self.rank, self.amp, self.monitor, self.skipped_steps
        )
        path = self.checkpoints.write(epochs, is_complete, self.model, self.optimizer, **values, identity=self.identity)
        self.hooks.heartbeat.beat(*previous_beat)
        logger.info("wrote %s", path)
        return path
