"""Benchmark of the ways to correlate."""

import torch

from pysot.benchmarks import xcorr
from pysot.core.xcorr import grouped_correlation


def test_all_ways_to_correlate_get_the_same_tensors(monkeypatch):
    seen = []

    def correlate(search, kernel):
        seen.append((search, kernel))
        return grouped_correlation(search, kernel)

    monkeypatch.setattr(xcorr, "methods_on", lambda device: {"grouped convolution": correlate, "other": correlate})
    times = xcorr.correlation_times(
        torch.device("cpu"), "bf16", repeats=1, channels_last=True, compiled=False, size=(2, 4)
    )
    assert set(times) == {"grouped convolution", "other"} and all(
        seconds > 0 for pair in times.values() for seconds in pair
    )
    assert len(seen) == 4 and all(search is seen[0][0] and kernel is seen[0][1] for search, kernel in seen)
    assert {tensor.dtype for tensor in seen[0]} == {torch.bfloat16} and all(
        tensor.is_contiguous(memory_format=torch.channels_last) for tensor in seen[0]
    )
