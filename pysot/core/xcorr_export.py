"""Cross-correlations in the operators of exported graphs.

The depth-wise ones compute `xcorr_depthwise` of search features (B, C, H, W) and kernels (B, C, kh, kw), the others
`xcorr_up_channel`; results differ by rounding. A grouped convolution has the kernels as its weights, which TensorRT,
RKNN and ATC refuse, and its groups fix the batch. The other ways have no such limits.
"""

import functools
from collections.abc import Iterator

import torch

from pysot.core.xcorr import grouped_correlation, xcorr_up_channel
from pysot.core.xcorr_choice import Method


def _windows(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Return the windows (B, C, kh * kw, H', W') of search features: copied along one axis, then along the other."""
    rows, columns = kernel.shape[2:]
    height, width = search.shape[2] - rows + 1, search.shape[3] - columns + 1
    across = torch.stack([search[:, :, :, j : j + width] for j in range(columns)], 2)
    return torch.stack([across[:, :, :, i : i + height] for i in range(rows)], 2).flatten(2, 3)


def _shifted(search: torch.Tensor, kernel: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the parts (B, C, H', W') of search features that a cell of the kernel meets, cell by cell."""
    rows, columns = kernel.shape[2:]
    height, width = search.shape[2] - rows + 1, search.shape[3] - columns + 1
    for i in range(rows):
        row = search[:, :, i : i + height]
        yield from (row[:, :, :, j : j + width] for j in range(columns))


def depthwise_matmul(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Compute the depth-wise correlation as a batched matrix product of kernels and windows."""
    windows = _windows(search, kernel)
    product = torch.matmul(kernel.flatten(2).unsqueeze(2), windows.flatten(3))
    return product.squeeze(2).unflatten(-1, windows.shape[3:])


def depthwise_shift(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Compute the depth-wise correlation as a sum over the cells of the kernel: shifted features, times the cell."""
    cells = kernel.flatten(2).unsqueeze(-1).split(1, 2)
    products = (part * cell for part, cell in zip(_shifted(search, kernel), cells, strict=True))
    return functools.reduce(torch.add, products)


def up_channel_matmul(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Compute the up-channel correlation as a batched matrix product of kernels and windows."""
    windows = _windows(search, kernel)
    weight = kernel.unflatten(1, (-1, search.shape[1])).flatten(2)
    return torch.matmul(weight, windows.flatten(1, 2).flatten(2)).unflatten(-1, windows.shape[3:])


def up_channel_shift(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Compute the up-channel correlation as a sum over the cells of the kernel: the cell, times shifted features."""
    weight = kernel.unflatten(1, (-1, search.shape[1])).flatten(3)
    parts = list(_shifted(search, kernel))
    products = (torch.matmul(weight[..., cell], part.flatten(2)) for cell, part in enumerate(parts))
    return functools.reduce(torch.add, products).unflatten(-1, parts[0].shape[2:])


# Ways to correlate by name: depth-wise, and up-channel.
EXPORT_METHODS: dict[str, tuple[Method, Method]] = {
    "grouped": (grouped_correlation, xcorr_up_channel),
    "matmul": (depthwise_matmul, up_channel_matmul),
    "shift": (depthwise_shift, up_channel_shift),
}
