"""Triton kernel of the correlation in Triton's interpreter, on a CPU: TRITON_INTERPRET=1 python triton_cases.py.

Prints a JSON object: the largest error by case, each relative to the largest value of float64, and other findings. It
is a process of its own, since the interpreter has to be chosen before Triton is imported.
"""

import itertools
import json

import torch

from pysot.core.xcorr import grouped_correlation
from pysot.core.xcorr_triton import triton_correlation

SHAPES = (
    ((2, 3, 12, 14), (2, 3, 4, 5)),
    ((1, 67, 7, 6), (1, 67, 3, 1)),  # more than a block of channels, and an odd number
    ((1, 1, 5, 5), (1, 1, 5, 5)),
    ((1, 2, 13, 11), (1, 2, 3, 3)),  # more cells than those of a small result
)
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def values_and_gradients(correlate, search, kernel) -> list[torch.Tensor]:
    search, kernel = search.detach().requires_grad_(), kernel.detach().requires_grad_()
    out = correlate(search, kernel)
    weights = torch.linspace(-1, 1, out.numel()).bfloat16().view_as(out)  # every type has these numbers
    return [out.detach(), *torch.autograd.grad(out, (search, kernel), weights.to(out.dtype))]


def error_of(correlate, search, kernel) -> float:
    expected = values_and_gradients(grouped_correlation, search.double(), kernel.double())
    pairs = zip(values_and_gradients(correlate, search, kernel), expected, strict=True)
    return max(float((actual.double() - exact).abs().max() / exact.abs().max()) for actual, exact in pairs)


def table() -> dict[str, float]:
    errors = {}
    for dtype, memory_format, shapes in itertools.product(("float32", "bfloat16", "float16"), FORMATS, SHAPES):
        inputs = [torch.randn(shape).to(getattr(torch, dtype)) for shape in shapes]
        inputs = [tensor.contiguous(memory_format=FORMATS[memory_format]) for tensor in inputs]
        errors[f"{dtype} {memory_format} {shapes}"] = error_of(triton_correlation, *inputs)
    return errors


def other_tensors() -> dict[str, float]:
    search, kernel = torch.randn(2, 6, 8, 9), torch.randn(2, 6, 3, 4)
    mixed = search, kernel.contiguous(memory_format=torch.channels_last)
    windows = torch.randn(2, 9, 10, 8).permute(0, 3, 1, 2)[:, 1:7, :8, :9], kernel.transpose(2, 3)
    return {
        "float64": error_of(triton_correlation, search.double(), kernel.double()),
        "float32 of two memory formats": error_of(triton_correlation, *mixed),
        "float32 windows of larger tensors": error_of(triton_correlation, *windows),
        "float32 compiled": error_of(torch.compile(triton_correlation, fullgraph=True), search, kernel),
    }


def under_autocast(correlate) -> dict[str, str]:
    search, kernel = torch.randn(1, 2, 6, 6, requires_grad=True), torch.randn(1, 2, 3, 3).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = correlate(search, kernel)
    out.float().sum().backward()
    return {
        name: str(tensor.dtype) for name, tensor in {"out": out, "search": search.grad, "kernel": kernel.grad}.items()
    }


def one_gradient() -> list[bool]:
    """Return whether each input got a gradient, where the template's is not wanted."""
    search, kernel = torch.randn(1, 2, 6, 6, requires_grad=True), torch.randn(1, 2, 3, 3)
    triton_correlation(search, kernel).sum().backward()
    return [search.grad is not None, kernel.grad is not None]


def formats() -> dict[str, list[bool]]:
    """Return whether the result and the gradients of inputs in each memory format have that format."""
    found = {}
    for name, memory_format in FORMATS.items():
        inputs = [torch.randn(2, 3, side, side).contiguous(memory_format=memory_format) for side in (6, 3)]
        outputs = values_and_gradients(triton_correlation, *inputs)
        found[name] = [tensor.is_contiguous(memory_format=memory_format) for tensor in outputs]
    return found


def main() -> None:
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    findings = {
        "errors": table() | other_tensors(),
        "autocast": [under_autocast(c) for c in (triton_correlation, torch.compile(triton_correlation))],
        "one gradient": one_gradient(),
        "formats": formats(),
        "none": list(triton_correlation(torch.ones(0, 2, 5, 5), torch.ones(0, 2, 3, 3)).shape),
    }
    print(json.dumps(findings))


if __name__ == "__main__":
    main()
