"""Copies of networks for inference with fewer operations.

Batch-norm layers are folded into the convolutions before them, and kernels that are zero but for the centre are 1x1.
"""

import copy
from collections.abc import Sequence
from typing import TypeVar, cast

from torch import fx, nn
from torch.fx.experimental.optimization import fuse
from torch.nn.modules.batchnorm import _BatchNorm

from pysot.models.centre_kernels import narrow_kernels
from pysot.models.siamban import SiamBAN
from pysot.models.siammask import SiamMask
from pysot.models.siamrpn import SiamRPN

Module = TypeVar("Module", bound=nn.Module)


def folded_copies(modules: Sequence[nn.Module]) -> list[fx.GraphModule]:
    """Return a folded copy of each module in eval mode; its results differ by rounding.

    Raises torch.fx.proxy.TraceError if the calls of a module depend on the values or shapes of its input.
    """
    return [_fused(part) for part in _narrow_copy(nn.ModuleList(modules)).children()]


def fold_network(network: SiamRPN) -> SiamRPN:
    """Return a folded copy of a network in eval mode; weights are not shared, results differ by rounding."""
    if isinstance(network, SiamMask):
        refine = getattr(network, "refine_head", None)
        bare: SiamRPN = SiamMask(network.backbone, network.neck, network.rpn_head, network.mask_head, refine)
    elif isinstance(network, SiamBAN):
        bare = SiamBAN(network.backbone, getattr(network, "neck", None), network.get_submodule(network.head_name))
    else:
        bare = SiamRPN(network.backbone, getattr(network, "neck", None), network.rpn_head)
    duplicate = _narrow_copy(bare)
    duplicate.backbone = _fused(duplicate.backbone)
    # Necks and heads cannot be traced, since a neck looks at the size of its input: their sequences are folded.
    for name, part in list(duplicate.named_modules()):
        if isinstance(part, nn.Sequential) and any(isinstance(layer, _BatchNorm) for layer in part):
            duplicate.set_submodule(name, _fused(part))
    return duplicate


def _fused(module: nn.Module) -> fx.GraphModule:
    return cast(fx.GraphModule, fuse(module, inplace=True))


def _narrow_copy(module: Module) -> Module:
    """Return a copy of a module in eval mode whose kernels are narrow; those of all its parts are read together."""
    duplicate = copy.deepcopy(module).eval()
    for part in duplicate.modules():
        vars(part).pop("forward", None)  # that of frozen stages in training, see engine/frozen.py
    narrow_kernels(duplicate)
    return duplicate
