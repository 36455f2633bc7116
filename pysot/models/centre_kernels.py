"""Convolutions whose kernels are zero but for the centre, as 1x1 convolutions.

Converted weights of ResNets have them: torchvision's 1x1 shortcuts are the centre of 3x3 ones, see `pretrained`.
"""

from collections.abc import Iterator

import torch
from torch import nn


class Crop(nn.Module):
    """Removal of `rows` cells above and below and of `columns` cells at both sides of (B, C, H, W)."""

    def __init__(self, rows: int, columns: int):
        super().__init__()
        self.inner = [slice(n, -n if n else None) for n in (rows, columns)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, self.inner[0], self.inner[1]]


def narrow_kernels(module: nn.Module) -> None:
    """Replace the convolutions in a module whose taps other than the centre are zero in all channels by 1x1 ones.

    Results of finite inputs are the same up to the order of sums. The weights are read once, together: later changes
    are not noticed. Kernels with NaN are kept, and so are those of even size and without zero padding.
    """
    layers = dict(_wide_convolutions(module))
    if not layers:
        return
    others = torch.stack([_has_other_taps(layer.weight) for layer in layers.values()]).tolist()
    for (name, layer), has_others in zip(layers.items(), others, strict=True):
        if not has_others:
            module.set_submodule(name, _narrowed(layer))


def _wide_convolutions(module: nn.Module) -> Iterator[tuple[str, nn.Conv2d]]:
    """Yield the convolutions below a module with an odd kernel of more than one tap, padded with zeros."""
    for name, layer in module.named_modules():
        if name and type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and not isinstance(layer.padding, str):
            rows, columns = layer.kernel_size
            if rows % 2 and columns % 2 and rows * columns > 1:
                yield name, layer


def _has_other_taps(weight: torch.Tensor) -> torch.Tensor:
    """Return whether any tap but the centre of kernels (out, in, k, k) differs from zero, as a tensor () of bool."""
    taps = weight.detach().flatten(2)
    centre = taps.shape[2] // 2
    return (taps[:, :, :centre] != 0).any() | (taps[:, :, centre + 1 :] != 0).any()


def _narrowed(layer: nn.Conv2d) -> nn.Module:
    """Return a 1x1 convolution with the centre of each kernel of `layer`.

    Output cell i reads input cell i * stride + dilation * (size // 2) - padding. Where the padding is smaller than the
    distance from the border of the kernel to its centre, the 1x1 convolution needs a cropped input.
    """
    rows, columns = (layer.dilation[i] * (layer.kernel_size[i] // 2) - int(layer.padding[i]) for i in (0, 1))
    narrow = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        1,
        stride=(layer.stride[0], layer.stride[1]),
        padding=(max(0, -rows), max(0, -columns)),
        groups=layer.groups,
        bias=layer.bias is not None,
        device="meta",
    )
    centre = layer.weight.detach()[:, :, layer.kernel_size[0] // 2, layer.kernel_size[1] // 2, None, None]
    narrow.weight = nn.Parameter(centre.contiguous(), requires_grad=layer.weight.requires_grad)
    narrow.bias = layer.bias
    narrow.train(layer.training)
    if rows <= 0 and columns <= 0:
        return narrow
    return nn.Sequential(Crop(max(0, rows), max(0, columns)), narrow)
