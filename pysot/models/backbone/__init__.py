"""Backbones by their name in BACKBONE.TYPE.

Each takes keyword arguments and maps (B, 3, H, W) to features of stride 8, MobileNetV3 to those of stride 16.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from pysot.models.backbone.alexnet import AlexNet, AlexNetLegacy
from pysot.models.backbone.mobilenet_v2 import MobileNetV2
from pysot.models.backbone.mobilenet_v3 import MobileNetV3Small
from pysot.models.backbone.resnet import resnet18, resnet34, resnet50
from pysot.utils.registry import lookup

BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "alexnetlegacy": AlexNetLegacy,
    "alexnet": AlexNet,
    "mobilenetv2": MobileNetV2,
    "mobilenetv3_small": MobileNetV3Small,
    "mobilenetv3_small_v3": MobileNetV3Small,  # its name in NanoTrack's configs
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
}


def get_backbone(name: str, **kwargs: Any) -> nn.Module:
    """Return a backbone by its name in BACKBONE.TYPE. Raises ValueError for an unknown name."""
    return lookup(BACKBONES, name, key="BACKBONE.TYPE")(**kwargs)
