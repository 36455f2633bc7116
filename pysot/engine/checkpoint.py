"""Checkpoints: `checkpoint_e{n}.pth` after n epochs, `latest.pth` inside an epoch, `best.pth` of the best validation.

Each is a dict of `epoch`, `state_dict`, `optimizer` and the other values that a resumed training run needs: `pairs`
(trained in the current epoch), `scaler` (the loss scale), `progress` (means and counts for the log) and `identity` (see
`run_folder`). `config` is the YAML text of network and tracker, see `pysot.core.stored_config`; a network is built from
it, training does not read it. best.pth has its `eao` as well. A checkpoint with NaN or infinity in weights or momenta
is neither written nor read.
"""

import logging
import math
import os
import re
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pysot.utils.files import atomic_write
from pysot.utils.model_load import load_state, read_checkpoint

logger = logging.getLogger(__name__)
BEST = "best.pth"
_NAME = re.compile(r"checkpoint_e(\d+)\.pth$")


def checkpoint_path(folder: str | os.PathLike, epoch: int) -> Path:
    """Return the path of the checkpoint after `epoch` epochs."""
    return Path(folder) / f"checkpoint_e{epoch}.pth"


def latest_path(folder: str | os.PathLike) -> Path:
    """Return the path of the checkpoint inside an epoch."""
    return Path(folder) / "latest.pth"


class NotFinite(RuntimeError):
    """Training state with NaN or infinity, which is not written."""


def save_checkpoint(path: Path, epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer, **more: Any) -> Path:
    """Write the state after `epoch` epochs, completely or not at all; `more` holds plain values and state dicts.

    Raises OSError if it cannot be written, and NotFinite if weights or momenta are non-finite.
    """
    content = {"epoch": epoch, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), **more}
    if names := _names_of_non_finite(content):
        raise NotFinite(f"{path} was not written: the network holds NaN or infinity in {names}")
    with atomic_write(path, "wb") as stream:
        try:
            torch.save(content, stream)
        except RuntimeError as error:  # torch's writer hides the file system's error
            raise OSError(f"cannot write {path}: {error}. Is the disk full?") from error
    return path


def _names_of_non_finite(content: dict) -> str:
    """Return the names of weights and momenta with NaN or infinity, as text; "" if there are none.

    This waits for the device once.
    """
    momenta = (
        (f"momentum {number}", value)
        for number, state in content["optimizer"]["state"].items()
        for value in state.values()
    )
    named = [
        (name, value)
        for name, value in (*content["state_dict"].items(), *momenta)
        if isinstance(value, torch.Tensor) and value.is_floating_point()
    ]
    finite = torch.stack([torch.isfinite(value).all() for _, value in named]).tolist() if named else []
    broken = [name for (name, _), is_finite in zip(named, finite, strict=True) if not is_finite]
    more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
    return ", ".join(broken[:3]) + more


def epoch_checkpoints(folder: str | os.PathLike) -> list[tuple[int, Path]]:
    """Return (n, path) of each checkpoint_e{n}.pth of a folder, the last epoch first."""
    found = [(_NAME.match(path.name), path) for path in Path(folder).glob("checkpoint_e*.pth")]
    return sorted(((int(match.group(1)), path) for match, path in found if match), reverse=True)


def checkpoints_by_progress(folder: str | os.PathLike) -> list[Path]:
    """Return the checkpoints of a folder, the one with the most progress first.

    latest.pth comes before the checkpoint of its epoch. An unreadable latest.pth comes first, so that it is reported.
    """
    found: list[tuple[float, int, Path]] = [(epoch, 0, path) for epoch, path in epoch_checkpoints(folder)]
    latest = latest_path(folder)
    if latest.exists():
        try:
            found.append((read_training_state(latest)["epoch"], 1, latest))
        except ValueError:
            found.append((math.inf, 1, latest))
    return [path for *_, path in sorted(found, reverse=True)]


