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
from pysot.engine.checkpoint import CheckpointPolicy, restore_optimizer
from pysot.engine.fetch import LoaderFailure, fetch_batches
from pysot.engine.frozen import fold_frozen
from pysot.engine.identity import check_agreement, weights_fingerprint
from pysot.engine.lr_scheduler import LRSchedule
from pysot.engine.monitor import Monitor
from pysot.engine.optimizer import FreezePlan
from pysot.engine.profile import StepProfiler
from pysot.engine.skipped_steps import SkippedSteps, flat_statistics
from pysot.engine.step_graph import StepGraph
from pysot.engine.train_settings import TrainHooks, TrainSettings
from pysot.engine.train_step import TrainStep
from pysot.models.model_builder import ModelBuilder
from pysot.utils.device import synchronize
from pysot.utils.distributed import Rank, barrier, mean_over_ranks
from pysot.utils.graphs import Graphs, find_graphs
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
        model: ModelBuilder,
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
        layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        self.model = model.to(device, memory_format=layout)  # type: ignore[call-overload]
        self.statistics = flat_statistics(self.model)
        self.loader = loader
        self.uploads = CopyStream(device)
        self.schedule = schedule
        self.freeze = freeze
        self.make_optimizer = make_optimizer
        self.optimizer: torch.optim.Optimizer | None = None
        self.train_step: TrainStep
        self.compute: TrainStep | StepGraph
        self.amp = amp
        self.checkpoints = checkpoints
        self.monitor = monitor or Monitor(is_main=rank.is_main)
        self.hooks = hooks or TrainHooks()
        self.skipped_steps = SkippedSteps(settings.print_freq, device, self.hooks.describe)
        self.profiler = StepProfiler(settings.profile, device, rank.index, self.hooks.heartbeat)
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
        ways = {"graphs of steps (TRAIN.GRAPH)": "off" if self._find_graphs() is None else "auto"}
        check_agreement({**plan, **ways, **self.identity, "the weights": weights_fingerprint(self.model)})
        if self.rank.is_main:
            self.hooks.on_start()
        self.hooks.stop.saves = True
        try:
            with self.profiler:
                return self._run(steps)
        finally:
            self.hooks.stop.saves = False
            if hasattr(self, "train_step"):
                # DDP must end before its process group; the other order may hang in gloo.
                self.train_step.network = self.model
                self.compute = self.train_step

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
            self._make_step(self.optimizer)
            if self._resumed is not None and (self.start_step or not self.freeze.changes_at(epoch)):
                restore_optimizer(self.optimizer, *self._resumed)
        lr = self.schedule.apply(self.optimizer, epoch)
        if isinstance(self.compute, StepGraph):
            self.compute.renew()
        self.loader.batch_sampler.set_epoch(epoch, self.start_step)
        parts = ", ".join(group["name"] for group in self.optimizer.param_groups)
        logger.info("epoch %d of %d: lr %.6f, trained parts: %s", epoch + 1, self.settings.epochs, lr, parts)

    def _make_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.train_step = self.compute = TrainStep(
            self.model, optimizer, self.amp, self.statistics, self.settings, self.device, self.rank
        )
        graphs = self._find_graphs()
        if graphs is None:
            self.train_step.wrap()
        else:
            self.compute = StepGraph(self.train_step, graphs)

    def _find_graphs(self) -> Graphs | None:
        return find_graphs(self.device) if self.settings.graph and not self.amp.reads_device else None

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
            is_profiled = self.profiler.step()
            self.hooks.heartbeat.step(self.step_count + 1, first=index <= self.start_step + 2)
            is_last = index == steps or self._reached_max_steps()
            report_due = index % self.settings.print_freq == 0 or is_last
            if report_due or monitor.speed.ends_warm_up:
                synchronize(self.device)
            monitor.end_step(synchronized=report_due, counts=not is_profiled)
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
        values = self.compute(self.uploads.copy(batch))
        self.skipped_steps.mark(self.step_count, values.pop("skipped"), values.pop("bad_batch"))
        return values

    @property
    def warm_up_steps(self) -> int:
        """Number of first steps whose speed is not that of the others."""
        return self.compute.calls_until_settled if isinstance(self.compute, StepGraph) else 3

    def to_device(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the batch on the device, with float images."""
        return self.train_step.images(self.uploads.copy(batch))

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
        self.profiler.end("the epoch")  # the trace of a validation would fill the memory
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
