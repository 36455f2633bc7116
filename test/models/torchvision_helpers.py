"""Random weights in the names and shapes of torchvision's networks."""

import torch

RESNET_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}


def conv_weight(out: int, inside: int, side: int) -> torch.Tensor:
    return torch.randn(out, inside, side, side) * (2 / (inside * side * side)) ** 0.5


def norm_weights(name: str, channels: int) -> dict:
    return {
        f"{name}.weight": 0.5 + torch.rand(channels),
        f"{name}.bias": 0.1 * torch.randn(channels),
        f"{name}.running_mean": 0.1 * torch.randn(channels),
        f"{name}.running_var": 0.5 + torch.rand(channels),
        f"{name}.num_batches_tracked": torch.tensor(5),
    }


def resnet_weights(arch: str) -> dict:
    bottleneck = arch == "resnet50"
    state = {"conv1.weight": conv_weight(64, 3, 7), **norm_weights("bn1", 64)}
    inside = 64
    for stage, (planes, count) in enumerate(zip((64, 128, 256, 512), RESNET_BLOCKS[arch], strict=True), 1):
        for i in range(count):
            name, wide = f"layer{stage}.{i}", planes * (4 if bottleneck else 1)
            if bottleneck:
                shapes = [(planes, inside, 1), (planes, planes, 3), (wide, planes, 1)]
            else:
                shapes = [(planes, inside, 3), (planes, planes, 3)]
            for k, shape in enumerate(shapes, 1):
                state[f"{name}.conv{k}.weight"] = conv_weight(*shape)
                state |= norm_weights(f"{name}.bn{k}", shape[0])
            if i == 0 and inside != wide:
                state[f"{name}.downsample.0.weight"] = conv_weight(wide, inside, 1)
                state |= norm_weights(f"{name}.downsample.1", wide)
            inside = wide
    return {**state, "fc.weight": torch.randn(10, inside), "fc.bias": torch.randn(10)}
