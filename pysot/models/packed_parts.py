"""Batches through a folded copy on a CPU: packed convolutions, and a part of the batch at a time.

The activations of many crops do not fit into the cache. Measurements are in test/benchmarks/README.md.
"""

from typing import Any

import torch
from torch import fx

from pysot.models.packed_convolution import packed_copy

_PART_BYTES = 4 * 2 * 3 * 255 * 255  # of the input of a part: two search crops in float32
_SIZES = 2  # a template and a search crop


class PackedParts:
    """Calls of a traced module with (B, C, H, W); the result is a tensor or a list of tensors, (B, ...).

    Convolutions are packed at the first call with a size, for the first two sizes. Calls with another size, with NaN or
    infinity (see `packed_copy`), those that need a gradient and those that torch.compile traces are left to the module.
    """

    def __init__(self, module: fx.GraphModule):
        self.module = module
        self.packed: dict[torch.Size, fx.GraphModule] = {}

    def __call__(self, x: torch.Tensor) -> Any:
        if torch.compiler.is_compiling() or x.requires_grad or not x.isfinite().all():
            return self.module(x)
        size = x.shape[1:]
        if size not in self.packed and len(self.packed) < _SIZES:
            self.packed[size] = packed_copy(self.module, x[:1])
        packed = self.packed.get(size, self.module)
        parts = x.split(max(1, _PART_BYTES // x[0].nbytes))
        outputs = [packed(part) for part in parts]
        if len(parts) == 1:
            return outputs[0]
        if isinstance(outputs[0], torch.Tensor):
            return torch.cat(outputs)
        return [torch.cat(level) for level in zip(*outputs, strict=True)]
