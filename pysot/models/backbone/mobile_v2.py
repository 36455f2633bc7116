"""The original's name of `mobilenet_v2`, for scripts that import it."""

from pysot.models.backbone.mobilenet_v2 import MobileNetV2

mobilenetv2 = MobileNetV2
__all__ = ["MobileNetV2", "mobilenetv2"]
