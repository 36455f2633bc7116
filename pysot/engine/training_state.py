"""State of a training run as plain data: content of checkpoints, the position to resume at, and results."""

import logging
import signal

import torch

from pysot.engine.amp import ApexAmp, TorchAmp
from pysot.engine.checkpoint import describe_batch_change, restore_model, steps_of_pairs
from pysot.engine.monitor import Monitor
from pysot.engine.skipped_steps import SkippedSteps
from pysot.engine.train_settings import TrainSettings
from pysot.models.siamrpn import SiamRPN
from pysot.utils.device import peak_memory_mib
from pysot.utils.distributed import Rank
from pysot.utils.meter import reserved_memory_mib
from pysot.utils.signals import Interrupted

logger = logging.getLogger(__name__)


def training_plan(settings: TrainSettings, start_epoch: int, start_step: int, steps: int) -> dict[str, int]:
    """Return values in which all processes must agree before training; `steps` is the number per epoch."""
    return {
        "the next epoch": start_epoch + 1,
        "the next step": start_step + 1,
        "the steps of an epoch": steps,
        "the pairs of a process": settings.batch_size,
        "the epochs": settings.epochs,
    }


def check_epochs_left(content: dict, path: str, settings: TrainSettings) -> None:
    """Raise ValueError if the checkpoint at `path` has trained all epochs."""
    if content["epoch"] >= settings.epochs:
        raise ValueError(
            f"{path} has trained {content['epoch']} epochs already, and TRAIN.EPOCH is {settings.epochs}. "
            "Raise it, or --train_epochs, or test the snapshot"
        )


def restore_state(
    content: dict, path: str, model: SiamRPN, amp: TorchAmp | ApexAmp, settings: TrainSettings, rank: Rank, steps: int
) -> tuple[int, int]:
    """Restore weights and loss scale from the checkpoint at `path`.

    Returns the epoch and the step in it, both from 0, at which training resumes; `steps` is the number per epoch.
    Raises ValueError for another architecture, and for a checkpoint whose pairs are not a multiple of those of a step.
    """
    restore_model(model, content, path)
    if change := describe_batch_change(content, settings.batch_size, rank.world_size, settings.grad_sum):
        logger.warning("%s %s", path, change)
    amp.load_state_dict(content.get("scaler", {}))
    epoch = content["epoch"]
    step = min(steps_of_pairs(content["pairs"], settings.batch_size, rank.world_size, path), steps)
    return (epoch + 1, 0) if step == steps else (epoch, step)


def describe_position(epoch: int, step: int, epochs: int) -> str:
    """Describe the position at which training resumes; `epochs` is the total number of epochs."""
    if epoch >= epochs:
        return "all epochs are trained"
    return f"epoch {epoch + 1}, step {step + 1} is next" if step else f"epoch {epoch + 1} is next"


def restore_progress(content: dict, monitor: Monitor, skipped_steps: SkippedSteps) -> None:
    """Restore means and counts inside an epoch, so that the log equals that of uninterrupted training."""
    if "progress" in content:
        monitor.means.load_state_dict(content["progress"]["means"])
        skipped_steps.load_state_dict(content["progress"]["skips"])


def checkpoint_values(
    steps_done: int,
    settings: TrainSettings,
    rank: Rank,
    amp: TorchAmp | ApexAmp,
    monitor: Monitor,
    skipped_steps: SkippedSteps,
) -> dict:
    """Return the values of a checkpoint besides its epoch, weights, optimizer and identity.

    `steps_done` is the number of trained steps in the current epoch, 0 at the end of an epoch.
    """
    return {
        "scaler": amp.state_dict(),
        "progress": {"means": monitor.means.state_dict(), "skips": skipped_steps.state_dict()},
        "pairs": steps_done * settings.batch_size * rank.world_size,
        "batch_size": settings.batch_size,
        "world_size": rank.world_size,
    }


def epoch_results(
    step_count: int, monitor: Monitor, skipped_steps: SkippedSteps, device: torch.device
) -> dict[str, float | None]:
    """Return the results of an epoch; `step_count` counts from the first epoch.

    They are `steps`, `loss` (mean of the last steps), `pairs_per_second` over all processes with its `spread` (see
    SpeedMeter), `peak_memory_mib`, `reserved_memory_mib` (None on a CPU), `skipped`, and `waiting` (share of time spent
    waiting for data).
    """
    return {
        "steps": step_count,
        "loss": monitor.means.mean("total_loss"),
        "pairs_per_second": monitor.speed.mean,
        "spread": monitor.speed.spread,
        "peak_memory_mib": peak_memory_mib(device),
        "reserved_memory_mib": reserved_memory_mib(device),
        "skipped": skipped_steps.total,
        "waiting": monitor.waiting,
    }


def interruption(signum: int, step_count: int, is_saved: bool) -> Interrupted:
    """Return the exception that ends training after a stop request."""
    state = "its state is saved, TRAIN.RESUME auto resumes from it" if is_saved else "no checkpoint was written"
    return Interrupted(signum, f"ended by {signal.Signals(signum).name} after step {step_count}; {state}")
