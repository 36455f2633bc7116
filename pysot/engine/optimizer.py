"""What trains, and how: freezing by epoch, and SGD with a group per part of the network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pysot.utils.npu_sgd import flat_tensors, npu_gradients


@dataclass(frozen=True)
class FreezePlan:
    """The backbone is frozen before epoch `train_epoch`; from then on the stages in `train_layers` train."""

    train_layers: tuple[str, ...]
    train_epoch: int

    def apply(self, model: nn.Module, epoch: int) -> None:
        """Put `model` into the state of `epoch`: train mode, requires_grad and batch-norm mode of every stage. A function of the epoch alone.

        Raises ValueError as `check`.
        """
        model.train()
        _set_training(model.backbone, False)
        if epoch >= self.train_epoch:
            self.check(model)
            stages = dict(model.backbone.named_children())
            for name in self.train_layers:
                _set_training(stages[name], True)

    def check(self, model: nn.Module) -> None:
        """Raise ValueError if the backbone of `model` lacks a stage of `train_layers`, or has nothing to train in it."""
        known = [
            name
            for name, stage in model.backbone.named_children()
            if stage is not None and any(True for _ in stage.parameters())
        ]
        unknown = [name for name in self.train_layers if name not in known]
        if unknown:
            raise ValueError(
                f"BACKBONE.TRAIN_LAYERS: this backbone has no {', '.join(unknown)}; it has {', '.join(known)}"
            )

    def changes_at(self, epoch: int) -> bool:
        """Whether other parameters train in `epoch` than in the one before: the optimizer is made anew."""
        return epoch == self.train_epoch and epoch > 0


def _set_training(module: nn.Module, on: bool) -> None:
    for parameter in module.parameters():
        parameter.requires_grad_(on)
    for child in module.modules():
        if isinstance(child, _BatchNorm):
            child.train(on)


def build_sgd(
    model: nn.Module,
    base_lr: float,
    backbone_lr: float,
    momentum: float,
    weight_decay: float,
    make: Callable[..., torch.optim.Optimizer] | None = None,
) -> torch.optim.Optimizer:
    """SGD over what requires gradients, a group per child of `model` (backbone, neck, rpn_head) with its `name` and `base_lr`.

    `make` is the class, torch.optim.SGD with one fused kernel if None. Momenta start at zero, which is the same as starting with the first gradient.
    """
    groups = []
    for name, child in model.named_children():
        parameters = [p for p in child.parameters() if p.requires_grad]
        if parameters:
            rate = base_lr * backbone_lr if name == "backbone" else base_lr
            groups.append({"params": parameters, "lr": rate, "base_lr": rate, "name": name})
    optimizer = (make or partial(torch.optim.SGD, fused=True))(
        groups, lr=base_lr, momentum=momentum, weight_decay=weight_decay
    )
    for parameter in trained_parameters(optimizer):
        # Made now: a fused kernel that is told to skip its very first step leaves the momenta that it was to fill as they were, which is anything.
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def trained_parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """The parameters of all groups, in order."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def clear_gradients(optimizer: torch.optim.Optimizer, in_place: bool = False) -> None:
    """Before a backward pass. `in_place` fills them with zeros where they lie, which gradients that are views of DDP's buckets want: made anew, each would be
    copied into its bucket. An optimizer that has flattened its gradients needs the same.
    """
    optimizer.zero_grad(set_to_none=not in_place and flat_tensors(optimizer) is None)


def clip_gradients(optimizer: torch.optim.Optimizer, largest: float) -> torch.Tensor:
    """Scale the gradients so that their total norm is at most `largest`; returns the norm before, a scalar tensor."""
    gradients = npu_gradients(optimizer)
    if gradients is None:
        return nn.utils.clip_grad_norm_(trained_parameters(optimizer), largest)
    norm = nn.utils.get_total_norm(gradients, foreach=False)
    factor = torch.clamp(
        largest / (norm + 1e-6), max=1.0
    )  # as in clip_grad_norm_, whose foreach kernel for this an NPU lacks
    for tensor in gradients:
        tensor.mul_(factor)
    return norm


@torch.no_grad()
def step_unless(bad: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    """optimizer.step(), undone where the scalar `bad` is true. The device decides: nothing waits for it."""
    if optimizer.defaults.get("fused"):
        optimizer.found_inf = bad.float()  # torch's fused kernels change nothing where it is 1
        optimizer.step()
        return
    changed = flat_tensors(optimizer)
    if changed is None:
        changed = [*trained_parameters(optimizer), *(state["momentum_buffer"] for state in optimizer.state.values())]
    before = [tensor.clone() for tensor in changed]
    optimizer.step()
    for tensor, old in zip(changed, before, strict=True):
        torch.where(bad, old, tensor, out=tensor)
