"""MobileNetV3-small with stride 16, the backbone of NanoTrack V3.

Input (B, 3, H, W) BGR in [0, 255]. All convolutions are padded: a side of H pixels becomes H / 16 cells, rounded up.
Paper: Howard et al., Searching for MobileNetV3, 2019, table 2, without the layers behind the ninth block. As in
NanoTrack, this block has a stride of 1 in place of 2.
"""

from collections.abc import Sequence

import torch
from torch import nn

from pysot.models.backbone.initialise import normal_by_fan_out

# Kernel size, hidden channels, channels, squeeze-and-excitation, hard swish in place of ReLU, stride.
_BLOCKS = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 1),
)
_STAGE_ENDS = (0, 1, 3, 8, 9)  # index in `features` of the last layer of each stage


class SqueezeExcitation(nn.Module):
    """Factors from 0 to 1 for the channels of (B, C, H, W), computed from their means by two layers."""

    def __init__(self, channels: int):
        super().__init__()
        hidden = _multiple_of_8(channels // 4)
        self.fc = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels), nn.Hardsigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class InvertedResidual(nn.Module):
    """Block that widens with 1x1, filters depth-wise with k x k and narrows with 1x1.

    The first convolution is left out if it would not widen. The input is added where the shapes agree.
    """

    def __init__(self, inplanes: int, block: tuple[int, int, int, bool, bool, int]):
        super().__init__()
        kernel, hidden, planes, has_factors, has_swish, stride = block
        activation = nn.Hardswish if has_swish else nn.ReLU
        self.use_shortcut = stride == 1 and inplanes == planes
        widen: list[nn.Module] = []
        filters: list[nn.Module] = [
            nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
        ]
        factors = SqueezeExcitation(hidden) if has_factors else nn.Identity()
        if inplanes == hidden:
            filters += [activation(inplace=True), factors]
        else:
            widen = [nn.Conv2d(inplanes, hidden, 1, bias=False), nn.BatchNorm2d(hidden), activation(inplace=True)]
            filters += [factors, activation(inplace=True)]
        self.conv = nn.Sequential(*widen, *filters, nn.Conv2d(hidden, planes, 1, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.use_shortcut else self.conv(x)


class MobileNetV3Small(nn.Module):
    """MobileNetV3-small that returns the features of the stages in `used_layers`.

    Stage 0 is the first convolution (stride 2), the others are the blocks of stride 4, 8, 16, and the last block, also
    of stride 16. The result is a tensor for one stage, otherwise a list.
    """

    def __init__(self, used_layers: Sequence[int] = (4,)):
        super().__init__()
        self.used_layers = list(used_layers)
        planes = 16
        layers: list[nn.Module] = [
            nn.Sequential(
                nn.Conv2d(3, planes, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(planes),
                nn.Hardswish(inplace=True),
            )
        ]
        # Later stages are left out: their parameters would never get gradients.
        for block in _BLOCKS[: _STAGE_ENDS[max(used_layers)]]:
            layers.append(InvertedResidual(planes, block))
            planes = block[2]
        self.features = nn.Sequential(*layers)
        normal_by_fan_out(self)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        levels = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in _STAGE_ENDS:
                levels.append(x)
        out = [levels[i] for i in self.used_layers]
        return out[0] if len(out) == 1 else out


def _multiple_of_8(channels: int) -> int:
    """Return the nearest multiple of 8, at least 8, and more if it is below nine tenths of `channels`."""
    rounded = max(8, (channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
