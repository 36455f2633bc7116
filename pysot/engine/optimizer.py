"""Trained parts of the network: freezing by epoch, and SGD with a parameter group per part."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pysot.models.siamrpn import SiamRPN
from pysot.utils.npu_optimizer import flat_tensors, npu_gradients


@dataclass(frozen=True)
class FreezePlan:
    """Rule that freezes the backbone before epoch `train_epoch`; then the stages in `train_layers` train.

    If `only` names a part of the network, nothing but this part trains in any epoch.
    """

    train_layers: tuple[str, ...]
    train_epoch: int
    only: str = ""

    def apply(self, model: SiamRPN, epoch: int) -> None:
        """Set train mode, requires_grad and batch-norm mode of every stage of `model` for `epoch`.

        The result depends only on the epoch. Raises ValueError as `check`.
        """
        model.train()
        if self.only:
            _set_training(model, False)
            _set_training(model.get_submodule(self.only), True)
            return
        _set_training(model.backbone, False)
        if epoch >= self.train_epoch:
            self.check(model)
            stages = dict(model.backbone.named_children())
            for name in self.train_layers:
                _set_training(stages[name], True)

    def check(self, model: SiamRPN) -> None:
        """Raise ValueError if a stage of `train_layers` is missing in the backbone of `model` or has no parameters."""
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
        """Return whether `epoch` trains other parameters than the epoch before; the optimizer is then rebuilt."""
        return not self.only and epoch == self.train_epoch and epoch > 0


def _set_training(module: nn.Module, trainable: bool) -> None:
    for parameter in module.parameters():
        parameter.requires_grad_(trainable)
    for child in module.modules():
        if isinstance(child, _BatchNorm):
            child.train(trainable)


def build_sgd(
    model: nn.Module,
    base_lr: float,
    backbone_lr: float,
    momentum: float,
    weight_decay: float,
    make_sgd: Callable[..., torch.optim.Optimizer] | None = None,
) -> torch.optim.Optimizer:
    """Return SGD over the parameters that require gradients.

    Each child of `model` (backbone, neck, rpn_head) is a group with its `name` and `base_lr`. `make_sgd` builds the
    optimizer; None means torch.optim.SGD with one fused kernel. Momenta start at zero, which equals a start with the
    first gradient.
    """
    groups = []
    for name, child in model.named_children():
        parameters = [p for p in child.parameters() if p.requires_grad]
        if parameters:
            rate = base_lr * backbone_lr if name == "backbone" else base_lr
            groups.append({"params": parameters, "lr": rate, "base_lr": rate, "name": name})
    make_sgd = make_sgd or partial(torch.optim.SGD, fused=True)
    optimizer = make_sgd(groups, lr=base_lr, momentum=momentum, weight_decay=weight_decay)
    for parameter in trained_parameters(optimizer):
        # A fused kernel that skips its very first step would leave the momenta uninitialised.
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def trained_parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Return the parameters of all groups, in order."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def clear_gradients(optimizer: torch.optim.Optimizer, in_place: bool = False) -> None:
    """Clear the gradients before a backward pass.

    `in_place` fills the existing tensors with zeros. Gradients that are views of DDP's buckets need this: new tensors
    would be copied into the buckets. An optimizer with flattened gradients needs it as well.
    """
    optimizer.zero_grad(set_to_none=not in_place and flat_tensors(optimizer) is None)


def clip_gradients(optimizer: torch.optim.Optimizer, max_norm: float) -> torch.Tensor:
    """Scale the gradients so that their total norm is at most `max_norm`; return the norm before, a scalar tensor."""
    gradients = npu_gradients(optimizer)
    if gradients is None:
        return nn.utils.clip_grad_norm_(trained_parameters(optimizer), max_norm)
    norm = nn.utils.get_total_norm(gradients, foreach=False)
    # As in clip_grad_norm_, whose foreach kernel does not exist on an NPU.
    factor = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
    for tensor in gradients:
        tensor.mul_(factor)
    return norm


@torch.no_grad()
def step_unless_bad(bad: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Call optimizer.step(), and undo it if the scalar `bad` is true.

    Only the device reads `bad`, so the host does not wait for it.
    """
    if optimizer.defaults.get("fused"):
        # torch's fused kernels change nothing if it is 1.
        optimizer.found_inf = bad.float()  # type: ignore[attr-defined]
        optimizer.step()
        return
    tensors = flat_tensors(optimizer)
    if tensors is None:
        tensors = [*trained_parameters(optimizer), *(state["momentum_buffer"] for state in optimizer.state.values())]
    before = [tensor.clone() for tensor in tensors]
    optimizer.step()
    for tensor, old in zip(tensors, before, strict=True):
        torch.where(bad, old, tensor, out=tensor)
