"""ResNet with stride 8: the last two stages keep the resolution and dilate instead (SiamRPN++, section 3.2).

Convolutions that reduce the resolution have no padding, so that features stay aligned with the crop. The input is
(B, 3, H, W) BGR in [0, 255]. Parameter names follow torchvision's ResNet.
"""

from collections.abc import Sequence

import torch
from torch import nn

from pysot.models.backbone.initialise import normal_by_fan_out


def _conv3x3(inplanes: int, planes: int, stride: int = 1, dilation: int = 1, padding: int | None = None) -> nn.Conv2d:
    if padding is None:
        padding = dilation if dilation > 1 else 2 - stride
    return nn.Conv2d(inplanes, planes, 3, stride=stride, padding=padding, dilation=dilation, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; the first one has half the dilation in blocks that change the number of channels."""

    expansion = 1

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None, dilation: int = 1
    ):
        super().__init__()
        first_dilation = dilation // 2 if downsample is not None and dilation > 1 else dilation
        padding = first_dilation if dilation > 1 else 2 - stride
        self.conv1 = _conv3x3(inplanes, planes, stride, first_dilation, padding)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv3x3(planes, planes, dilation=dilation)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + shortcut)


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3 and 1x1, the last one with four times the channels."""

    expansion = 4

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None, dilation: int = 1
    ):
        super().__init__()
        middle_dilation = dilation // 2 if downsample is not None and dilation > 1 else dilation
        padding = middle_dilation if dilation > 1 else 2 - stride
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = _conv3x3(planes, planes, stride, middle_dilation, padding)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(self.bn3(self.conv3(out)) + shortcut)


Block = type[BasicBlock] | type[Bottleneck]


class ResNet(nn.Module):
    """ResNet that returns the features of the stages in `used_layers`.

    Stage 0 is the first convolution, 1 to 4 are the residual stages. From stage 2 on, a 127 template gives 15x15 cells
    and a 255 search crop 31x31. The result is a tensor for one stage, otherwise a list.
    """

    def __init__(self, block: Block, blocks: Sequence[int], used_layers: Sequence[int] = (2, 3, 4)):
        super().__init__()
        self.used_layers = list(used_layers)
        self.inplanes = 64
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=0, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._stage(block, 64, blocks[0])
        self.layer2 = self._stage(block, 128, blocks[1], stride=2)
        # Stages after the last used one are left out: their parameters would never get gradients.
        self.layer3 = self._stage(block, 256, blocks[2], dilation=2) if {3, 4} & set(used_layers) else None
        self.layer4 = self._stage(block, 512, blocks[3], dilation=4) if 4 in used_layers else None
        normal_by_fan_out(self)

    def _stage(self, block: Block, planes: int, count: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
        width = planes * block.expansion
        downsample = None
        if stride == 1 and dilation == 1 and self.inplanes != width:
            downsample = nn.Sequential(nn.Conv2d(self.inplanes, width, 1, bias=False), nn.BatchNorm2d(width))
        elif stride != 1 or self.inplanes != width:
            first_dilation = dilation // 2 if dilation > 1 else 1
            padding = first_dilation if dilation > 1 else 0
            shortcut = _conv3x3(self.inplanes, width, stride, first_dilation, padding)
            downsample = nn.Sequential(shortcut, nn.BatchNorm2d(width))
        layers = [block(self.inplanes, planes, stride, downsample, dilation)]
        self.inplanes = width
        layers += [block(width, planes, dilation=dilation) for _ in range(count - 1)]
        return nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        first = self.relu(self.bn1(self.conv1(x)))
        levels = [first]
        x = self.maxpool(first)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            if stage is not None:
                x = stage(x)
                levels.append(x)
        out = [levels[i] for i in self.used_layers]
        return out[0] if len(out) == 1 else out


def resnet18(used_layers: Sequence[int] = (2, 3, 4)) -> ResNet:
    """ResNet-18; its stages have 64, 128, 256, 512 channels."""
    return ResNet(BasicBlock, (2, 2, 2, 2), used_layers)


def resnet34(used_layers: Sequence[int] = (2, 3, 4)) -> ResNet:
    """ResNet-34; its stages have 64, 128, 256, 512 channels."""
    return ResNet(BasicBlock, (3, 4, 6, 3), used_layers)


def resnet50(used_layers: Sequence[int] = (2, 3, 4)) -> ResNet:
    """ResNet-50; its stages have 256, 512, 1024, 2048 channels."""
    return ResNet(Bottleneck, (3, 4, 6, 3), used_layers)
