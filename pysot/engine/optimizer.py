"""What trains, and how: freezing by epoch, and SGD with a group per part of the network."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True)
class FreezePlan:
    """The backbone is frozen before epoch `train_epoch`; from then on the stages in `train_layers` train."""

    train_layers: tuple[str, ...]
    train_epoch: int

    def apply(self, model: nn.Module, epoch: int) -> None:
        """Put `model` into the state of `epoch`: train mode, requires_grad and batch-norm mode of every stage. A function of the epoch alone.

        Raises ValueError if the backbone lacks a stage of `train_layers`.
        """
        stages = dict(model.backbone.named_children())
        unknown = [name for name in self.train_layers if stages.get(name) is None]
        if unknown and epoch >= self.train_epoch:
            known = ", ".join(name for name, stage in stages.items() if any(True for _ in stage.parameters()))
            raise ValueError(f"BACKBONE.TRAIN_LAYERS: this backbone has no {', '.join(unknown)}; it has {known}")
        model.train()
        _set_training(model.backbone, False)
        if epoch >= self.train_epoch:
            for name in self.train_layers:
                _set_training(stages[name], True)

    def changes_at(self, epoch: int) -> bool:
        """Whether other parameters train in `epoch` than in the one before: the optimizer is made anew."""
        return epoch == self.train_epoch and epoch > 0


def _set_training(module: nn.Module, on: bool) -> None:
    for parameter in module.parameters():
        parameter.requires_grad_(on)
    for child in module.modules():
        if isinstance(child, _BatchNorm):
            child.train(on)


def build_sgd(model: nn.Module, base_lr: float, backbone_lr: float, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """SGD over what requires gradients, a group per child of `model` (backbone, neck, rpn_head) with its `name` and `base_lr`."""
    groups = []
    for name, child in model.named_children():
        parameters = [p for p in child.parameters() if p.requires_grad]
        if parameters:
            rate = base_lr * backbone_lr if name == "backbone" else base_lr
            groups.append({"params": parameters, "lr": rate, "base_lr": rate, "name": name})
    return torch.optim.SGD(groups, lr=base_lr, momentum=momentum, weight_decay=weight_decay)


def gradient_norm(parameters: Sequence[torch.Tensor], largest: float) -> torch.Tensor:
    """Scale the gradients so that their total norm is at most `largest`; returns the norm before, a scalar tensor."""
    return nn.utils.clip_grad_norm_(parameters, largest)
