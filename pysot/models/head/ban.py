"""Heads without anchors on the correlation of template and search features.

Shapes: template features z (B, C, h, w), search features x (B, C, H, W). Each cell has a point in the search crop.
Returned are cls (B, 2, S, S), background and object, and loc (B, 4, S, S), the distances from the point to the left,
top, right and bottom side of the target, in pixels of the search crop, above 0 and finite.

The methods are those of `rpn`. `name` is that of the head in the network and its checkpoints. A head `on_backbone` gets
the features of the backbone, not those of the neck.

Paper: Chen et al., Siamese Box Adaptive Network for Visual Tracking, 2020, section 3.
"""

from collections.abc import Sequence

import torch
from torch import nn

from pysot.models.head.rpn import DepthwiseRPN, MultiRPN

# e^9 = 8103 pixels are more than the side of any crop. They are finite in fp16, and so is their sum over the levels.
_MAX_LOG_DISTANCE = 9.0


def distances(logarithms: torch.Tensor) -> torch.Tensor:
    """Return exp(logarithms), at most 8103 pixels: an untrained head could overflow, and its gradient with it."""
    return logarithms.clamp(max=_MAX_LOG_DISTANCE).exp()


class DepthwiseBAN(DepthwiseRPN):
    """Head with a classification and a distance branch on depth-wise correlation, for one feature level."""

    name = "head"
    on_backbone = False

    def __init__(self, in_channels: int = 256, out_channels: int = 256, cls_out_channels: int = 2):
        """Take `cls_out_channels`, always 2, as configs of the authors have it."""
        _check_classes(cls_out_channels)
        super().__init__(1, in_channels, out_channels)

    def match(self, kernels: Sequence[torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cls, loc = super().match(kernels, x)
        return cls, distances(loc)

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.match(self.kernels(z), x)


class MultiBAN(MultiRPN):
    """Head of SiamBAN: classification and distances for each feature level, averaged as in MultiRPN.

    The logarithms of the distances of a level are multiplied by a learned number.
    """

    name = "head"
    on_backbone = False
    level_name = "box"

    def __init__(self, in_channels: Sequence[int], cls_out_channels: int = 2, weighted: bool = False):
        """Take `cls_out_channels` as `DepthwiseBAN`."""
        _check_classes(cls_out_channels)
        super().__init__(1, in_channels, weighted)
        self.loc_scale = nn.Parameter(torch.ones(self.levels))

    def _average(self, outputs: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
        scaled = [(cls, distances(loc * self.loc_scale[i])) for i, (cls, loc) in enumerate(outputs)]
        return super()._average(scaled)


def _check_classes(count: int) -> None:
    if count != 2:
        raise ValueError(f"BAN.KWARGS.cls_out_channels: expected 2, background and object; got {count}")
