"""Frozen stages of the backbone at the speed of inference."""

import copy

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd


def fold_frozen(backbone: nn.Module, precision: torch.dtype | None = None) -> None:
    """Let each frozen part of the backbone be computed by a copy whose batch-norm layers are folded into the convolutions before them.

    Parameters, buffers and their names stay; results differ by rounding. Called again, it starts from what is frozen then, with the weights of then.
    `precision` is the type that autocast computes in, None without autocast: the copy's convolutions and linear layers are cast to it once, where autocast
    would cast them at every pass, to the same numbers. Outside of autocast the part then computes itself.
    """
    for module in backbone.modules():
        vars(module).pop("forward", None)
    _fold(backbone, precision)


def _fold(module: nn.Module, precision: torch.dtype | None) -> None:
    if _is_frozen(module):
        folded = fuse(copy.deepcopy(module).eval(), inplace=True)
        module.forward = (
            folded.forward if precision is None else _in_autocast(folded, precision, module.forward)
        )  # bound: the copy is no child of the module
        return
    for child in module.children():
        _fold(child, precision)


def _in_autocast(folded: nn.Module, precision: torch.dtype, own):
    """The forward method of a copy in `precision`, for inputs under autocast, and `own` for others, such as pictures of a run's pairs."""
    for layer in folded.modules():
        if isinstance(layer, (_ConvNd, nn.Linear)):
            layer.to(precision)

    def forward(x: torch.Tensor):
        return folded.forward(x) if torch.is_autocast_enabled(x.device.type) else own(x)

    return forward


def _is_frozen(module: nn.Module) -> bool:
    norms = [child for child in module.modules() if isinstance(child, _BatchNorm) and child is not module]
    return (
        bool(norms)
        and not any(norm.training for norm in norms)
        and not any(p.requires_grad for p in module.parameters())
    )
