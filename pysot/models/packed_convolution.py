"""Convolutions of a CPU by oneDNN: weights in its layout, and the addition and ReLU that follow in the same pass.

torch's own convolution brings its weights into that layout in every call: 0.2 GB for ResNet-50. An addition and a ReLU
of their own read and write their tensors once more: 332 MB for a search crop of ResNet-50.
"""

import copy
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp, TensorMetadata

# Names and limits in oneDNN of the activations that it can compute together with a convolution.
_ACTIVATIONS: dict[type[nn.Module] | None, tuple[str | None, list[float]]] = {
    None: (None, []),
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}


class PackedConv2d(nn.Module):
    """Inference with the present weights of a convolution; its results differ by rounding at most.

    Inputs are (B, C, H, W); the memory layout of the output is that of the input. Calls with an input of `shape` are
    fast, with any batch size; with another height and width, the weights are reordered in each call. A second input, in
    the shape of the output, is added to it. The last step is `activation`, if it is a type of layer.
    """

    def __init__(self, convolution: nn.Conv2d, shape: Sequence[int], activation: type[nn.Module] | None = None):
        super().__init__()
        self.bias = convolution.bias
        self.options = (convolution.padding, convolution.stride, convolution.dilation, convolution.groups)
        self.activation, self.limits = _ACTIVATIONS[activation]
        reorder = torch.ops.mkldnn._reorder_convolution_weight
        self.weight = reorder(convolution.weight.detach(), *self.options, list(shape))

    def forward(self, x: torch.Tensor, other: torch.Tensor | None = None) -> torch.Tensor:
        convolve, layer = torch.ops.mkldnn._convolution_pointwise, (self.weight, self.bias, *self.options)
        if other is None:
            return convolve(x, *layer, self.activation or "none", self.limits, "")
        return convolve.binary(x, other, *layer, "add", 1.0, self.activation, self.limits, "")


class RowLinear(nn.Module):
    """Linear layer for (B, C) that computes each row alone, so that its digits do not depend on how many there are."""

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([nn.functional.linear(row, self.weight, self.bias) for row in x.split(1)])


def pack_convolutions(module: nn.Module, call: Callable[[], object]) -> None:
    """Replace the convolutions of a module on a CPU, where this torch and this processor can.

    call() calls the module once; the last input of each convolution in it is the one that its weights are packed for.
    """
    layers = {name: layer for name, layer in module.named_modules() if can_pack(layer)}
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


def packed_copy(module: fx.GraphModule, x: torch.Tensor) -> fx.GraphModule:
    """Return a copy of a traced module on a CPU whose convolutions are packed for the height and width of an input `x`.

    An addition to the output of a convolution, and a ReLU, are merged into it where they follow at once. oneDNN's ReLU
    turns NaN into 0, which would hide a damaged network: no ReLU is merged if a weight is not finite, and the module is
    to be one whose inputs are finite, such as a backbone. Linear layers become `RowLinear`. What is not packed is
    shared with `module`.
    """
    ShapeProp(module).propagate(x)
    is_finite = all(bool(parameter.isfinite().all()) for parameter in module.parameters())
    graph = copy.deepcopy(module.graph)
    layers = {node: module.get_submodule(node.target) for node in graph.nodes if node.op == "call_module"}
    calls = Counter(node.target for node in layers)
    packed: dict[str, nn.Module] = {}
    for node, layer in layers.items():
        if type(layer) is nn.Linear:
            packed[node.target] = RowLinear(layer)
        if not can_pack(layer) or calls[node.target] > 1:
            continue
        activation: type[nn.Module] | None = None
        if (addend := _next_addend(node)) is not None:
            node.insert_arg(1, addend)
            _remove_next(node)
        if is_finite and _only_next_uses(node) and type(layers.get(node.next)) in _ACTIVATIONS:
            activation = type(layers[node.next])
            _remove_next(node)
        packed[node.target] = PackedConv2d(layer, _result(node.args[0]).shape, activation)
    result = fx.GraphModule(module, graph)
    for name, layer in packed.items():
        result.set_submodule(name, layer)
    return result


def can_pack(layer: nn.Module | None) -> TypeGuard[nn.Conv2d]:
    """Return whether a layer is a convolution on a CPU that oneDNN computes in its type."""
    operators = torch.ops.mkldnn
    if not isinstance(layer, nn.Conv2d) or layer.padding_mode != "zeros" or layer.weight.device.type != "cpu":
        return False
    if not torch.backends.mkldnn.is_available() or not hasattr(operators, "_convolution_pointwise"):
        return False
    return layer.weight.dtype == torch.float32 or (
        layer.weight.dtype == torch.bfloat16 and operators._is_mkldnn_bf16_supported()
    )


def _next_addend(node: fx.Node) -> fx.Node | None:
    """Return what the next node adds to the result of a node, if it does, in the same shape and type."""
    following = node.next
    if not _only_next_uses(node) or following.target not in (operator.add, torch.add) or following.kwargs:
        return None
    others = [value for value in following.args if value is not node]
    if len(others) != 1 or not isinstance(others[0], fx.Node):
        return None
    added, own = _result(others[0]), _result(node)
    return others[0] if (added.shape, added.dtype) == (own.shape, own.dtype) else None


def _only_next_uses(node: fx.Node) -> bool:
    return list(node.users) == [node.next]


def _remove_next(node: fx.Node) -> None:
    following = node.next
    following.replace_all_uses_with(node)
    node.graph.erase_node(following)


def _result(node: Any) -> TensorMetadata:
    """Return shape and type of the result of a node, as ShapeProp noted them."""
    return node.meta["tensor_meta"]
