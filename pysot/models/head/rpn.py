"""Region proposal heads on the correlation of template and search features.

Shapes: template features z (B, C, h, w), search features x (B, C, H, W), A anchors. Returned are cls (B, 2A, S, S) with
channels in the order (background/object, anchor), and loc (B, 4A, S, S) with channels in the order (dx, dy, dw, dh;
anchor). S = H - h + 1, where H and h are sizes after the convolutions of the head.

Every head has three methods: kernels(z) returns a list of tensors (B, ...), match(kernels, x) returns cls and loc, and
forward(z, x) is both together. A tracker computes the kernels of its template once.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pysot.core.xcorr import xcorr_depthwise, xcorr_up_channel


class UPChannelRPN(nn.Module):
    """Head of SiamRPN: the template is widened to one full kernel per output channel. Paper: Li et al., 2018.

    `correlate` computes the correlation, by default `xcorr_up_channel`; an instance may get another method.
    """

    correlate = staticmethod(xcorr_up_channel)

    def __init__(self, anchor_num: int = 5, feature_in: int = 256):
        super().__init__()
        cls_out, loc_out = 2 * anchor_num, 4 * anchor_num
        self.template_cls_conv = nn.Conv2d(feature_in, feature_in * cls_out, 3)
        self.template_loc_conv = nn.Conv2d(feature_in, feature_in * loc_out, 3)
        self.search_cls_conv = nn.Conv2d(feature_in, feature_in, 3)
        self.search_loc_conv = nn.Conv2d(feature_in, feature_in, 3)
        self.loc_adjust = nn.Conv2d(loc_out, loc_out, 1)

    def kernels(self, z: torch.Tensor) -> list[torch.Tensor]:
        return [self.template_cls_conv(z), self.template_loc_conv(z)]

    def match(self, kernels: Sequence[torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cls = self.correlate(self.search_cls_conv(x), kernels[0])
        loc = self.correlate(self.search_loc_conv(x), kernels[1])
        return cls, self.loc_adjust(loc)

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.match(self.kernels(z), x)


class DepthwiseXCorr(nn.Module):
    """Branch of a head: a convolution on each input, depth-wise correlation, two 1x1 convolutions.

    `correlate` computes the correlation, by default `xcorr_depthwise`; an instance may get another method
    (`XCORR_METHODS`).
    """

    correlate = staticmethod(xcorr_depthwise)

    def __init__(self, in_channels: int, hidden: int, out_channels: int):
        super().__init__()
        self.conv_kernel = self._input_conv(in_channels, hidden)
        self.conv_search = self._input_conv(in_channels, hidden)
        self.head = nn.Sequential(
            nn.Conv2d(hidden, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, out_channels, 1),
        )

    @staticmethod
    def _input_conv(in_channels: int, hidden: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(in_channels, hidden, 3, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(inplace=True)
        )

    def match(self, kernel: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the output of the branch for conv_kernel(z) and search features."""
        return self.head(self.correlate(self.conv_search(x), kernel))

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.match(self.conv_kernel(z), x)


class DepthwiseRPN(nn.Module):
    """Head with a classification and a box branch on depth-wise correlation (SiamRPN++, section 3.3)."""

    def __init__(self, anchor_num: int = 5, in_channels: int = 256, out_channels: int = 256):
        super().__init__()
        self.cls = DepthwiseXCorr(in_channels, out_channels, 2 * anchor_num)
        self.loc = DepthwiseXCorr(in_channels, out_channels, 4 * anchor_num)

    def kernels(self, z: torch.Tensor) -> list[torch.Tensor]:
        return [self.cls.conv_kernel(z), self.loc.conv_kernel(z)]

    def match(self, kernels: Sequence[torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.cls.match(kernels[0], x), self.loc.match(kernels[1], x)

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.cls(z, x), self.loc(z, x)


class MultiRPN(nn.Module):
    """Head with one DepthwiseRPN per feature level, whose outputs are averaged.

    With `weighted` the weights of the average are learned (softmax), separately for cls and loc.
    """

    level_name = "rpn"  # of the heads, followed by their number

    def __init__(self, anchor_num: int, in_channels: Sequence[int], weighted: bool = False):
        super().__init__()
        self.weighted = weighted
        self.levels = len(in_channels)
        for i, channels in enumerate(in_channels):
            self.add_module(f"{self.level_name}{i + 2}", DepthwiseRPN(anchor_num, channels, channels))
        if weighted:
            self.cls_weight = nn.Parameter(torch.ones(self.levels))
            self.loc_weight = nn.Parameter(torch.ones(self.levels))

    def _heads(self) -> list[Any]:
        return [getattr(self, f"{self.level_name}{i + 2}") for i in range(self.levels)]

    def kernels(self, zs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [kernel for head, z in zip(self._heads(), zs, strict=True) for kernel in head.kernels(z)]

    def match(self, kernels: Sequence[torch.Tensor], xs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        pairs = zip(kernels[::2], kernels[1::2], strict=True)
        return self._average([head.match(pair, x) for head, pair, x in zip(self._heads(), pairs, xs, strict=True)])

    def forward(self, zs: Sequence[torch.Tensor], xs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return self._average([head(z, x) for head, z, x in zip(self._heads(), zs, xs, strict=True)])

    def _average(self, outputs: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
        cls, loc = zip(*outputs, strict=True)
        if not self.weighted:
            return sum(cls) / self.levels, sum(loc) / self.levels
        return _weighted_sum(cls, self.cls_weight), _weighted_sum(loc, self.loc_weight)


def _weighted_sum(maps: Sequence[torch.Tensor], weight: torch.Tensor) -> torch.Tensor:
    share = F.softmax(weight, 0)
    # The stub of sum() allows for an empty sequence, whose sum is 0.
    return sum(level * share[i] for i, level in enumerate(maps))  # type: ignore[return-value]
