"""Turn torchvision's ImageNet weights into the layout of the backbones here.

What differs: the input (RGB, normalised, there; BGR in [0, 255] here) is folded into the first convolution; 1x1 shortcuts become the centre of 3x3
ones; AlexNet's fewer channels and missing batch-norms, and MobileNetV2's missing first expansion, are filled so that the features are the same.
"""

from collections.abc import Callable

import torch

from pysot.models.backbone import BACKBONES
from pysot.models.backbone.mobilenet_v2 import STAGES
from pysot.utils.model_load import without_wrappers
from pysot.utils.registry import lookup

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # RGB, images in [0, 1]
_BN_EPS = 1e-5
_BN_KEYS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
State = dict[str, torch.Tensor]
# Some names of torchvision's, from which the prefixes of wrappers are told.
_KNOWN = {
    "features.0.0.weight",
    "features.18.0.weight",
    *(f"features.{n}.weight" for n in (0, 3, 6, 8, 10)),
    *(f"layer{n}.0.conv1.weight" for n in (1, 2, 3)),
}


def convert_torchvision(state: State, arch: str) -> State:
    """Weights of backbone `arch` (resnet18, resnet34, resnet50, alexnet, alexnetlegacy, mobilenetv2; all stages, width 1) from torchvision's state
    dict of the same network; prefixes of wrappers, such as `module.`, are cut off and classifiers dropped. Raises ValueError where `state` is not of that
    network.
    """
    state = without_wrappers(state, _KNOWN)
    convert = lookup(_CONVERTERS, arch, key="architecture")
    try:
        result = convert(state, arch)
    except KeyError as error:
        raise ValueError(
            f"these are not torchvision's weights of {arch}: {error.args[0]} is missing; got {', '.join(list(state)[:3])}, ..."
        ) from None
    layers = {} if arch.startswith("alexnet") else {"used_layers": (7,) if arch == "mobilenetv2" else (2, 3, 4)}
    expected = BACKBONES[arch](**layers).state_dict()
    wrong = [name for name, value in expected.items() if name not in result or result[name].shape != value.shape]
    if wrong:
        raise ValueError(
            f"these are not torchvision's weights of {arch} (width 1): {wrong[0]} should be {tuple(expected[wrong[0]].shape)}, and is "
            f"{tuple(result[wrong[0]].shape) if wrong[0] in result else 'missing'}"
        )
    return {name: result[name].clone() for name in expected}


def fold_input(weight: torch.Tensor, mean=IMAGENET_MEAN, std=IMAGENET_STD) -> tuple[torch.Tensor, torch.Tensor]:
    """First convolution (out, 3, k, k) for RGB normalised by mean and std, as one for BGR in [0, 255]: weight and the bias (out,) to add."""
    mean, std = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
    exact = weight.double()
    bias = -(exact * (mean / std)[None, :, None, None]).sum(dim=(1, 2, 3))
    scaled = exact / (255 * std)[None, :, None, None]
    return scaled.flip(1).to(weight.dtype), bias.to(weight.dtype)


def _resnet(state: State, arch: str) -> State:
    state = {name: value for name, value in state.items() if not name.startswith("fc.")}
    state["conv1.weight"], bias = fold_input(state["conv1.weight"])
    state["bn1.running_mean"] = state["bn1.running_mean"] - bias
    for stage in ("layer2", "layer3", "layer4"):
        name = f"{stage}.0.downsample.0.weight"
        state[name] = _centred(state[name])
    return state


def _centred(weight: torch.Tensor) -> torch.Tensor:
    """A 1x1 kernel (out, in, 1, 1) as the centre of a 3x3 one."""
    wide = weight.new_zeros(*weight.shape[:2], 3, 3)
    wide[:, :, 1, 1] = weight[:, :, 0, 0]
    return wide


