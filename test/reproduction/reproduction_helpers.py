"""Finished and unfinished runs without training: settings, records and measured values."""

import math

from pysot.reproduction.claim import SPEED, Claim
from pysot.reproduction.folder import RunRecord
from pysot.reproduction.inputs import SAME, Row
from pysot.reproduction.scores import Measured, Score, Speed
from pysot.reproduction.settings import Settings

MACHINE = {"versions": {"torch": "2", "numpy": "2", "opencv": "5"}, "system": {"processor": "one"}, "devices": []}


def settings_of(claim: Claim, device: str = "", seeds=(1,), is_small: bool = False) -> Settings:
    return Settings(claim.name, device or claim.device or "cpu", seeds, claim.devices, claim.batch, is_small)


def record_of(claim: Claim, *rows: Row, **values) -> RunRecord:
    """Return the record of a run whose inputs are the same but for `rows`; `values` are of its settings."""
    inputs = [Row("code", "as here", "unchanged", SAME), *rows]
    return RunRecord(settings_of(claim, **values), "2030-01-01 00:00:00", MACHINE, "0" * 40, [], inputs)


def measured_of(claim: Claim, change: float = 0.0, seeds=(1,), speed: float | None = None, tuned=None) -> Measured:
    """Return the published values plus `change`; of other epochs, 0.01 more or less by turns."""
    scores = []
    for figure in claim.figures:
        first, last = claim.epochs or (figure.epoch, figure.epoch)
        for epoch in range(first, last + 1) if figure.benchmark else ():
            value = figure.value + (change if epoch == figure.epoch else 0.01 * (-1) ** epoch)
            scores += [Score(figure.measure, value, figure.benchmark, epoch, seed) for seed in seeds]
    published = [figure.value for figure in claim.figures if figure.measure == SPEED]
    mean = speed if speed is not None else (published or [math.nan])[0]
    speeds = [Speed(seed, mean, 2.0, f"logs/train_seed_{seed}.log") for seed in seeds if published]
    # one value of each measure, epoch and seed: figures of two epochs give the other epochs twice
    unique = {(score.measure, score.epoch, score.seed): score for score in reversed(scores)}
    return Measured(tuple(unique.values()), tuple(speeds), tuned)
