"""Necks: 1x1 convolutions that bring backbone features to the width of the heads."""

from collections.abc import Sequence

import torch
from torch import nn

_TEMPLATE_LIMIT = 20  # features narrower than this many cells come from the template crop


class AdjustLayer(nn.Module):
    """(B, in, H, W) to (B, out, H, W); a template's feature (under 20 cells) is cut to its central `center_size` cells.

    Without the cut the border cells, which padding has touched, would match borders in the search crop (SiamRPN++, section 3.2).
    """

    def __init__(self, in_channels: int, out_channels: int, center_size: int = 7):
        super().__init__()
        self.downsample = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        )
        self.center_size = center_size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.downsample(x)
        if x.size(3) < _TEMPLATE_LIMIT:
            left = (x.size(3) - self.center_size) // 2
            x = x[:, :, left : left + self.center_size, left : left + self.center_size]
        return x


class AdjustAllLayer(nn.Module):
    """One AdjustLayer per feature level. One level: tensor in, tensor out; several: list in, list out."""

    def __init__(self, in_channels: Sequence[int], out_channels: Sequence[int], center_size: int = 7):
        super().__init__()
        self.num = len(out_channels)
        if self.num == 1:
            self.downsample = AdjustLayer(in_channels[0], out_channels[0], center_size)
            return
        for i, (inside, outside) in enumerate(zip(in_channels, out_channels, strict=True)):
            self.add_module(f"downsample{i + 2}", AdjustLayer(inside, outside, center_size))

    def forward(self, features):
        if self.num == 1:
            return self.downsample(features)
        return [getattr(self, f"downsample{i + 2}")(feature) for i, feature in enumerate(features)]


NECKS: dict[str, type[nn.Module]] = {"AdjustLayer": AdjustLayer, "AdjustAllLayer": AdjustAllLayer}
