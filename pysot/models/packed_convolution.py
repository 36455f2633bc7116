"""Convolutions of a CPU whose weights are stored in the layout that oneDNN computes with.

torch's own convolution brings its weights into that layout in every call: 0.2 GB for ResNet-50.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn


class PackedConv2d(nn.Module):
    """Inference with the present weights of a convolution; its results differ by rounding at most.

    Inputs are (B, C, H, W); the memory layout of the output is that of the input. Calls with an input of `shape` are
    fast, with any batch size; with another height and width, the weights are reordered in each call.
    """

    def __init__(self, convolution: nn.Conv2d, shape: Sequence[int]):
        super().__init__()
        self.bias = convolution.bias
        self.options = (convolution.padding, convolution.stride, convolution.dilation, convolution.groups)
        reorder = torch.ops.mkldnn._reorder_convolution_weight
        self.weight = reorder(convolution.weight.detach(), *self.options, list(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._convolution_pointwise(x, self.weight, self.bias, *self.options, "none", [], "")


def pack_convolutions(module: nn.Module, call: Callable[[], object]) -> None:
    """Replace the convolutions of a module on a CPU, where this torch and this processor can.

    call() calls the module once; the last input of each convolution in it is the one that its weights are packed for.
    """
    layers = {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros" and _can_pack(layer)
    }
    shapes: dict[nn.Module, Sequence[int]] = {}

    def note(layer: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        shapes[layer] = inputs[0].shape

    hooks = [layer.register_forward_pre_hook(note) for layer in layers.values()]
    call()
    for hook in hooks:
        hook.remove()
    for name, layer in layers.items():
        if layer in shapes:
            module.set_submodule(name, PackedConv2d(layer, shapes[layer]))


def _can_pack(layer: nn.Conv2d) -> bool:
    operators = torch.ops.mkldnn
    if not torch.backends.mkldnn.is_available() or not hasattr(operators, "_convolution_pointwise"):
        return False
    return layer.weight.dtype == torch.float32 or (
        layer.weight.dtype == torch.bfloat16 and operators._is_mkldnn_bf16_supported()
    )
