"""Learning rates per group and epoch against those of the original."""

import numpy as np
import pytest

from helpers import experiment, parity_json, tiny_config
from pysot.core.config import load_config
from pysot.engine.engine_builder import build_lr_schedule
from pysot.engine.lr_scheduler import make_schedule

PARITY = parity_json("lr_schedules.json")


@pytest.mark.parametrize("name", sorted(PARITY))
def test_parity(name):
    config = load_config(experiment(name))
    schedule = build_lr_schedule(config)
    base_rates = [config.TRAIN.BASE_LR * factor for factor in (config.BACKBONE.LAYERS_LR, 1, 1)]
    got = [
        [*(schedule.group_lr(lr, epoch) for lr in base_rates), schedule.rates[epoch]]
        for epoch in range(len(schedule.rates))
    ]
    np.testing.assert_allclose(got, PARITY[name], rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "kwargs", "expected"),
    [
        ("step", {"start_lr": 1.0, "step": 2, "mult": 0.5}, [1, 1, 0.5, 0.5]),
        ("step", {"start_lr": None, "end_lr": 1.0, "step": 2, "mult": 0.5}, [4, 4, 2, 2]),
        ("multi-step", {"start_lr": 1.0, "steps": [1, 3], "mult": 0.1}, [1, 0.1, 0.1, 0.01]),
        ("multi-step", {"start_lr": 1.0, "end_lr": 0.25, "steps": [1, 3]}, [1, 0.5, 0.5, 0.25]),
        ("multi-step", {"start_lr": None, "end_lr": 0.25, "steps": [1, 3], "mult": 0.5}, [1, 0.5, 0.5, 0.25]),
        ("linear", {"start_lr": 4.0, "end_lr": 1.0}, [4, 3, 2, 1]),
        ("cos", {"start_lr": 3.0, "end_lr": 1.0}, [3, 2.5, 1.5, 1]),
        ("log", {"start_lr": 1.0, "end_lr": 0.001}, [1, 0.1, 0.01, 0.001]),
    ],
)
def test_schedules(kind, kwargs, expected):
    np.testing.assert_allclose(make_schedule(kind, 4, kwargs, key="TRAIN.LR"), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "kwargs", "words"),
    [
        ("logarithmic", {}, "TRAIN.LR.TYPE.*known: cos, linear"),
        ("log", {"step": 3}, "TRAIN.LR.KWARGS.*'log'.*step"),
        ("log", {"start_lr": 0}, "TRAIN.LR.KWARGS"),
        ("linear", {"end_lr": -1}, "above 0"),
        ("step", {"step": 0}, "TRAIN.LR.KWARGS"),
    ],
)
def test_schedules_that_do_not_fit(kind, kwargs, words):
    with pytest.raises(ValueError, match=words), np.errstate(all="ignore"):
        make_schedule(kind, 4, kwargs, key="TRAIN.LR")


def test_without_a_warm_up():
    schedule = build_lr_schedule(tiny_config("TRAIN.LR_WARMUP.WARMUP", "false"))
    assert len(schedule.rates) == tiny_config().TRAIN.EPOCH and schedule.group_lr(1.0, 0) == 1.0
