"""How far a training step is from the ceilings of its device: a matrix product, a copy, and the calls of the host."""

import itertools
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from pysot.benchmarks.device_limits import copy_rate, matrix_product_rate
from pysot.benchmarks.job import Row
from pysot.benchmarks.synthetic import Batch
from pysot.benchmarks.train_step import describe_bottleneck
from pysot.engine.train_loop import Trainer
from pysot.utils.device import half_dtype, synchronize
from pysot.utils.meter import elapsed_ms

# By kind of device: rows of the matrices, MiB of the copy. Both are large enough for the highest speed.
_SIZES = {"cpu": (1024, 64)}
_SIZES_OF_A_CARD = (8192, 256)
_WITHOUT_TRAFFIC = ("empty", "_unsafe_view")  # parts of names of operators


@dataclass(frozen=True)
class Work:
    """Floating-point operations of a step, and the bytes that its operators read and write, each on its own."""

    operations: int
    bytes: int


@dataclass(frozen=True)
class Ceilings:
    """Work of a step, and what limits its time.

    `operation_rate` are the operations per second of a matrix product, `byte_rate` the bytes per second that a copy
    reads and writes. `host` are the seconds that the host needs for the calls of a step, `device` those that the device
    needs for what was called; both are None on a CPU.
    """

    work: Work
    operation_rate: float
    byte_rate: float
    host: float | None = None
    device: float | None = None

    @property
    def least_seconds(self) -> tuple[float, float]:
        """Return the seconds of a step at the speed of a matrix product, and those at the speed of a copy."""
        return self.work.operations / self.operation_rate, self.work.bytes / self.byte_rate

    def share(self, seconds: float) -> float:
        """Return the speed of a step of `seconds` as a part of that of a matrix product."""
        return self.least_seconds[0] / seconds

    def rows(self, seconds: float) -> list[Row]:
        """Return what was measured, for a step of `seconds`."""
        rows = [
            Row("arithmetic of a step", self.work.operations / 1e12, "TFLOP"),
            Row("speed of arithmetic", self.work.operations / seconds / 1e12, "TFLOP/s"),
            Row("matrix product", self.operation_rate / 1e12, "TFLOP/s"),
            Row("part of a matrix product", 100 * self.share(seconds), "%"),
            Row("least time by arithmetic", 1000 * self.least_seconds[0], "ms"),
            Row("copy on the device", self.byte_rate / 1e9, "GB/s"),
            Row("least time by copies", 1000 * self.least_seconds[1], "ms"),
        ]
        times = {"host, calls of a step": self.host, "device, a step": self.device}
        return rows + [Row(name, 1000 * value, "ms") for name, value in times.items() if value is not None]

    def describe(self, seconds: float, parts: dict[str, float]) -> str:
        """Return a sentence that names the bottleneck of a step of `seconds`, and how far it is from the ceilings.

        `parts` are the seconds of its parts, as for `describe_bottleneck`.
        """
        bottleneck = describe_bottleneck(parts)
        if self.host is not None and self.device is not None and not bottleneck.startswith("data-bound"):
            if self.host > self.device:
                kind, graph = "host", "" if "graph" in parts else "TRAIN.GRAPH auto or "
                advice = f"; use {graph}a larger TRAIN.BATCH_SIZE"
            else:
                kind, advice = "compute", ""
            bottleneck = (
                f"{kind}-bound: the host needs {1000 * self.host:.1f} ms for the calls of a step, the device "
                f"{1000 * self.device:.1f} ms{advice}"
            )
        share = self.share(seconds)
        by_arithmetic, by_copies = (1000 * value for value in self.least_seconds)
        arithmetic = (
            f"The arithmetic has {share:.0%} of the speed of a matrix product. At that speed it takes "
            f"{by_arithmetic:.1f} ms"
        )
        if share > 1:
            arithmetic = f"The arithmetic is {share:.2f} times as fast as a matrix product of torch, no ceiling here"
        return f"{bottleneck}. {arithmetic}; the tensors of all operators, at the speed of a copy, {by_copies:.1f} ms"


