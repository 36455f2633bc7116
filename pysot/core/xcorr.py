"""Cross-correlation of search features with template features.

Shapes: batch B, channels C, template (kh, kw), search (H, W); the result has (H - kh + 1, W - kw + 1) cells.
Source: SiamRPN++, section 3.3.
"""

import functools
import importlib.util
import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from pysot.core.xcorr_choice import Method, choose_method

logger = logging.getLogger(__name__)
# It comes with torch's builds for CUDA.
_HAS_TRITON = importlib.util.find_spec("triton") is not None


def xcorr_depthwise(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Correlate channel by channel: search (B, C, H, W) with kernel (B, C, kh, kw) to (B, C, H', W').

    On a GPU the fastest method is found at the first call with such tensors.
    """
    kind = search.device.type
    if kind != _GPU:
        return XCORR_METHODS[_FASTEST.get(kind, "grouped convolution")](search, kernel)
    if torch.compiler.is_compiling():  # nothing can be measured; torch.compile needs Triton anyway
        return (_triton_correlation if _HAS_TRITON else grouped_correlation)(search, kernel)
    methods = _gpu_methods(search.device)
    return methods[choose_method(methods, list(methods)[-1], search, kernel)](search, kernel)


def grouped_correlation(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Compute `xcorr_depthwise` as one convolution, with a group per image and channel."""
    batch, channels = kernel.shape[:2]
    flat = search.reshape(1, batch * channels, *search.shape[2:])
    out = F.conv2d(flat, kernel.reshape(batch * channels, 1, *kernel.shape[2:]), groups=batch * channels)
    return out.reshape(batch, channels, *out.shape[2:])


def gradients_as_correlations(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Compute `xcorr_depthwise` as a grouped convolution whose gradients are grouped convolutions as well."""
    if torch.is_grad_enabled() and (search.requires_grad or kernel.requires_grad):
        return _FastGradient.apply(search, kernel)
    return grouped_correlation(search, kernel)


class _FastGradient(torch.autograd.Function):
    """`grouped_correlation` whose gradients are correlations too.

    On a CPU the gradient kernels of a convolution with thousands of groups take many times as long as its forward
    kernel; measurements are in test/benchmarks/README.md.
    """

    @staticmethod
    def forward(ctx: Any, search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        out = grouped_correlation(search, kernel)
        ctx.types = search.dtype, kernel.dtype
        is_last = search.is_contiguous(memory_format=torch.channels_last) and not search.is_contiguous()
        ctx.layout = torch.channels_last if is_last else torch.contiguous_format
        ctx.save_for_backward(search.to(out.dtype), kernel.to(out.dtype))  # autocast may have computed in 16 bits
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        search, kernel = ctx.saved_tensors
        gradients: list[torch.Tensor | None] = [None, None]
        if ctx.needs_input_grad[0]:
            height, width = kernel.shape[2:]
            padded = F.pad(gradient, (width - 1, width - 1, height - 1, height - 1))
            computed = grouped_correlation(padded, kernel.flip(2, 3)).to(ctx.types[0])
            # The layers before the correlation are slow in a layout other than that of their results.
            gradients[0] = computed.contiguous(memory_format=ctx.layout)
        if ctx.needs_input_grad[1]:
            gradients[1] = grouped_correlation(search, gradient).to(ctx.types[1])
        return tuple(gradients)


def shifted_products(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Compute `xcorr_depthwise` as a sum over template cells: search features shifted to the cell, times the cell."""
    rows, columns = kernel.shape[2:]
    height, width = search.shape[2] - rows + 1, search.shape[3] - columns + 1
    shifts = (
        search[:, :, i : i + height, j : j + width] * kernel[:, :, i : i + 1, j : j + 1]
        for i in range(rows)
        for j in range(columns)
    )
    return functools.reduce(torch.add, shifts)


def summed_windows(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Compute `xcorr_depthwise` by unfolding the windows of the search features: times the template, then summed."""
    windows, height, width = _windows(search, kernel)
    return (windows * kernel.flatten(2).unsqueeze(-1)).sum(dim=2).unflatten(-1, (height, width))


def multiplied_windows(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Compute `xcorr_depthwise` as one batched matrix product of the template and all windows of the search crop."""
    windows, height, width = _windows(search, kernel)
    return torch.matmul(kernel.flatten(2).unsqueeze(2), windows).squeeze(2).unflatten(-1, (height, width))


def _windows(search: torch.Tensor, kernel: torch.Tensor) -> tuple[torch.Tensor, int, int]:
    """Return the windows of the search features (B, C, kh * kw, H' * W'), and H' and W'."""
    rows, columns = kernel.shape[2:]
    height, width = search.shape[2] - rows + 1, search.shape[3] - columns + 1
    return F.unfold(search, (rows, columns)).unflatten(1, (search.shape[1], rows * columns)), height, width


# Methods to compute `xcorr_depthwise` with torch's operators.
XCORR_METHODS: dict[str, Method] = {
    "grouped convolution": grouped_correlation,
    "gradients as correlations": gradients_as_correlations,
    "shifted products": shifted_products,
    "summed windows": summed_windows,
    "multiplied windows": multiplied_windows,
}
# Fastest method by device type, where it has been measured: see test/benchmarks/README.md.
_FASTEST = {"cpu": "gradients as correlations"}
_GPU = "cuda"


def methods_on(device: torch.device) -> dict[str, Method]:
    """Return the methods that a device can use, by name; `tools/benchmark.py xcorr` measures them."""
    return XCORR_METHODS | (_gpu_methods(device) if device.type == _GPU else {})


@functools.cache
def _gpu_methods(device: torch.device) -> dict[str, Method]:
    """Return the methods that may be the fastest on a GPU; the last one is used where nothing can be measured.

    The others of torch's take tens of operators, or store the search features as often as a template has cells.
    """
    methods: dict[str, Method] = {
        "gradients as correlations": gradients_as_correlations,
        "grouped convolution": grouped_correlation,
    }
    if _HAS_TRITON:
        try:
            _triton_correlation(*(torch.ones(1, 1, side, side, device=device) for side in (2, 1)))
        except Exception as error:  # any: no C compiler, a driver or a GPU that this Triton does not support
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            logger.warning("Triton fails on %s (%s): the correlation is computed by torch's operators", device, reason)
        else:
            methods["Triton kernel"] = _triton_correlation
    return methods


def _triton_correlation(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    from pysot.core.xcorr_triton import triton_correlation

    return triton_correlation(search, kernel)


def xcorr_pixelwise(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Multiply each cell of the search features with each cell of the template features, over all channels.

    Shapes: search (B, C, H, W), kernel (B, C, kh, kw), result (B, kh * kw, H, W). Source: Yan et al., Alpha-Refine,
    2021.
    """
    cells = kernel.flatten(2)
    if cells.requires_grad:
        # The gradient of a transposed tensor is laid out as channels_last, which an NPU does not have.
        cells.register_hook(torch.Tensor.contiguous)
    return torch.matmul(cells.transpose(1, 2), search.flatten(2)).unflatten(2, search.shape[2:])


def xcorr_up_channel(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Correlate each image with K kernels over all channels, the up-channel form of SiamRPN.

    Shapes: search (B, C, H, W), kernel (B, K * C, kh, kw), result (B, K, H', W').
    """
    batch, channels = search.shape[:2]
    weight = kernel.reshape(-1, channels, *kernel.shape[2:])
    out = F.conv2d(search.reshape(1, batch * channels, *search.shape[2:]), weight, groups=batch)
    return out.reshape(batch, -1, *out.shape[2:])
