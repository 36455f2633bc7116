"""Named tensors in one buffer, which is sent, pinned and copied as one."""

import math
from collections.abc import Callable, ItemsView, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch

ALIGNMENT = 256  # bytes; a device reads and writes aligned memory fastest


@dataclass(frozen=True)
class Field:
    """Place of a tensor in a buffer; `start` is its first byte."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    start: int

    @property
    def size(self) -> int:
        """Number of bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class Layout:
    """Places of named tensors in a buffer of `size` bytes. Layouts with equal names, shapes and types are equal."""

    def __init__(self, shapes: Mapping[str, tuple[tuple[int, ...], torch.dtype]]) -> None:
        self.fields: dict[str, Field] = {}
        self.size = 0
        for name, (shape, dtype) in shapes.items():
            self.fields[name] = field = Field(tuple(shape), dtype, self.size)
            self.size += -(-field.size // ALIGNMENT) * ALIGNMENT

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and list(self.fields.items()) == list(other.fields.items())

    def __hash__(self) -> int:
        return hash(tuple(self.fields.items()))

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {field.shape} {field.dtype}" for name, field in self.fields.items())
        return f"Layout({shapes})"


class PackedTensors:
    """Tensors by name, as views of `buffer`, which is uint8 with one dimension and the size of `layout`.

    They are read as from a dict; a write to one of them is a write to the buffer.
    """

    def __init__(self, buffer: torch.Tensor, layout: Layout) -> None:
        if buffer.dtype != torch.uint8 or buffer.shape != (layout.size,):
            raise ValueError(
                f"expected a buffer of {layout.size} uint8 values, got {buffer.dtype} {tuple(buffer.shape)}: make it "
                "of the size of its layout"
            )
        self.buffer = buffer
        self.layout = layout
        self._views: dict[str, torch.Tensor] | None = None

    @property
    def views(self) -> dict[str, torch.Tensor]:
        """The tensors; a process that only passes the buffer on doesn't make them."""
        if self._views is None:
            self._views = {
                name: self.buffer[field.start : field.start + field.size].view(field.dtype).view(field.shape)
                for name, field in self.layout.fields.items()
            }
        return self._views

    def __reduce__(self) -> tuple[Callable[..., "PackedTensors"], tuple]:
        return PackedTensors, (self.buffer, self.layout)

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.fields)

    def get(self, name: str, default: torch.Tensor | None = None) -> torch.Tensor | None:
        """Return a tensor, or `default` if there is none of that name."""
        return self.views.get(name, default)

    def items(self) -> ItemsView[str, torch.Tensor]:
        """Return the names and the tensors."""
        return self.views.items()

    def pin_memory(self) -> "PackedTensors":
        """Return the same in pinned memory. The thread of torch's loader calls it."""
        return PackedTensors(self.buffer.pin_memory(), self.layout)

    def to(self, device: torch.device, non_blocking: bool = False) -> "PackedTensors":
        """Return the same on a device, in one copy."""
        return PackedTensors(self.buffer.to(device, non_blocking=non_blocking), self.layout)


# What the training loop passes on: from the loader PackedTensors, from memory also a dict.
Batch = TypeVar("Batch", dict[str, torch.Tensor], PackedTensors)
