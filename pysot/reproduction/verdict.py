"""Compare a measured value with a published one, in units of a spread that is stated."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pysot.reproduction.claim import Figure, Seeds

REPRODUCED, HIGHER, LOWER = "reproduced", "higher", "lower"
NO_SPREAD = "no spread is recorded"
_SPREADS = 2.0  # standard deviations over epochs that a value may differ by
# 97.5 % quantiles of Student's t by degrees of freedom: a value lies within +- t with 95 %.
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True)
class Judgement:
    """The verdict on a figure, and the largest difference that counts as reproduced (NaN without a spread)."""

    verdict: str
    limit: float = math.nan


def deviation(values: Sequence[float]) -> float:
    """Return the sample standard deviation; NaN of fewer than two values, or if one is NaN."""
    if len(values) < 2 or any(map(math.isnan, values)):
        return math.nan
    return statistics.stdev(values)


def judge_by_epochs(figure: Figure, measured: float, over_epochs: Sequence[float]) -> Judgement:
    """Judge a value by the standard deviation of its measure over the epochs of the same training run."""
    return _judge(measured - figure.value, _SPREADS * deviation(over_epochs))


def judge_by_seeds(seeds: Seeds, measured: Sequence[float]) -> Judgement:
    """Judge the mean of new runs by the recorded runs of other seeds.

    The limit is that of the 95 % prediction interval: t * s * sqrt(1/k + 1/n) for n recorded and k new runs.
    """
    limit = _T[seeds.runs - 1] * seeds.deviation * math.sqrt(1 / len(measured) + 1 / seeds.runs)
    return _judge(statistics.fmean(measured) - seeds.mean, limit)


def judge_speed(figure: Figure, measured: float, spread: float) -> Judgement:
    """Judge a speed by the spread over the steps of its own training run."""
    return _judge(measured - figure.value, _SPREADS * spread)


def judge_without_spread(figure: Figure, measured: float) -> Judgement:
    """Judge a value by the published digits: equal after rounding, or not."""
    step = 10.0**-figure.decimals
    difference = round(measured, figure.decimals) - figure.value
    if math.isnan(measured) or abs(difference) < step / 2:
        return Judgement("not measured" if math.isnan(measured) else REPRODUCED)
    return Judgement(f"{HIGHER if difference > 0 else LOWER}; {NO_SPREAD}")


def _judge(difference: float, limit: float) -> Judgement:
    if math.isnan(difference):
        return Judgement("not measured")
    if math.isnan(limit):
        return Judgement(NO_SPREAD)
    if abs(difference) <= limit + 1e-9:
        return Judgement(REPRODUCED, limit)
    return Judgement(HIGHER if difference > 0 else LOWER, limit)
