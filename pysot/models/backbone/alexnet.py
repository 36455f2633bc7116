"""AlexNet without padding, stride 8, one feature level.

Input (B, 3, H, W) BGR in [0, 255]; a 127 template gives 6x6 cells. There are two layouts of the same network:
`AlexNetLegacy` names its parameters features.N, as older checkpoints do, and `AlexNet` names them by layer.
"""

import torch
from torch import nn


def _widths(width_mult: float) -> list[int]:
    return [3, *(int(c * width_mult) for c in (96, 256, 384, 384, 256))]


class AlexNetLegacy(nn.Module):
    """AlexNet as one sequence; `width_mult` scales all channels. Output (B, int(256 * width_mult), h, w)."""

    def __init__(self, width_mult: float = 1.0):
        super().__init__()
        c = _widths(width_mult)
        self.features = nn.Sequential(
            nn.Conv2d(c[0], c[1], 11, stride=2),
            nn.BatchNorm2d(c[1]),
            nn.MaxPool2d(3, stride=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(c[1], c[2], 5),
            nn.BatchNorm2d(c[2]),
            nn.MaxPool2d(3, stride=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(c[2], c[3], 3),
            nn.BatchNorm2d(c[3]),
            nn.ReLU(inplace=True),
            nn.Conv2d(c[3], c[4], 3),
            nn.BatchNorm2d(c[4]),
            nn.ReLU(inplace=True),
            nn.Conv2d(c[4], c[5], 3),
            nn.BatchNorm2d(c[5]),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.features(x)


class AlexNet(nn.Module):
    """AlexNet as layer1 ... layer5, for BACKBONE.TRAIN_LAYERS; `width_mult` scales all channels."""

    def __init__(self, width_mult: float = 1.0):
        super().__init__()
        c = _widths(width_mult)
        self.layer1 = nn.Sequential(
            nn.Conv2d(c[0], c[1], 11, stride=2), nn.BatchNorm2d(c[1]), nn.MaxPool2d(3, stride=2), nn.ReLU(inplace=True)
        )
        self.layer2 = nn.Sequential(
            nn.Conv2d(c[1], c[2], 5), nn.BatchNorm2d(c[2]), nn.MaxPool2d(3, stride=2), nn.ReLU(inplace=True)
        )
        self.layer3 = nn.Sequential(nn.Conv2d(c[2], c[3], 3), nn.BatchNorm2d(c[3]), nn.ReLU(inplace=True))
        self.layer4 = nn.Sequential(nn.Conv2d(c[3], c[4], 3), nn.BatchNorm2d(c[4]), nn.ReLU(inplace=True))
        self.layer5 = nn.Sequential(nn.Conv2d(c[4], c[5], 3), nn.BatchNorm2d(c[5]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer5(self.layer4(self.layer3(self.layer2(self.layer1(x)))))


alexnet, alexnetlegacy = AlexNet, AlexNetLegacy  # the original's functions
