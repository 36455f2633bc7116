"""Copies of networks for inference, with batch-norm layers folded into the convolutions before them."""

import copy

from torch import nn
from torch.fx.experimental.optimization import fuse
from torch.nn.modules.batchnorm import _BatchNorm

from pysot.models.siamrpn import SiamRPN


def folded_copy(module: nn.Module) -> nn.Module:
    """Return a copy in eval mode with folded batch-norm layers; its results differ by rounding.

    Raises torch.fx.proxy.TraceError if the calls of the module depend on the values or shapes of its input.
    """
    duplicate = copy.deepcopy(module)
    for part in duplicate.modules():
        vars(part).pop("forward", None)  # that of frozen stages in training, see engine/frozen.py
    return fuse(duplicate.eval(), inplace=True)


def fold_network(network: SiamRPN) -> SiamRPN:
    """Return a copy of a network in eval mode with folded batch-norm layers; weights are not shared."""
    neck = _fold_sequences(network.neck) if hasattr(network, "neck") else None
    return SiamRPN(folded_copy(network.backbone), neck, _fold_sequences(network.rpn_head)).eval()


def _fold_sequences(module: nn.Module) -> nn.Module:
    """Return a copy of a module whose sequences of layers are folded.

    Necks and heads themselves cannot be traced: a neck looks at the size of its input.
    """
    duplicate = copy.deepcopy(module)
    for name, part in list(duplicate.named_modules()):
        if isinstance(part, nn.Sequential) and any(isinstance(layer, _BatchNorm) for layer in part):
            duplicate.set_submodule(name, folded_copy(part))
    return duplicate