class CheckpointPolicy:
    """Rules for the files of a snapshot folder: when to write latest.pth, and which past epochs to keep.

    `every` is a number of steps between two latest.pth, or minutes as in '10m', or '' (never); `keep` is the number of
    past epochs whose files stay, 0 for all. `config` is the text in each checkpoint. `best` is the best EAO so far.
    """

    remedy = (
        "Lower TRAIN.BASE_LR or check the initial weights and the data, then resume; "
        "if the same steps succeed the second time, the device memory may be faulty"
    )

    def __init__(self, folder: str | os.PathLike, every: int | str = "", keep: int = 0, config: str = ""):
        self.folder = Path(folder)
        self.config = config
        self.keep = keep
        self.seconds = float(every[:-1]) * 60 if isinstance(every, str) and every else math.inf
        self.steps = every if isinstance(every, int) and every else math.inf
        self.best = -math.inf
        self._restart_interval()

    def keep_best(self, path: Path, eao: float) -> Path | None:
        """Copy the checkpoint at `path` to best.pth, with its `eao`, if that is above the best so far.

        Returns the path of best.pth if it was written, else None.
        """
        if not eao > self.best:
            return None
        best = self.folder / BEST
        with atomic_write(best, "wb") as stream:
            torch.save({**read_checkpoint(path), "eao": eao}, stream)
        self.best = eao
        return best

    def resume(self) -> None:
        """Read the best EAO so far from best.pth; a new training run does not call this.

        A damaged best.pth only causes a warning, because the next validation replaces it.
        """
        best = self.folder / BEST
        try:
            self.best = float(read_checkpoint(best).get("eao", -math.inf)) if best.exists() else -math.inf
        except (ValueError, TypeError) as error:
            logger.warning("%s; the best EAO so far is unknown, and the next validation counts as the best", error)
            self.best = -math.inf

    def _restart_interval(self) -> None:
        self._steps_since_write = 0
        self._write_time = time.monotonic()

    def due(self) -> bool:
        """Count a step, and return whether latest.pth must be written after it."""
        self._steps_since_write += 1
        return self._steps_since_write >= self.steps or time.monotonic() - self._write_time >= self.seconds

    def path(self, epoch: int, is_complete: bool) -> Path:
        """Return the path of the state after `epoch` epochs, or inside the next epoch unless `is_complete`."""
        return checkpoint_path(self.folder, epoch) if is_complete else latest_path(self.folder)

    def write(
        self, epoch: int, is_complete: bool, model: nn.Module, optimizer: torch.optim.Optimizer, **more: Any
    ) -> Path:
        """Write the state to `path(epoch, is_complete)`, then remove the files that are not kept.

        Raises as `save_checkpoint`.
        """
        try:
            path = self.path(epoch, is_complete)
            save_checkpoint(path, epoch, model, optimizer, **more, config=self.config)
        except NotFinite as error:
            good = checkpoints_by_progress(self.folder)
            last = f"the last good state is {good[0]}" if good else "there is no earlier state of this run"
            raise NotFinite(f"{error}. Training ends; {last}. {self.remedy}") from None
        self._restart_interval()
        if is_complete:
            latest_path(self.folder).unlink(missing_ok=True)  # it belongs to this epoch or to an earlier one
        if is_complete and self.keep:
            for old in checkpoints_by_progress(self.folder)[self.keep :]:
                old.unlink(missing_ok=True)
        return path


def read_training_state(path: str | Path) -> dict:
    """Read a checkpoint that training can resume from.

    Raises ValueError if it holds only weights, and as `read_checkpoint`.
    """
    content = read_checkpoint(path)
    missing = [key for key in ("epoch", "optimizer") if key not in content]
    if missing:
        raise ValueError(
            f"checkpoint {path} has no {' and '.join(missing)}, so training cannot resume from it; "
            f"start from its weights: TRAIN.PRETRAINED {path}"
        )
    epoch, optimizer, pairs = content["epoch"], content["optimizer"], content.setdefault("pairs", 0)
    are_counts = type(epoch) is int and type(pairs) is int and min(epoch, pairs) >= 0
    if not are_counts or not isinstance(optimizer, dict) or not {"state", "param_groups"} <= set(optimizer):
        raise ValueError(
            f"checkpoint {path} is not a training state (epoch {epoch!r}); "
            f"start from its weights: TRAIN.PRETRAINED {path}"
        )
    if names := _names_of_non_finite(content):
        raise ValueError(
            f"checkpoint {path} holds NaN or infinity in {names}: the training run that wrote it had failed; "
            "use an earlier checkpoint"
        )
    return content


