"""The depth-wise correlation and its gradients as one Triton kernel, for GPUs. Importing this file needs Triton.

Shapes as in `xcorr.py`. The gradients are correlations too: that of the template correlates the search features with
the gradient of the result, that of the search features correlates this gradient with the template, backwards. Tensors
are read through their strides, so neither memory format is copied into the other. Sums are in float32, in float64 for
float64. There are no atomic operations: a program computes its cells alone, always in the same order.
"""

import contextlib
from typing import Any

import torch
import triton
import triton.language as tl
from torch.autograd.function import once_differentiable

from pysot.utils.device import device_module

# Cells and channels of a program, by whether the channels of a cell lie side by side; then (64 channels, a line of 128
# bytes in half precision) a thread reads 16 bytes at once. A result of few cells gets more programs.
_BLOCKS = {True: (32, 64), False: (128, 1)}
_FEW_CELLS, _BLOCKS_OF_FEW = 64, {True: (8, 64), False: (32, 4)}
_FORWARDS, _BACKWARDS = 1, -1


@triton.jit
def _correlation_kernel(  # type: ignore[no-untyped-def]
    images,
    weights,
    out,
    channels,
    rows,
    columns,
    images_b,
    images_c,
    images_y,
    images_x,
    weights_b,
    weights_c,
    weights_y,
    weights_x,
    out_b,
    out_c,
    out_y,
    out_x,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    OUT_ROWS: tl.constexpr,
    OUT_COLUMNS: tl.constexpr,
    DIRECTION: tl.constexpr,
    SUM: tl.constexpr,
    CELLS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Compute out[y, x] = sum of images[y + DIRECTION * i, x + DIRECTION * j] * weights[i, j], 0 beyond the images.

    `rows` and `columns` are of the images, ROWS and COLUMNS of the weights; names with _b, _c, _y, _x are strides.
    """
    cell = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    image = tl.program_id(2).to(tl.int64)
    y, x = (cell // OUT_COLUMNS)[:, None], (cell % OUT_COLUMNS)[:, None]
    is_channel = channel < channels
    is_wanted = (cell < OUT_ROWS * OUT_COLUMNS)[:, None] & is_channel[None, :]
    images += image * images_b + channel[None, :] * images_c
    weights += image * weights_b + channel * weights_c
    total = tl.full((CELLS, CHANNELS), 0, SUM)
    for i in range(ROWS):
        for j in tl.static_range(COLUMNS):
            row, column = y + DIRECTION * i, x + DIRECTION * j
            is_inside = is_wanted
            if DIRECTION < 0:
                is_inside &= (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
            value = tl.load(images + row * images_y + column * images_x, mask=is_inside, other=0).to(SUM)
            weight = tl.load(weights + i * weights_y + j * weights_x, mask=is_channel, other=0).to(SUM)
            total = tl.fma(value, tl.broadcast_to(weight[None, :], (CELLS, CHANNELS)), total)
    out += image * out_b + channel[None, :] * out_c + y * out_y + x * out_x
    tl.store(out, total.to(out.dtype.element_ty), mask=is_wanted)


def triton_correlation(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Compute `xcorr_depthwise` by the Triton kernel; the result has the memory format of `search`.

    Raises ValueError for tensors that do not fit together.
    """
    kind = search.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        search, kernel = search.to(dtype), kernel.to(dtype)
    _check(search, kernel)
    if torch.is_grad_enabled() and (search.requires_grad or kernel.requires_grad):
        return _Correlation.apply(search, kernel)
    return _forward(search, kernel)


def _check(search: torch.Tensor, kernel: torch.Tensor) -> None:
    shapes = f"search features {tuple(search.shape)} and a template {tuple(kernel.shape)}"
    if search.dim() != 4 or kernel.dim() != 4 or search.shape[:2] != kernel.shape[:2]:
        raise ValueError(f"a correlation is of (B, C, H, W) and (B, C, kh, kw) with equal B and C, got {shapes}")
    if search.shape[2] < kernel.shape[2] or search.shape[3] < kernel.shape[3]:
        raise ValueError(f"a template must not be larger than the search features, got {shapes}")
    if search.dtype != kernel.dtype or search.device != kernel.device:
        raise ValueError(
            f"search features are {search.dtype} on {search.device}, the template is {kernel.dtype} on "
            f"{kernel.device}: convert one, or use autocast"
        )


class _Correlation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(search, kernel)
        return _forward(search, kernel)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        search, kernel = ctx.saved_tensors
        gradients: list[torch.Tensor | None] = [None, None]
        if ctx.needs_input_grad[0]:
            gradients[0] = _correlate_like(search, gradient, kernel, _BACKWARDS)
        if ctx.needs_input_grad[1]:
            gradients[1] = _correlate_like(kernel, search, gradient, _FORWARDS)
        return tuple(gradients)


def _forward(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    rows, columns = search.shape[2] - kernel.shape[2] + 1, search.shape[3] - kernel.shape[3] + 1
    return _run(search, kernel, rows, columns, _FORWARDS, _is_channels_last(search))


def _correlate_like(like: torch.Tensor, images: torch.Tensor, weights: torch.Tensor, direction: int) -> torch.Tensor:
    """Return the result of the kernel, with the shape and the memory format of `like`."""
    return _run(images, weights, like.shape[2], like.shape[3], direction, _is_channels_last(like))


def _is_channels_last(tensor: torch.Tensor) -> bool:
    return tensor.stride(1) == 1


def _run(
    images: torch.Tensor, weights: torch.Tensor, rows: int, columns: int, direction: int, channels_last: bool
) -> torch.Tensor:
    """Return the result (B, C, rows, columns) of the kernel; torch.compile takes it for one operator."""
    # Without torch.compile, the operator would only cost the host time.
    launch = _operator if torch.compiler.is_compiling() else _launch
    return launch(images, weights, rows, columns, direction, channels_last)


def _empty_result(images: torch.Tensor, rows: int, columns: int, channels_last: bool) -> torch.Tensor:
    return torch.empty(
        (*images.shape[:2], rows, columns),
        dtype=images.dtype,
        device=images.device,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )


def _launch(
    images: torch.Tensor, weights: torch.Tensor, rows: int, columns: int, direction: int, channels_last: bool
) -> torch.Tensor:
    out = _empty_result(images, rows, columns, channels_last)
    cells, channels = rows * columns, images.shape[1]
    by_format = _BLOCKS_OF_FEW if cells <= _FEW_CELLS else _BLOCKS
    block_cells, block_channels = by_format[_is_channels_last(images)]
    block_channels = min(block_channels, triton.next_power_of_2(channels))
    grid = (triton.cdiv(cells, block_cells), triton.cdiv(channels, block_channels), images.shape[0])
    module = device_module(images.device)
    with contextlib.nullcontext() if module is None else module.device(images.device):
        _correlation_kernel[grid](
            images,
            weights,
            out,
            channels,
            *images.shape[2:],
            *images.stride(),
            *weights.stride(),
            *out.stride(),
            ROWS=weights.shape[2],
            COLUMNS=weights.shape[3],
            OUT_ROWS=rows,
            OUT_COLUMNS=columns,
            DIRECTION=direction,
            SUM=tl.float64 if images.dtype == torch.float64 else tl.float32,
            CELLS=block_cells,
            CHANNELS=block_channels,
            num_stages=1,
        )
    return out


_operator = torch.library.custom_op("pysot::depthwise_correlation", _launch, mutates_args=())


@_operator.register_fake
def _(
    images: torch.Tensor, weights: torch.Tensor, rows: int, columns: int, direction: int, channels_last: bool
) -> torch.Tensor:
    return _empty_result(images, rows, columns, channels_last)
