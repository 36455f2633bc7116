"""Head of NanoTrack V3: two correlations, then depth-wise separable convolutions.

Outputs, methods and attributes are those of the heads in `ban`. Source: NanoTrack (github.com/HonglinChu/SiamTrackers),
version 3, and its published weights. Its pixel-wise correlation is that of Yan et al., Alpha-Refine, 2021.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from pysot.core.xcorr import xcorr_depthwise, xcorr_pixelwise
from pysot.models.backbone.initialise import normal_by_fan_out
from pysot.models.head.ban import distances

TEMPLATE_SIDE = 8  # cells of template features per side
_CENTRE_SIDE = 4  # cells per side of their centre, the kernel of the depth-wise correlation
_DEPTH = 6  # pairs of convolutions in each branch


def _input_conv(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels))


class ChannelAttention(nn.Module):
    """Factors from 0 to 1 for the channels of (B, C, H, W), computed from their means by two layers."""

    def __init__(self, channels: int):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels, 1)
        self.fc2 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class PixelCorrelation(nn.Module):
    """Similarity of all template cells (8 x 8) and all search cells: (B, 64, H - 1, W - 1)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        cells = TEMPLATE_SIDE**2
        self.CA_layer = ChannelAttention(cells)
        self.conv_kernel = _input_conv(in_channels, out_channels)
        self.conv_search = _input_conv(in_channels, out_channels)
        self.conv = nn.Sequential(
            nn.Conv2d(cells, cells, 2, groups=cells, bias=False),
            nn.BatchNorm2d(cells),
            nn.ReLU6(inplace=True),
            nn.Conv2d(cells, cells, 1),
            nn.BatchNorm2d(cells),
        )

    def match(self, kernel: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the similarities for conv_kernel(z) (B, C, 8, 8) and search features."""
        return self.conv(self.CA_layer(xcorr_pixelwise(self.conv_search(x), kernel)))


class CentreCorrelation(nn.Module):
    """Depth-wise correlation with the 4 x 4 cells in the centre of the template: (B, C, H - 1, W - 1).

    `correlate` computes it, by default `xcorr_depthwise`; an instance may get another method.
    """

    correlate = staticmethod(xcorr_depthwise)

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv_kernel = _input_conv(in_channels, out_channels)
        self.conv_search = _input_conv(in_channels, out_channels)

    def match(self, kernel: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the correlation for conv_kernel(centre of z) (B, C, 4, 4) and search features."""
        return self.correlate(F.pad(self.conv_search(x), [1] * 4), kernel)


class NanoBAN(nn.Module):
    """Head of NanoTrack V3 on the features (B, C, 8, 8) and (B, C, H, W) of the backbone; S = H - 1.

    `join` puts the channels of both correlations together; an instance may get another function.
    """

    name = "ban_head"
    on_backbone = True
    join = staticmethod(torch.cat)
    after_join = ("down_cls", "down_reg", "cls_tower", "bbox_tower", "cls_logits", "bbox_pred")

    def __init__(self, in_channels: int = 96, out_channels: int = 96):
        super().__init__()
        self.corr_dw_reg = CentreCorrelation(in_channels, out_channels)
        self.corr_pw_reg = PixelCorrelation(in_channels, out_channels)
        self.corr_dw_cls = CentreCorrelation(in_channels, out_channels)
        self.corr_pw_cls = PixelCorrelation(in_channels, out_channels)
        self.cls_tower = _tower(out_channels)
        self.bbox_tower = _tower(out_channels)
        self.cls_logits = nn.Sequential(nn.Conv2d(out_channels, 2, 1))
        self.bbox_pred = nn.Sequential(nn.Conv2d(out_channels, 4, 1))
        joined = out_channels + TEMPLATE_SIDE**2
        self.down_reg = nn.Sequential(nn.Conv2d(joined, out_channels, 1))
        self.down_cls = nn.Sequential(nn.Conv2d(joined, out_channels, 1))
        normal_by_fan_out(self)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def kernels(self, z: torch.Tensor) -> list[torch.Tensor]:
        first = (z.shape[-1] - _CENTRE_SIDE) // 2
        centre = z[:, :, first : first + _CENTRE_SIDE, first : first + _CENTRE_SIDE]
        return [
            self.corr_pw_cls.conv_kernel(z),
            self.corr_dw_cls.conv_kernel(centre),
            self.corr_pw_reg.conv_kernel(z),
            self.corr_dw_reg.conv_kernel(centre),
        ]

    def match(self, kernels: Sequence[torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cls = self.join((self.corr_pw_cls.match(kernels[0], x), self.corr_dw_cls.match(kernels[1], x)), 1)
        loc = self.join((self.corr_pw_reg.match(kernels[2], x), self.corr_dw_reg.match(kernels[3], x)), 1)
        cls = self.cls_logits(self.cls_tower(self.down_cls(cls)))
        return cls, distances(self.bbox_pred(self.bbox_tower(self.down_reg(loc))))

    def forward(self, z: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.match(self.kernels(z), x)


def _tower(channels: int) -> nn.Sequential:
    """Return pairs of a depth-wise 3x3 and a 1x1 convolution, without an activation after the second one."""
    layers: list[nn.Module] = []
    for _ in range(_DEPTH):
        layers += [
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU6(inplace=True),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        ]
    return nn.Sequential(*layers)