def _alexnet(state: State, arch: str) -> State:
    """torchvision's AlexNet has fewer channels in three layers: the rest are zeros, and stay zeros through ReLU."""
    shapes = {name: value.shape for name, value in BACKBONES[arch]().state_dict().items()}
    convolutions = [name.removesuffix(".weight") for name, shape in shapes.items() if len(shape) == 4]
    result = {}
    for target, source in zip(
        convolutions, ("features.0", "features.3", "features.6", "features.8", "features.10"), strict=True
    ):
        weight, bias = state[f"{source}.weight"], state[f"{source}.bias"]
        if source == "features.0":
            weight, extra = fold_input(weight)
            bias = bias + extra
        result[f"{target}.weight"] = _embedded(weight, shapes[f"{target}.weight"])
        result[f"{target}.bias"] = _embedded(bias, shapes[f"{target}.bias"])
        *path, index = target.split(".")
        result |= _identity_batch_norm(".".join([*path, str(int(index) + 1)]), shapes[f"{target}.bias"][0])
    return result


def _embedded(value: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """`value` in the first entries of zeros of `shape`; itself where it does not fit, for the caller's check to name."""
    if (
        value.dim() != len(shape)
        or any(a > b for a, b in zip(value.shape, shape, strict=True))
        or value.shape[2:] != shape[2:]
    ):
        return value
    wide = value.new_zeros(shape)
    wide[tuple(slice(0, n) for n in value.shape)] = value
    return wide


def _identity_batch_norm(name: str, channels: int) -> State:
    ones, zeros = torch.ones(channels), torch.zeros(channels)
    values = (ones, zeros, zeros, ones - _BN_EPS, torch.tensor(0))
    return {f"{name}.{key}": value for key, value in zip(_BN_KEYS, values, strict=True)}


def _mobilenet(state: State, arch: str) -> State:
    result: State = {}
    result["layer0.0.weight"], bias = fold_input(state["features.0.0.weight"])
    _copy_batch_norm(state, "features.0.1", result, "layer0.1")
    result["layer0.1.running_mean"] = result["layer0.1.running_mean"] - bias
    block = 1
    for stage, (expand, _, count, _, _) in enumerate(STAGES, 1):
        for i in range(count):
            _mobilenet_block(state, f"features.{block}.conv", result, f"layer{stage}.{i}.conv", expand)
            block += 1
    return result


def _mobilenet_block(state: State, source: str, result: State, target: str, expand: int) -> None:
    """torchvision nests (convolution, batch-norm) pairs, or lists them flat as older releases did; it leaves the expansion out where it is 1, which is
    an identity here."""
    flat = f"{source}.0.weight" in state
    if expand == 1:
        channels = state[f"{source}.0.weight" if flat else f"{source}.0.0.weight"].shape[0]
        result[f"{target}.0.weight"] = torch.eye(channels)[:, :, None, None]
        result |= _identity_batch_norm(f"{target}.1", channels)
        pairs = (("0", "1", 3), ("3", "4", 6)) if flat else (("0.0", "0.1", 3), ("1", "2", 6))
    else:
        pairs = (
            (("0", "1", 0), ("3", "4", 3), ("6", "7", 6))
            if flat
            else (("0.0", "0.1", 0), ("1.0", "1.1", 3), ("2", "3", 6))
        )
    for convolution, norm, index in pairs:
        result[f"{target}.{index}.weight"] = state[f"{source}.{convolution}.weight"]
        _copy_batch_norm(state, f"{source}.{norm}", result, f"{target}.{index + 1}")


def _copy_batch_norm(state: State, source: str, result: State, target: str) -> None:
    for key in _BN_KEYS[:-1]:
        result[f"{target}.{key}"] = state[f"{source}.{key}"]
    result[f"{target}.num_batches_tracked"] = state.get(f"{source}.num_batches_tracked", torch.tensor(0))


_CONVERTERS: dict[str, Callable[[State, str], State]] = {
    "resnet18": _resnet,
    "resnet34": _resnet,
    "resnet50": _resnet,
    "alexnet": _alexnet,
    "alexnetlegacy": _alexnet,
    "mobilenetv2": _mobilenet,
}
