"""Quantiles of latencies."""

import math

import numpy as np
import pytest

from pysot.utils.latency import LatencyMeter


def test_latencies_that_are_none():
    meter = LatencyMeter()
    assert math.isnan(meter.quantile(0.5)) and meter.count == 0
    with pytest.raises(ValueError, match="NaN"):
        meter.add(math.nan)
    for part in (0, -1, 1.1, math.nan):
        with pytest.raises(ValueError, match="part in"):
            meter.quantile(part)


def test_latencies_outside_the_scale_are_cut_off():
    meter = LatencyMeter()
    for seconds in (-1, 0, math.inf):
        meter.add(seconds)
    assert meter.quantile(0.5) == pytest.approx(1e-6) and meter.quantile(1) == pytest.approx(1e4, rel=0.01)


def test_quantiles_are_right_to_one_percent():
    seconds = np.random.default_rng(0).lognormal(-4, 1, 5001)
    meter = LatencyMeter()
    for value in seconds:
        meter.add(float(value))
    for part in (0.01, 0.5, 0.95, 1):
        assert meter.quantile(part) == pytest.approx(np.quantile(seconds, part, method="inverted_cdf"), rel=0.006)
    assert meter.count == 5001
