"""Networks of trackers in half precision: which layers stay in float32."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from pysot.models.head.mask import Refine
from pysot.models.head.nano import NanoBAN
from pysot.models.head.rpn import DepthwiseXCorr
from pysot.models.siamrpn import SiamRPN

Correlate = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def convert_layers(network: SiamRPN, dtype: torch.dtype) -> None:
    """Convert layers to `dtype`, except those after the correlation of a depth-wise head, and the correlation itself.

    These are little work, and the choice between places with similar confidences needs their digits. So do the layers
    after both correlations of NanoTrack, and the refinement of masks, whose outlines are smoother in float32.
    """
    kept: set[nn.Module] = set()
    for module in network.modules():
        if isinstance(module, DepthwiseXCorr):
            module.correlate = partial(_correlate_in_fp32, module.correlate)
            kept |= set(module.head.modules())
        elif isinstance(module, Refine):
            kept |= set(module.modules())
        elif isinstance(module, NanoBAN):
            module.join = _join_in_fp32  # type: ignore[assignment]
            kept |= {layer for name in module.after_join for layer in module.get_submodule(name).modules()}
    for module in network.modules():
        if module not in kept and not list(module.children()):
            module.to(dtype)


def _correlate_in_fp32(correlate: Correlate, search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    return correlate(search.float(), kernel.float())


def _join_in_fp32(maps: Sequence[torch.Tensor], dim: int) -> torch.Tensor:
    return torch.cat([part.float() for part in maps], dim)
