"""Frozen stages of the backbone at the speed of inference."""

import copy

from torch import nn
from torch.fx.experimental.optimization import fuse
from torch.nn.modules.batchnorm import _BatchNorm


def fold_frozen(backbone: nn.Module) -> None:
    """Let each frozen part of the backbone be computed by a copy whose batch-norm layers are folded into the convolutions before them.

    Parameters, buffers and their names stay; results differ by rounding. Called again, it starts from what is frozen then, with the weights of then.
    """
    for module in backbone.modules():
        vars(module).pop("forward", None)
    _fold(backbone)


def _fold(module: nn.Module) -> None:
    if _is_frozen(module):
        module.forward = fuse(copy.deepcopy(module).eval(), inplace=True).forward  # a bound method: the copy is no child of the module
        return
    for child in module.children():
        _fold(child)


def _is_frozen(module: nn.Module) -> bool:
    norms = [child for child in module.modules() if isinstance(child, _BatchNorm) and child is not module]
    return bool(norms) and not any(norm.training for norm in norms) and not any(p.requires_grad for p in module.parameters())
