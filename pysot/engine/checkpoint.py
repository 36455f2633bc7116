"""Checkpoints: `checkpoint_e{n}.pth` after n epochs, `latest.pth` inside an epoch, and `best.pth`, the one of the best validation.

Each is a dict of `epoch`, `state_dict`, `optimizer` and what else a resumed run needs: `pairs` of the begun epoch that are trained, `scaler` (the loss scale),
`progress` (means and counts for the log), `identity` (see `run_folder`). best.pth has its `eao` as well. None is written or read that holds NaN or infinity
among weights or momenta.
"""

import logging
import math
import os
import re
import time
from pathlib import Path

import torch
from torch import nn

from pysot.utils.files import atomic_write
from pysot.utils.model_load import load_state, read_checkpoint

logger = logging.getLogger(__name__)
BEST = "best.pth"
_NAME = re.compile(r"checkpoint_e(\d+)\.pth$")


def checkpoint_path(folder: str | os.PathLike, epoch: int) -> Path:
    """Where the checkpoint after `epoch` epochs lies."""
    return Path(folder) / f"checkpoint_e{epoch}.pth"


def latest_path(folder: str | os.PathLike) -> Path:
    """Where the state inside an epoch lies."""
    return Path(folder) / "latest.pth"


class NotFinite(RuntimeError):
    """A state with NaN or infinity in it, which is not written."""


def save_checkpoint(path: Path, epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer, **more) -> Path:
    """Write the state after `epoch` epochs, whole or not at all; `more` holds plain values and state dicts. Raises OSError if it can't be written,
    NotFinite if weights or momenta are no finite numbers.
    """
    content = {"epoch": epoch, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), **more}
    if broken := _not_finite(content):
        raise NotFinite(f"{path} was not written: the network holds NaN or infinity in {broken}")
    with atomic_write(path, "wb") as stream:
        try:
            torch.save(content, stream)
        except RuntimeError as error:  # torch's writer hides the file system's error
            raise OSError(f"cannot write {path}: {error}. Is the disk full?") from error
    return path


def _not_finite(content: dict) -> str:
    """Which weights and momenta of a training state hold NaN or infinity, in words; "" if none does. It waits for the device once."""
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
    broken = [name for (name, _), sound in zip(named, finite, strict=True) if not sound]
    return ", ".join(broken[:3]) + (f" and {len(broken) - 3} more" if len(broken) > 3 else "")


def checkpoints_by_progress(folder: str | os.PathLike) -> list[Path]:
    """The checkpoints of a folder, the one that has trained furthest first: latest.pth stands before that of its epoch. A latest.pth that cannot be read
    stands first, so that it is not passed over in silence.
    """
    found = [(int(m.group(1)), 0, p) for p in Path(folder).glob("checkpoint_e*.pth") if (m := _NAME.match(p.name))]
    latest = latest_path(folder)
    if latest.exists():
        try:
            found.append((read_training_state(latest)["epoch"], 1, latest))
        except ValueError:
            found.append((math.inf, 1, latest))
    return [path for *_, path in sorted(found, reverse=True)]


class CheckpointPolicy:
    """When to write latest.pth inside an epoch, and which files of past epochs to keep. `every` is a number of steps, or minutes as in '10m', or '' (never);
    `keep` is the number of past epochs whose files stay, 0 for all.
    """

    remedy = (
        "Lower TRAIN.BASE_LR or check the weights and data that it started from, then go on; if the same steps run well a second time, suspect the "
        "memory of the device"
    )

    def __init__(self, folder: str | os.PathLike, every: int | str = "", keep: int = 0):
        self.folder, self.keep = Path(folder), keep
        self.seconds = float(every[:-1]) * 60 if isinstance(every, str) and every else math.inf
        self.steps = every if isinstance(every, int) and every else math.inf
        self.best = -math.inf
        self._done()

    def keep_best(self, path: Path, eao: float) -> Path | None:
        """Copy the checkpoint at `path` to best.pth, with its `eao`, if that is above the best so far; returns where it is then, else None."""
        if not eao > self.best:
            return None
        best = self.folder / BEST
        with atomic_write(best, "wb") as stream:
            torch.save({**read_checkpoint(path), "eao": eao}, stream)
        self.best = eao
        return best

    def resume(self) -> None:
        """Take the best EAO so far from best.pth, which a new run does not. One that is damaged is no reason to stop: the next validation makes it again."""
        best = self.folder / BEST
        try:
            self.best = float(read_checkpoint(best).get("eao", -math.inf)) if best.exists() else -math.inf
        except (ValueError, TypeError) as error:
            logger.warning("%s; the best EAO so far is not known, and the next validation counts as the best", error)
            self.best = -math.inf

    def _done(self) -> None:
        self._count, self._since = 0, time.monotonic()

    def due(self) -> bool:
        """Called after each step: whether latest.pth is to be written now."""
        self._count += 1
        return self._count >= self.steps or time.monotonic() - self._since >= self.seconds

    def path(self, epoch: int, whole: bool) -> Path:
        """Where the state after `epoch` epochs goes, the last one `whole` or begun."""
        return checkpoint_path(self.folder, epoch) if whole else latest_path(self.folder)

    def write(self, epoch: int, whole: bool, model: nn.Module, optimizer: torch.optim.Optimizer, **more) -> Path:
        """Write the state after `epoch` epochs: as checkpoint_e{n}.pth if the last one is `whole`, else as latest.pth; then remove what is not kept. Raises as
        `save_checkpoint`.
        """
        try:
            path = save_checkpoint(self.path(epoch, whole), epoch, model, optimizer, **more)
        except NotFinite as error:
            good = checkpoints_by_progress(self.folder)
            last = f"the last good state is {good[0]}" if good else "there is no earlier state of this run"
            raise NotFinite(f"{error}. The run ends; {last}. {self.remedy}") from None
        self._done()
        if whole:
            latest_path(self.folder).unlink(missing_ok=True)  # it is of this epoch or of an earlier one
        if whole and self.keep:
            for old in checkpoints_by_progress(self.folder)[self.keep :]:
                old.unlink(missing_ok=True)
        return path


