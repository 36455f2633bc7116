"""Necks: 1x1 convolutions that map backbone features to the width of the heads."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from pysot.utils.registry import lookup

_TEMPLATE_LIMIT = 20  # features narrower than this many cells come from the template crop


class AdjustLayer(nn.Module):
    """1x1 convolution from (B, in, H, W) to (B, out, H, W), with a crop of template features.

    Features of fewer than 20 cells per side belong to a template; they are cropped to their central `center_size`
    cells. Otherwise the border cells, which padding affects, would match borders in the search crop (SiamRPN++, section
    3.2).
    """

    def __init__(self, in_channels: int, out_channels: int, center_size: int = 7):
        super().__init__()
        self.downsample = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        )
        self.center_size = center_size

    def adjust(self, x: torch.Tensor) -> torch.Tensor:
        """Return the convolution alone, (B, out, H, W): the features of a search crop of any size."""
        return self.downsample(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.downsample(x)
        if x.size(3) < _TEMPLATE_LIMIT:
            left = (x.size(3) - self.center_size) // 2
            x = x[:, :, left : left + self.center_size, left : left + self.center_size]
        return x


class AdjustAllLayer(nn.Module):
    """One AdjustLayer per feature level.

    With one level it maps a tensor to a tensor, with several a list to a list.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: Sequence[int], center_size: int = 7):
        super().__init__()
        self.num = len(out_channels)
        if self.num == 1:
            self.downsample = AdjustLayer(in_channels[0], out_channels[0], center_size)
            return
        for i, (inputs, outputs) in enumerate(zip(in_channels, out_channels, strict=True)):
            self.add_module(f"downsample{i + 2}", AdjustLayer(inputs, outputs, center_size))

    def adjust(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features (B, out, H, W) of a search crop of any size, if there is one level."""
        return self.downsample.adjust(x)

    def forward(self, features: torch.Tensor | list[torch.Tensor]) -> torch.Tensor | list[torch.Tensor]:
        if self.num == 1:
            return self.downsample(features)
        return [getattr(self, f"downsample{i + 2}")(feature) for i, feature in enumerate(features)]


NECKS: dict[str, type[nn.Module]] = {"AdjustLayer": AdjustLayer, "AdjustAllLayer": AdjustAllLayer}


def get_neck(name: str, **kwargs: Any) -> nn.Module:
    """Return a neck by its name in ADJUST.TYPE. Raises ValueError for an unknown name."""
    return lookup(NECKS, name, key="ADJUST.TYPE")(**kwargs)