def steps_of_pairs(pairs: int, batch_size: int, world_size: int, path: str) -> int:
    """Return the number of steps of `world_size` processes with `batch_size` pairs each that train `pairs` pairs.

    Raises ValueError for a fraction of a step.
    """
    steps, rest = divmod(pairs, batch_size * world_size)
    if rest:
        raise ValueError(
            f"{path} has trained {pairs} pairs of its epoch, which is not a whole number of steps of {batch_size} x "
            f"{world_size} processes; resume with the same number of processes and TRAIN.BATCH_SIZE as before, or from "
            "a checkpoint at the end of an epoch"
        )
    return steps


def restore_model(model: nn.Module, content: dict, source: str) -> None:
    """Load the weights of a training state. Raises ValueError for another architecture."""
    load_state(model, content["state_dict"], source)


def restore_optimizer(optimizer: torch.optim.Optimizer, content: dict, source: str) -> None:
    """Load the momenta; all other values of the optimizer are determined by the config and the device.

    Raises ValueError if the momenta belong to other parameters.
    """
    saved_groups = [group for group in content["optimizer"]["param_groups"] if group["params"]]
    saved_state = content["optimizer"]["state"]
    current = optimizer.state_dict()
    counts = [len(group["params"]) for group in saved_groups]
    expected = [len(group["params"]) for group in current["param_groups"]]
    if counts != expected:
        raise ValueError(
            f"{source} holds the optimizer of other parameters ({counts} per group, expected {expected}). "
            "Set BACKBONE.TRAIN_EPOCH and TRAIN_LAYERS as in the training run that wrote it, or start from its weights "
            "with TRAIN.PRETRAINED"
        )
    saved_numbers = [number for group in saved_groups for number in group["params"]]
    current_numbers = [number for group in current["param_groups"] for number in group["params"]]
    momenta = {}
    for saved_number, number in zip(saved_numbers, current_numbers, strict=True):
        saved_momentum = saved_state.get(saved_number, {}).get("momentum_buffer")
        if saved_momentum is not None:
            # The copy is in the memory format of the current parameter.
            momentum = torch.empty_like(current["state"][number]["momentum_buffer"]).copy_(saved_momentum)
            momenta[number] = {"momentum_buffer": momentum}
    optimizer.load_state_dict({"state": current["state"] | momenta, "param_groups": current["param_groups"]})


def describe_batch_change(content: dict, batch_size: int, world_size: int, grad_sum: bool) -> str:
    """Describe the effect on the learning rate if training resumes with another number of pairs per step.

    `content` is the training state; it resumes with `world_size` processes of `batch_size` pairs each. Returns "" if
    both numbers are as before.
    """
    old_batch_size = content.get("batch_size", batch_size)
    old_world_size = content.get("world_size", world_size)
    if (batch_size, world_size) == (old_batch_size, old_world_size):
        return ""
    pairs, old_pairs = batch_size * world_size, old_batch_size * old_world_size
    pairs_factor = pairs / old_pairs
    step_factor = world_size / old_world_size if grad_sum else 1.0
    step_note = ""
    if step_factor != 1:
        step_note = (
            f" Gradients of {world_size} processes are added instead of {old_world_size}, "
            f"so a step is {step_factor:g} times as long."
        )
    if pairs_factor != step_factor:
        advice = f"to keep its effect per pair, multiply TRAIN.BASE_LR by {pairs_factor / step_factor:g}"
    else:
        advice = "its effect per pair stays the same"
    return (
        f"was trained with {old_pairs} pairs per step ({old_world_size} x {old_batch_size}), this run has {pairs} "
        f"({world_size} x {batch_size}).{step_note} The learning rate is that of the config: {advice}"
    )
