"""Checkpoints: `checkpoint_e{n}.pth` after n epochs, a dict of `epoch`, `state_dict`, `optimizer` and what else a resumed run needs."""

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


def save_checkpoint(folder: str | os.PathLike, epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer, **more) -> Path:
    """Write the state after `epoch` epochs, whole or not at all; `more` holds plain values and state dicts. Raises OSError if it can't be written."""
    path = checkpoint_path(folder, epoch)
    content = {"epoch": epoch, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), **more}
    with atomic_write(path, "wb") as stream:
        try:
            torch.save(content, stream)
        except RuntimeError as error:  # torch's writer hides the file system's error
            raise OSError(f"cannot write {path}: {error}. Is the disk full?") from error
    return path


def latest_checkpoint(folder: str | os.PathLike) -> Path | None:
    """The checkpoint of the most epochs in a folder."""
    found = [(int(m.group(1)), p) for p in Path(folder).glob("checkpoint_e*.pth") if (m := _NAME.match(p.name))]
    return max(found)[1] if found else None


def read_training_state(path: str | os.PathLike) -> dict:
    """A checkpoint that training can go on from. Raises ValueError if it holds weights only, and as `read_checkpoint`."""
    content = read_checkpoint(path)
    missing = [key for key in ("epoch", "optimizer") if key not in content]
    if missing:
        raise ValueError(f"checkpoint {path} has no {' and '.join(missing)}, so training cannot go on from it; start from its weights: TRAIN.PRETRAINED {path}")
    epoch, optimizer = content["epoch"], content["optimizer"]
    if type(epoch) is not int or epoch < 0 or not isinstance(optimizer, dict) or not {"state", "param_groups"} <= set(optimizer):
        raise ValueError(f"checkpoint {path} is no state of a training run (epoch {epoch!r}); start from its weights: TRAIN.PRETRAINED {path}")
    return content


def restore_model(model: nn.Module, content: dict, source: str) -> None:
    """Load the weights of a training state. Raises ValueError for another architecture."""
    load_state(model, remove_prefix(content["state_dict"], "module."), source)


def restore_optimizer(optimizer: torch.optim.Optimizer, content: dict, source: str) -> None:
    """Load momenta. Raises ValueError if they belong to other parameters; learning rates are the schedule's, not the file's."""
    rates = [dict(group) for group in optimizer.param_groups]
    saved, mine = content["optimizer"]["param_groups"], optimizer.state_dict()["param_groups"]
    if [len(group["params"]) for group in saved if group["params"]] != [len(group["params"]) for group in mine]:
        raise ValueError(
            f"{source} holds the optimizer of other parameters ({[len(g['params']) for g in saved]} per group, expected {[len(g['params']) for g in mine]}). "
            "BACKBONE.TRAIN_EPOCH and TRAIN_LAYERS must be those of the run that wrote it; or start from its weights with TRAIN.PRETRAINED"
        )
    kept = [group for group in saved if group["params"]]
    optimizer.load_state_dict({"state": content["optimizer"]["state"], "param_groups": kept})
    for group, before in zip(optimizer.param_groups, rates, strict=True):
        group.update({key: before[key] for key in ("lr", "base_lr", "name")})