def read_training_state(path: str | os.PathLike) -> dict:
    """A checkpoint that training can go on from. Raises ValueError if it holds weights only, and as `read_checkpoint`."""
    content = read_checkpoint(path)
    missing = [key for key in ("epoch", "optimizer") if key not in content]
    if missing:
        raise ValueError(
            f"checkpoint {path} has no {' and '.join(missing)}, so training cannot go on from it; start from its weights: TRAIN.PRETRAINED {path}"
        )
    epoch, optimizer, pairs = content["epoch"], content["optimizer"], content.setdefault("pairs", 0)
    counts = type(epoch) is int and type(pairs) is int and min(epoch, pairs) >= 0
    if not counts or not isinstance(optimizer, dict) or not {"state", "param_groups"} <= set(optimizer):
        raise ValueError(
            f"checkpoint {path} is no state of a training run (epoch {epoch!r}); start from its weights: TRAIN.PRETRAINED {path}"
        )
    if broken := _not_finite(content):
        raise ValueError(
            f"checkpoint {path} holds NaN or infinity in {broken}: it was written by a run that had gone wrong; take an earlier one"
        )
    return content


def whole_steps(pairs: int, batch: int, ranks: int, path: str) -> int:
    """The steps of `ranks` processes with `batch` pairs that an epoch has behind it after `pairs`. Raises ValueError for a part of a step."""
    whole, rest = divmod(pairs, batch * ranks)
    if rest:
        raise ValueError(
            f"{path} has trained {pairs} pairs of its epoch, which is no whole number of steps of {batch} x {ranks} processes; resume with as "
            "many processes and TRAIN.BATCH_SIZE as before, or from a checkpoint at the end of an epoch"
        )
    return whole


def restore_model(model: nn.Module, content: dict, source: str) -> None:
    """Load the weights of a training state. Raises ValueError for another architecture."""
    load_state(model, content["state_dict"], source)


def restore_optimizer(optimizer: torch.optim.Optimizer, content: dict, source: str) -> None:
    """Load momenta. Raises ValueError if they belong to other parameters; all else in the optimizer is the config's and the device's, not the file's."""
    kept = [group for group in content["optimizer"]["param_groups"] if group["params"]]
    mine = optimizer.state_dict()
    counts, expected = (
        [len(group["params"]) for group in kept],
        [len(group["params"]) for group in mine["param_groups"]],
    )
    if counts != expected:
        raise ValueError(
            f"{source} holds the optimizer of other parameters ({counts} per group, expected {expected}). "
            "BACKBONE.TRAIN_EPOCH and TRAIN_LAYERS must be those of the run that wrote it; or start from its weights with TRAIN.PRETRAINED"
        )
    saved = content["optimizer"]["state"]
    names = zip(
        [i for group in kept for i in group["params"]],
        [i for group in mine["param_groups"] for i in group["params"]],
        strict=True,
    )
    momenta = {}
    for theirs, own in names:
        if (momentum := saved.get(theirs, {}).get("momentum_buffer")) is not None:  # in the memory format of this run
            momenta[own] = {"momentum_buffer": torch.empty_like(mine["state"][own]["momentum_buffer"]).copy_(momentum)}
    optimizer.load_state_dict({"state": mine["state"] | momenta, "param_groups": mine["param_groups"]})


def other_batches(content: dict, batch: int, ranks: int, grad_sum: bool) -> str:
    """What it means for the learning rate to go on from a training state with `ranks` processes of `batch` pairs; "" where there were as many before."""
    batch_before, ranks_before = content.get("batch_size", batch), content.get("world_size", ranks)
    if (batch, ranks) == (batch_before, ranks_before):
        return ""
    pairs, longer = batch * ranks / (batch_before * ranks_before), ranks / ranks_before if grad_sum else 1.0
    added = (
        f" Gradients of {ranks} processes are added in place of {ranks_before}, so a step is {longer:g} times as long."
        if longer != 1
        else ""
    )
    rate = (
        f"to keep its effect per pair, multiply TRAIN.BASE_LR by {pairs / longer:g}"
        if pairs != longer
        else "its effect per pair stays the same"
    )
    return (
        f"was trained with {batch_before * ranks_before} pairs per step ({ranks_before} x {batch_before}), this run has {batch * ranks} "
        f"({ranks} x {batch}).{added} The learning rate is that of the config: {rate}"
    )
