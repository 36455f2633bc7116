"""Mask branch of SiamMask: a mask per cell of the score map, and its refinement with features of the backbone.

Source: Wang et al., Fast Online Object Tracking and Segmentation: A Unifying Approach, 2019, section 3 and appendix A.

Shapes: S cells per side of the score map, C channels of the correlation. K cells are chosen, each of one search crop.
A cell stands for the window of 127 pixels around it, in which its mask lies.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from pysot.models.head.rpn import DepthwiseXCorr

MASK_SIDE = 63  # pixels of a mask before the refinement
WINDOW_SIDE = 127  # pixels of a refined mask, and of the window of a cell in the search crop
_STRIDES = (4, 2, 1)  # of a cell in the maps of strides 2, 4 and 8
_TEMPLATE_CELLS = 15  # of the map of stride 8 in a window


def window_margin(count: int, stride: int, side: int) -> int:
    """Return the pixels by which windows of the outer cells leave a search crop of `side` pixels, on each side.

    There are `count` cells per side, `stride` pixels apart; the central one lies in the centre of the crop.
    """
    return ((count - 1) * stride + WINDOW_SIDE - side) // 2


class MaskFeatures(NamedTuple):
    """What the refinement needs of B search crops.

    Maps of the backbone of strides 2, 4 and 8, (B, channels, H, W), and the correlation (B, C, S, S).
    """

    p0: torch.Tensor
    p1: torch.Tensor
    p2: torch.Tensor
    correlation: torch.Tensor

    @classmethod
    def of(cls, levels: Sequence[torch.Tensor], correlation: torch.Tensor) -> "MaskFeatures":
        """Return the features for the three maps of the backbone in a list."""
        p0, p1, p2 = levels
        return cls(p0, p1, p2, correlation)


class Cells(NamedTuple):
    """K cells: the search crop of each in the batch, its row and its column, all int64 (K,)."""

    samples: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor


class MaskCorr(DepthwiseXCorr):
    """Branch that predicts masks (B, 63 * 63, S, S), the logits of a mask along the channels of each cell."""

    def correlation(self, kernel: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the correlation (B, C, S, S) of conv_kernel(z) with search features."""
        return self.correlate(self.conv_search(x), kernel)

    def masks_of(self, correlation: torch.Tensor, cells: Cells) -> torch.Tensor:
        """Return the masks (K, 63 * 63) of some cells: those of `head`, without computing the others."""
        head: Any = self.head
        last = head[-1]
        for layer in head[:-1]:
            correlation = layer(correlation)
        chosen = correlation[cells.samples, :, cells.rows, cells.columns]
        return last(chosen[:, :, None, None]).flatten(1)


class Refine(nn.Module):
    """Refinement of the masks of chosen cells with features of the backbone.

    `in_channels` are those of the maps of strides 2, 4 and 8, `corr_channels` those of the correlation.
    """

    def __init__(self, in_channels: Sequence[int] = (64, 256, 512), corr_channels: int = 256):
        super().__init__()
        self.v0, self.v1, self.v2 = (
            _two_convolutions(channels, max(channels // 4, out), out)
            for channels, out in zip(in_channels, (4, 16, 32), strict=True)
        )
        self.h2, self.h1, self.h0 = (_two_convolutions(width, width, width) for width in (32, 16, 4))
        self.deconv = nn.ConvTranspose2d(corr_channels, 32, _TEMPLATE_CELLS, _TEMPLATE_CELLS)
        self.post0, self.post1, self.post2 = (
            nn.Conv2d(inputs, outputs, 3, padding=1) for inputs, outputs in ((32, 16), (16, 4), (4, 1))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)

    def forward(self, features: MaskFeatures, cells: Cells) -> torch.Tensor:
        """Return the logits (K, 127 * 127) of the masks of cells, row by row.

        Features in another type than the weights are converted, of those of the backbone only the windows.
        """
        deconv: Any = self.deconv
        weight = deconv.weight
        p0, p1, p2 = (
            _windows(level, stride, features, cells).to(weight.dtype) for level, stride in enumerate(_STRIDES)
        )
        chosen = features.correlation[cells.samples, :, cells.rows, cells.columns].to(weight.dtype)
        # The transposed convolution of one pixel is a matrix product, which is faster.
        out = (chosen @ weight.flatten(1)).unflatten(1, weight.shape[1:]) + deconv.bias[:, None, None]
        out = self.post0(F.interpolate(self.h2(out) + self.v2(p2), size=p1.shape[-2:]))
        out = self.post1(F.interpolate(self.h1(out) + self.v1(p1), size=p0.shape[-2:]))
        out = self.post2(F.interpolate(self.h0(out) + self.v0(p0), size=(WINDOW_SIDE, WINDOW_SIDE)))
        return out.flatten(1)


def _two_convolutions(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, outputs, 3, padding=1), nn.ReLU()
    )


def _windows(level: int, stride: int, features: MaskFeatures, cells: Cells) -> torch.Tensor:
    """Return the windows (K, channels, side, side) of cells in a map of the backbone, 0 outside of the map.

    The cells of a score map may lie at its border, so that their windows leave the crop: on each side by the half of
    the cells that S has in excess of the windows inside the crop.
    """
    count = features.correlation.shape[-1]
    outside = (count - 1 - features.p2.shape[-1] + _TEMPLATE_CELLS) // 2
    padded = F.pad(features[level], [stride * outside] * 4)
    side = padded.shape[-1] - stride * (count - 1)
    steps = torch.arange(side, device=padded.device)
    rows, columns = stride * cells.rows[:, None] + steps, stride * cells.columns[:, None] + steps
    if padded.is_contiguous(memory_format=torch.channels_last):  # the channels of a pixel are copied at once
        pixels = padded.permute(0, 2, 3, 1)
        windows = pixels[cells.samples[:, None, None], rows[:, :, None], columns[:, None, :]]
        return windows.permute(0, 3, 1, 2)
    # With an index of channels as well, the result has the order (K, channels, side, side) in memory.
    channels = torch.arange(padded.shape[1], device=padded.device)[:, None, None]
    return padded[cells.samples[:, None, None, None], channels, rows[:, None, :, None], columns[:, None, None, :]]


MASK_HEADS: dict[str, type[nn.Module]] = {"MaskCorr": MaskCorr}
REFINE_HEADS: dict[str, type[nn.Module]] = {"Refine": Refine}
