"""Verdicts: differences in units of a stated spread."""

import math

import pytest

from pysot.reproduction.claim import SPEED, Figure, Seeds
from pysot.reproduction.verdict import (
    deviation,
    judge_by_epochs,
    judge_by_seeds,
    judge_speed,
    judge_without_spread,
)

EAO = Figure("EAO", 0.431, "VOT2016", 19)
NAN = math.nan


@pytest.mark.parametrize(
    ("values", "expected"), [([], NAN), ([1.0], NAN), ([1.0, NAN], NAN), ([1.0, 3.0], math.sqrt(2))]
)
def test_deviation(values, expected):
    assert deviation(values) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [(NAN, "not measured"), (0.451, "reproduced"), (0.411, "reproduced"), (0.4511, "higher"), (0.4109, "lower")],
)
def test_by_epochs(measured, verdict):
    epochs = [0.42, 0.44, 0.42, 0.44, 0.43]  # a standard deviation of 0.01
    judgement = judge_by_epochs(EAO, measured, epochs)
    assert judgement.verdict == verdict and judgement.limit == pytest.approx(
        NAN if measured != measured else 0.02, nan_ok=True
    )


def test_one_epoch_has_no_spread():
    assert judge_by_epochs(EAO, 0.431, [0.431]).verdict == "no spread is recorded"


def test_by_seeds():
    seeds = Seeds(0.4, 0.01, 5)
    limit = 2.776 * 0.01 * math.sqrt(1.2)
    assert judge_by_seeds(seeds, [0.4]).limit == pytest.approx(limit)
    for value, verdict in ((limit - 1e-4, "reproduced"), (limit + 1e-4, "higher"), (-limit - 1e-4, "lower")):
        assert judge_by_seeds(seeds, [0.4 + value]).verdict == verdict
    assert judge_by_seeds(seeds, [0.39, 0.41]).limit == pytest.approx(2.776 * 0.01 * math.sqrt(0.7))
    assert judge_by_seeds(seeds, [NAN]).verdict == "not measured"


def test_without_spread():
    figure = Figure("EAO", 0.464, "VOT2016")
    verdicts = [judge_without_spread(figure, value).verdict for value in (0.46449, 0.4651, 0.4629, NAN)]
    assert verdicts == ["reproduced", "higher; no spread is recorded", "lower; no spread is recorded", "not measured"]


def test_speed():
    figure = Figure(SPEED, 280.1, decimals=1)
    assert [judge_speed(figure, value, 5.0).verdict for value in (271.0, 270.0, 290.2)] == [
        "reproduced",
        "lower",
        "higher",
    ]
