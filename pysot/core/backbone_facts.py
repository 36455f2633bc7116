"""Facts about the backbones that the checks of a config need, because their layer may not import the networks.

test/models/test_backbones.py checks that both agree.
"""

_CHANNELS = {
    "alexnetlegacy": [256],
    "alexnet": [256],
    "resnet18": [64, 64, 128, 256, 512],
    "resnet34": [64, 64, 128, 256, 512],
    "resnet50": [64, 256, 512, 1024, 2048],
    "mobilenetv2": [32, 16, 24, 32, 64, 96, 160, 320],
    "mobilenetv3_small": [16, 16, 24, 48, 96],
    "mobilenetv3_small_v3": [16, 16, 24, 48, 96],
}
_DEFAULT_LAYERS = {"mobilenetv2": [3, 5, 7], "mobilenetv3_small": [4], "mobilenetv3_small_v3": [4]}
BACKBONES = tuple(_CHANNELS)


def backbone_stride(kind: str) -> int:
    """Return the pixels of a crop per cell of the last level of backbone `kind`."""
    return 16 if kind.startswith("mobilenetv3") else 8


def backbone_base_size(kind: str) -> int:
    """Return the cells per side that a template of 127 pixels adds to the score map of a network of stride 8.

    Its feature is cropped to 7x7 (8 cells), or kept at AlexNet's 6x6.
    """
    return 0 if kind.startswith("alexnet") else 8


def backbone_stages(kind: str) -> int:
    """Return the number of stages that `used_layers` may name; AlexNet has none."""
    return len(_CHANNELS[kind]) if not kind.startswith("alexnet") else 0


def backbone_channels(kind: str, kwargs: dict) -> list[int]:
    """Return the channels of the feature levels of backbone `kind` with `kwargs`, in the order of used_layers."""
    stages = [int(channels * kwargs.get("width_mult", 1)) for channels in _CHANNELS[kind]]
    if kind.startswith("alexnet"):
        return stages
    return [stages[i] for i in kwargs.get("used_layers", _DEFAULT_LAYERS.get(kind, [2, 3, 4]))]