def measure_ceilings(trainer: Trainer, batches: Sequence[Batch], precision: str, work: Work, repeats: int) -> Ceilings:
    """Measure the ceilings of a trainer's device; `work` is from `count_work`."""
    device = trainer.device
    side, mib = _SIZES.get(device.type, _SIZES_OF_A_CARD)
    operation_rate = matrix_product_rate(device, precision, side)
    ceilings = Ceilings(work, operation_rate, copy_rate(device, mib))
    if device.type == "cpu":
        return ceilings
    host = host_seconds(trainer, batches, repeats)
    matrix = torch.ones(side, side, device=device, dtype=half_dtype(precision))
    products = math.ceil(2 * host / (2 * side**3 / operation_rate))
    milliseconds = []
    for batch in itertools.islice(itertools.cycle(batches), repeats):
        for _ in range(products):  # the device begins the step when all of it has been called
            torch.mm(matrix, matrix)
        milliseconds.append(elapsed_ms(device, lambda: trainer.step(batch)))  # noqa: B023 (called at once)
    return Ceilings(work, operation_rate, ceilings.byte_rate, host, statistics.median(milliseconds) / 1000)


def host_seconds(trainer: Trainer, batches: Sequence[Batch], repeats: int) -> float:
    """Return the median seconds until the host has called a step, from an idle device on."""
    spent = []
    for batch in itertools.islice(itertools.cycle(batches), repeats):
        synchronize(trainer.device)
        began = time.perf_counter()
        trainer.step(batch)
        spent.append(time.perf_counter() - began)
    synchronize(trainer.device)
    return statistics.median(spent)


def count_work(trainer: Trainer, batch: Batch) -> Work:
    """Count the work of a step of a trainer that has begun, operator by operator; the step itself is skipped.

    Call it before the first step: gradients get new memory. A Triton kernel does not count, the correlation has less
    than 1 % of the operations. Operations are those of convolutions and matrix products, two for a product and a sum.
    """
    step = trainer.train_step
    formulas: dict[Any, Any] = {torch.ops.aten.convolution_backward: _operations_of_gradients}
    if hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        formulas[torch.ops.mkldnn._convolution_pointwise] = _operations_of_packed
    counter, traffic = FlopCounterMode(display=False, custom_mapping=formulas), _Traffic(trainer.device)
    with torch.compiler.set_stance("force_eager"):
        # The first call also packs the weights of frozen stages on a CPU, and times the ways to correlate on a GPU.
        step.forward(trainer.to_device(batch))
        with counter, traffic:
            losses = step.forward(trainer.to_device(batch))
            step.backward(losses["total_loss"])
            step.update(torch.ones((), dtype=torch.bool, device=trainer.device))
    return Work(counter.get_total_flops(), traffic.bytes)


def _operations_of_gradients(
    gradient_shape: list[int], input_shape: list[int], weight_shape: list[int], *args: Any, **kwargs: Any
) -> int:
    """Return the operations of the gradients of a convolution. torch multiplies them by the number of groups."""
    wanted = args[7]
    return (wanted[0] + wanted[1]) * conv_flop_count(input_shape, weight_shape, gradient_shape)


def _operations_of_packed(input_shape: list[int], *args: Any, out_shape: list[int], **kwargs: Any) -> int:
    """Return the operations of a `PackedConv2d`; where it adds a tensor, that comes before the weight."""
    other_or_weight, weight_or_bias = args[:2]
    weight_shape = other_or_weight if weight_or_bias is None or len(weight_or_bias) == 1 else weight_or_bias
    return 2 * math.prod(out_shape) * math.prod(weight_shape[1:])


class _Traffic(TorchDispatchMode):
    """Counts the bytes of the tensors on `device` that operators read and write. Views and new memory are neither."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        returns = func._schema.returns
        is_view = any(each.alias_info is not None and not each.alias_info.is_write for each in returns)
        if not is_view and not any(word in func._schema.name for word in _WITHOUT_TRAFFIC):
            for leaf in tree_leaves((args, kwargs, result)):
                if isinstance(leaf, torch.Tensor) and leaf.device == self.device:
                    self.bytes += leaf.nbytes
        return result
