"""Convert torchvision's ImageNet weights to the layout of this package's backbones.

Three differences are handled so that the features stay the same:

* torchvision's input is normalised RGB, this package's is BGR in [0, 255]; it is folded into the first convolution.
* 1x1 shortcuts of ResNets become the centre of 3x3 shortcuts.
* AlexNet's missing channels and batch-norms, and MobileNetV2's missing first expansion, are filled in.
"""

from collections.abc import Callable, Sequence

import torch

from pysot.models.backbone import BACKBONES
from pysot.models.backbone.mobilenet_v2 import STAGES
from pysot.utils.model_load import remove_wrapper_prefixes
from pysot.utils.registry import lookup

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # RGB, images in [0, 1]
_BN_EPS = 1e-5
_BN_KEYS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
State = dict[str, torch.Tensor]
# Parameter names of torchvision that identify the prefixes of wrappers.
_KNOWN_NAMES = {
    "features.0.0.weight",
    "features.18.0.weight",
    *(f"features.{n}.weight" for n in (0, 3, 6, 8, 10)),
    *(f"layer{n}.0.conv1.weight" for n in (1, 2, 3)),
}


def convert_torchvision(state: State, arch: str) -> State:
    """Return the weights of backbone `arch` (all stages, width 1) from torchvision's state dict of the same network.

    `arch` is resnet18, resnet34, resnet50, alexnet, alexnetlegacy or mobilenetv2. Prefixes of wrappers, such as
    `module.`, and classifiers are removed. Raises ValueError if `state` belongs to another network.
    """
    state = remove_wrapper_prefixes(state, _KNOWN_NAMES)
    convert = lookup(_CONVERTERS, arch, key="architecture")
    try:
        result = convert(state, arch)
    except KeyError as error:
        raise ValueError(
            f"these are not torchvision's weights of {arch}: {error.args[0]} is missing; "
            f"got {', '.join(list(state)[:3])}, ..."
        ) from None
    layers = {} if arch.startswith("alexnet") else {"used_layers": (7,) if arch == "mobilenetv2" else (2, 3, 4)}
    expected = BACKBONES[arch](**layers).state_dict()
    wrong = [name for name, value in expected.items() if name not in result or result[name].shape != value.shape]
    if wrong:
        name = wrong[0]
        got = tuple(result[name].shape) if name in result else "missing"
        raise ValueError(
            f"these are not torchvision's weights of {arch} (width 1): {name} should have the shape "
            f"{tuple(expected[name].shape)}, but is {got}"
        )
    return {name: result[name].clone() for name in expected}


def fold_input(
    weight: torch.Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
) -> tuple[torch.Tensor, torch.Tensor]:
    """Convert the first convolution (out, 3, k, k) from RGB normalised by mean and std to BGR in [0, 255].

    Returns the weight and the bias (out,) to add.
    """
    means, stds = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
    exact = weight.double()
    bias = -(exact * (means / stds)[None, :, None, None]).sum(dim=(1, 2, 3))
    scaled = exact / (255 * stds)[None, :, None, None]
    return scaled.flip(1).to(weight.dtype), bias.to(weight.dtype)


def _convert_resnet(state: State, arch: str) -> State:
    state = {name: value for name, value in state.items() if not name.startswith("fc.")}
    state["conv1.weight"], bias = fold_input(state["conv1.weight"])
    state["bn1.running_mean"] = state["bn1.running_mean"] - bias
    for stage in ("layer2", "layer3", "layer4"):
        name = f"{stage}.0.downsample.0.weight"
        state[name] = _as_3x3(state[name])
    return state


def _as_3x3(weight: torch.Tensor) -> torch.Tensor:
    """Return a 1x1 kernel (out, in, 1, 1) as the centre of a 3x3 kernel."""
    wide = weight.new_zeros(*weight.shape[:2], 3, 3)
    wide[:, :, 1, 1] = weight[:, :, 0, 0]
    return wide


def _convert_alexnet(state: State, arch: str) -> State:
    """Fill the channels that torchvision's AlexNet does not have in three layers; zeros stay zeros through ReLU."""
    shapes = {name: value.shape for name, value in BACKBONES[arch]().state_dict().items()}
    convolutions = [name.removesuffix(".weight") for name, shape in shapes.items() if len(shape) == 4]
    result = {}
    sources = ("features.0", "features.3", "features.6", "features.8", "features.10")
    for target, source in zip(convolutions, sources, strict=True):
        weight, bias = state[f"{source}.weight"], state[f"{source}.bias"]
        if source == "features.0":
            weight, extra = fold_input(weight)
            bias = bias + extra
        result[f"{target}.weight"] = _pad_channels(weight, shapes[f"{target}.weight"])
        result[f"{target}.bias"] = _pad_channels(bias, shapes[f"{target}.bias"])
        *parents, index = target.split(".")
        batch_norm = ".".join([*parents, str(int(index) + 1)])
        result |= _identity_batch_norm(batch_norm, shapes[f"{target}.bias"][0])
    return result


def _pad_channels(value: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Pad `value` with zeros to `shape`; return it unchanged if it does not fit, which the caller reports."""
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


def _convert_mobilenet(state: State, arch: str) -> State:
    result: State = {}
    result["layer0.0.weight"], bias = fold_input(state["features.0.0.weight"])
    _copy_batch_norm(state, "features.0.1", result, "layer0.1")
    result["layer0.1.running_mean"] = result["layer0.1.running_mean"] - bias
    block = 1
    for stage, (expand, _, count, _, _) in enumerate(STAGES, 1):
        for i in range(count):
            _convert_mobilenet_block(state, f"features.{block}.conv", result, f"layer{stage}.{i}.conv", expand)
            block += 1
    return result


def _convert_mobilenet_block(state: State, source: str, result: State, target: str, expand: int) -> None:
    """Convert an inverted residual.

    torchvision nests (convolution, batch-norm) pairs, older releases list them flat. It leaves out an expansion of
    factor 1, which is an identity convolution in this package.
    """
    flat = f"{source}.0.weight" in state
    if expand == 1:
        channels = state[f"{source}.0.weight" if flat else f"{source}.0.0.weight"].shape[0]
        result[f"{target}.0.weight"] = torch.eye(channels)[:, :, None, None]
        result |= _identity_batch_norm(f"{target}.1", channels)
        pairs = [("0", "1", 3), ("3", "4", 6)] if flat else [("0.0", "0.1", 3), ("1", "2", 6)]
    elif flat:
        pairs = [("0", "1", 0), ("3", "4", 3), ("6", "7", 6)]
    else:
        pairs = [("0.0", "0.1", 0), ("1.0", "1.1", 3), ("2", "3", 6)]
    for convolution, batch_norm, index in pairs:
        result[f"{target}.{index}.weight"] = state[f"{source}.{convolution}.weight"]
        _copy_batch_norm(state, f"{source}.{batch_norm}", result, f"{target}.{index + 1}")


def _copy_batch_norm(state: State, source: str, result: State, target: str) -> None:
    for key in _BN_KEYS[:-1]:
        result[f"{target}.{key}"] = state[f"{source}.{key}"]
    result[f"{target}.num_batches_tracked"] = state.get(f"{source}.num_batches_tracked", torch.tensor(0))


_CONVERTERS: dict[str, Callable[[State, str], State]] = {
    "resnet18": _convert_resnet,
    "resnet34": _convert_resnet,
    "resnet50": _convert_resnet,
    "alexnet": _convert_alexnet,
    "alexnetlegacy": _convert_alexnet,
    "mobilenetv2": _convert_mobilenet,
}
