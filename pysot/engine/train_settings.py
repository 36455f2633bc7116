"""Settings of the training loop, and its connections to the program that runs it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pysot.engine.profile import ProfileWindow
from pysot.utils.signals import StopRequest
from pysot.utils.watchdog import Heartbeat


@dataclass(frozen=True)
class TrainSettings:
    """Values of the TRAIN section of the config, see pysot/core/config.py.

    `grad_sum`: gradients are summed over processes, otherwise averaged. `max_steps`: training ends after this number of
    steps, counted from the start or the resume. `channels_last`: memory format of images and weights. `compiled`: the
    network is compiled by torch.compile. `graph`: the step may become a graph, see `StepGraph`. `validate_every`:
    epochs from one validation to the next. `profile`: steps that are profiled.
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
    graph: bool = False
    validate_every: int = 1
    profile: ProfileWindow | None = None


@dataclass(frozen=True)
class TrainHooks:
    """Callbacks of the training loop, its stop request and its heartbeat.

    `notes()` returns warnings about the data of an epoch. `describe(epoch, step)` names the training items of this
    process in a step. `validate(path)` is called in every process after an epoch, with the path of its checkpoint on
    the main process; it returns scores, among them EAO, on the main process. `on_start()` is called on the main process
    right before the first step. `stop` is checked after every step.
    """

    data_warnings: Callable[[], Iterable[str]] = tuple
    describe: Callable[[int, int], str] | None = None
    validate: Callable[[Path], dict[str, float]] | None = None
    on_start: Callable[[], None] = lambda: None
    stop: StopRequest = field(default_factory=StopRequest)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
