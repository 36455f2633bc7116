"""Checkpoints: `checkpoint_e{n}.pth` after n epochs and `latest.pth` inside an epoch, a dict of `epoch`, `state_dict`, `optimizer` and what else a resumed
run needs: `pairs` of the begun epoch that are trained, `scaler` (the loss scale).
"""

import os
import re
from pathlib import Path

import torch
from torch import nn

from pysot.utils.files import atomic_write
from pysot.utils.model_load import load_state, read_checkpoint, remove_prefix

_NAME = re.compile(r"checkpoint_e(\d+)\.pth$")


def checkpoint_path(folder: str | os.PathLike, epoch: int) -> Path:
    """Where the checkpoint after `epoch` epochs lies."""
    return Path(folder) / f"checkpoint_e{epoch}.pth"


def latest_path(folder: str | os.PathLike) -> Path:
    """Where the state inside an epoch lies."""
    return Path(folder) / "latest.pth"


def save_checkpoint(path: Path, epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer, **more) -> Path:
    """Write the state after `epoch` epochs, whole or not at all; `more` holds plain values and state dicts. Raises OSError if it can't be written."""
    content = {"epoch": epoch, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), **more}
    with atomic_write(path, "wb") as stream:
        try:
            torch.save(content, stream)
        except RuntimeError as error:  # torch's writer hides the file system's error
            raise OSError(f"cannot write {path}: {error}. Is the disk full?") from error
    return path


def newest_checkpoint(folder: str | os.PathLike) -> Path | None:
    """The checkpoint of a folder that has trained furthest: that of the most epochs, or latest.pth if it goes on from there.

    Raises ValueError, with the file to take instead, if latest.pth is damaged.
    """
    found = [(int(m.group(1)), p) for p in Path(folder).glob("checkpoint_e*.pth") if (m := _NAME.match(p.name))]
    epoch, path = max(found, default=(-1, None))
    latest = latest_path(folder)
    if not latest.exists():
        return path
    try:
        return latest if read_training_state(latest)["epoch"] >= epoch else path
    except ValueError as error:
        other = f"TRAIN.RESUME {path}" if path else "an empty TRAIN.SNAPSHOT_DIR"
        raise ValueError(f"{error}. To go on without it: remove it, or take {other}") from None


def read_training_state(path: str | os.PathLike) -> dict:
    """A checkpoint that training can go on from. Raises ValueError if it holds weights only, and as `read_checkpoint`."""
    content = read_checkpoint(path)
    missing = [key for key in ("epoch", "optimizer") if key not in content]
    if missing:
        raise ValueError(f"checkpoint {path} has no {' and '.join(missing)}, so training cannot go on from it; start from its weights: TRAIN.PRETRAINED {path}")
    epoch, optimizer, pairs = content["epoch"], content["optimizer"], content.setdefault("pairs", 0)
    counts = type(epoch) is int and type(pairs) is int and min(epoch, pairs) >= 0
    if not counts or not isinstance(optimizer, dict) or not {"state", "param_groups"} <= set(optimizer):
        raise ValueError(f"checkpoint {path} is no state of a training run (epoch {epoch!r}); start from its weights: TRAIN.PRETRAINED {path}")
    return content


def restore_model(model: nn.Module, content: dict, source: str) -> None:
    """Load the weights of a training state. Raises ValueError for another architecture."""
    load_state(model, remove_prefix(content["state_dict"], "module."), source)


def restore_optimizer(optimizer: torch.optim.Optimizer, content: dict, source: str) -> None:
    """Load momenta. Raises ValueError if they belong to other parameters; all else in the optimizer is the config's and the device's, not the file's."""
    kept = [group for group in content["optimizer"]["param_groups"] if group["params"]]
    mine = optimizer.state_dict()
    counts, expected = [len(group["params"]) for group in kept], [len(group["params"]) for group in mine["param_groups"]]
    if counts != expected:
        raise ValueError(
            f"{source} holds the optimizer of other parameters ({counts} per group, expected {expected}). "
            "BACKBONE.TRAIN_EPOCH and TRAIN_LAYERS must be those of the run that wrote it; or start from its weights with TRAIN.PRETRAINED"
        )
    saved = content["optimizer"]["state"]
    names = zip([i for group in kept for i in group["params"]], [i for group in mine["param_groups"] for i in group["params"]], strict=True)
    momenta = {own: saved[theirs] for theirs, own in names if saved.get(theirs, {}).get("momentum_buffer") is not None}
    optimizer.load_state_dict({"state": mine["state"] | momenta, "param_groups": mine["param_groups"]})
