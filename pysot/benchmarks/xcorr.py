"""Benchmark of the ways to compute the depth-wise correlation."""

import statistics

import torch

from pysot.benchmarks.job import Job, Result, Row
from pysot.core.xcorr import grouped_correlation, methods_on, shifted_products
from pysot.engine.engine_builder import wants_channels_last
from pysot.tracker.compiled import can_compile
from pysot.utils.device import half_dtype
from pysot.utils.meter import elapsed_ms


def correlation_times(
    device: torch.device,
    precision: str,
    repeats: int,
    channels_last: bool = False,
    compiled: bool = True,
    size: tuple[int, int] = (28, 256),
) -> dict[str, tuple[float, float]]:
    """Return the median seconds of forward and backward of each way to correlate that a device can use (`methods_on`).

    With `compiled`, compiled shifted products are added where torch can compile. `size` is pairs and channels. A
    template of 5 x 5 cells is correlated with 29 x 29, as in training the ResNet-50 network. All get the same tensors,
    in the data type and memory layout of a training run in that precision.
    """
    layout = torch.channels_last if channels_last else torch.contiguous_format
    inputs = [
        torch.randn(*size, side, side, device=device, dtype=half_dtype(precision)).contiguous(memory_format=layout)
        for side in (29, 5)
    ]
    search, kernel = (tensor.requires_grad_() for tensor in inputs)
    gradient = torch.ones_like(grouped_correlation(search, kernel))
    ways = methods_on(device)
    if compiled and can_compile(device.type):
        ways["shifted products, compiled"] = torch.compile(shifted_products)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, correlate in ways.items():
            out: list[torch.Tensor] = []
            forward = elapsed_ms(device, lambda: out.append(correlate(search, kernel)))  # noqa: B023 (called at once)
            backward = elapsed_ms(device, lambda: torch.autograd.grad(out[0], (search, kernel), gradient))  # noqa: B023
            if turn > 0:  # the first round is a warm-up
                spent[name].append((forward / 1000, backward / 1000))
    medians = {}
    for name, times in spent.items():
        forwards, backwards = zip(*times, strict=True)
        medians[name] = (statistics.median(forwards), statistics.median(backwards))
    return medians


def xcorr(job: Job) -> Result:
    """Measure the ways to correlate.

    The ratio is the time of the grouped convolution over that of the way, forward and backward together.
    """
    channels_last = wants_channels_last(job.case.cfg, job.device)
    times = correlation_times(job.device, job.case.precision, job.repeats, channels_last)
    totals = {way: forward + backward for way, (forward, backward) in times.items()}
    rows = []
    for way, (forward, backward) in times.items():
        rows += [
            Row(way, 1000 * (forward + backward), "ms", totals["grouped convolution"] / totals[way]),
            Row(f"{way}, forward", 1000 * forward, "ms"),
            Row(f"{way}, backward", 1000 * backward, "ms"),
        ]
    return rows, f"the fastest: {min(totals, key=totals.__getitem__)}"
