"""Frozen stages of the backbone at the speed of inference."""

from collections.abc import Callable, Iterator

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from pysot.models.folding import folded_copies
from pysot.models.packed_parts import PackedParts


def fold_frozen(backbone: nn.Module, precision: torch.dtype | None = None) -> None:
    """Compute each frozen part of the backbone by a folded copy; on a CPU see `PackedParts`.

    Parameters, buffers and their names do not change; results differ by rounding. A repeated call starts from the parts
    that are frozen at that time, with their current weights. `precision` is the type that autocast computes in, or None
    without autocast. The convolutions and linear layers of the copy are cast to it once; autocast would cast them in
    every pass. Outside of autocast the original part is used.
    """
    for module in backbone.modules():
        vars(module).pop("forward", None)
    parts = list(_frozen_parts(backbone))
    for part, folded in zip(parts, folded_copies(parts), strict=True):
        # A function is stored, so that the copy is not a child of the module.
        part.forward = _forward(folded, precision, part.forward)


def _frozen_parts(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the largest frozen parts of a module."""
    if _is_frozen(module):
        yield module
    else:
        for child in module.children():
            yield from _frozen_parts(child)


def _forward(folded: fx.GraphModule, precision: torch.dtype | None, original_forward: Callable) -> Callable:
    """Return the forward method of a copy in `precision` under autocast, and `original_forward` otherwise.

    TensorBoard images of training pairs, for example, are computed without autocast.
    """
    compute = PackedParts(folded) if next(folded.parameters()).device.type == "cpu" else folded
    if precision is None:
        return lambda x: compute(x)
    for layer in folded.modules():
        if isinstance(layer, (_ConvNd, nn.Linear)):
            layer.to(precision)

    def forward(x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        return compute(x.to(precision)) if torch.is_autocast_enabled(x.device.type) else original_forward(x)

    return forward


def _is_frozen(module: nn.Module) -> bool:
    norms = [child for child in module.modules() if isinstance(child, _BatchNorm) and child is not module]
    return (
        bool(norms)
        and not any(norm.training for norm in norms)
        and not any(p.requires_grad for p in module.parameters())
    )
