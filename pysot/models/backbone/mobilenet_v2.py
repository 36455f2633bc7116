"""MobileNetV2 with stride 8: the last stages keep the resolution and dilate instead.

Input (B, 3, H, W) BGR in [0, 255]. Convolutions that reduce the resolution have no padding, as in `resnet`. Paper:
Sandler et al., MobileNetV2, 2018.
"""

from collections.abc import Sequence

import torch
from torch import nn

from pysot.models.backbone.initialise import normal_by_fan_out

# Expansion, channels, blocks, stride, dilation of layer1 ... layer7.
STAGES = (
    (1, 16, 1, 1, 1),
    (6, 24, 2, 2, 1),
    (6, 32, 3, 2, 1),
    (6, 64, 4, 1, 2),
    (6, 96, 3, 1, 2),
    (6, 160, 3, 1, 4),
    (6, 320, 1, 1, 4),
)


class InvertedResidual(nn.Module):
    """Block that widens with 1x1, filters depth-wise with 3x3 and narrows with 1x1.

    The input is added where the shapes agree.
    """

    def __init__(self, inplanes: int, planes: int, stride: int, expand: int, dilation: int):
        super().__init__()
        hidden = inplanes * expand
        padding = dilation if dilation > 1 else 2 - stride
        self.use_shortcut = stride == 1 and inplanes == planes
        self.conv = nn.Sequential(
            nn.Conv2d(inplanes, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, padding, dilation, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, planes, 1, bias=False),
            nn.BatchNorm2d(planes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.use_shortcut else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2 that returns the features of the stages in `used_layers`.

    Stage 0 is the first convolution, 1 to 7 are the stages of inverted residuals; `width_mult` scales all channels.
    The result is a tensor for one stage, otherwise a list.
    """

    def __init__(self, used_layers: Sequence[int] = (3, 5, 7), width_mult: float = 1.0):
        super().__init__()
        self.used_layers = list(used_layers)
        planes = int(32 * width_mult)
        self.layer0 = nn.Sequential(
            nn.Conv2d(3, planes, 3, stride=2, padding=0, bias=False), nn.BatchNorm2d(planes), nn.ReLU6(inplace=True)
        )
        previous_dilation = 1
        # Later stages are left out: their parameters would never get gradients.
        self.depth = max(used_layers)
        for index, (expand, channels, count, stride, dilation) in enumerate(STAGES[: self.depth], 1):
            width = int(channels * width_mult)
            blocks = []
            for i in range(count):
                # The first block is the one that reduces the resolution in the original network: it has the dilation
                # of the previous stage.
                if i == 0:
                    block = InvertedResidual(planes, width, stride, expand, previous_dilation)
                else:
                    block = InvertedResidual(planes, width, 1, expand, dilation)
                blocks.append(block)
                planes = width
            previous_dilation = dilation
            self.add_module(f"layer{index}", nn.Sequential(*blocks))
        normal_by_fan_out(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        levels = []
        for index in range(self.depth + 1):
            x = getattr(self, f"layer{index}")(x)
            levels.append(x)
        out = [levels[i] for i in self.used_layers]
        return out[0] if len(out) == 1 else out
