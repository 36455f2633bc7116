"""Learning rates, one per epoch: a schedule gives the nominal rate, and every parameter group follows it in proportion.

Published recipe: five epochs of steps up, then logarithmic down. parity: lr_schedules.json.
"""

from collections.abc import Sequence

import numpy as np
import torch

from pysot.utils.registry import lookup


def log_schedule(epochs: int, start_lr: float = 0.03, end_lr: float = 0.0005) -> np.ndarray:
    """From start_lr to end_lr, each a constant factor of the last."""
    return np.logspace(np.log10(start_lr), np.log10(end_lr), epochs)


def step_schedule(
    epochs: int, start_lr: float | None = 0.01, end_lr: float | None = None, step: int = 10, mult: float = 0.1
) -> np.ndarray:
    """start_lr, times `mult` after every `step` epochs; end_lr, if given, fixes mult so that the step after the last would reach it."""
    if end_lr is not None:
        if start_lr is None:
            start_lr = end_lr / mult ** (epochs // step)
        else:
            mult = (end_lr / start_lr) ** (1.0 / max(1, epochs // step))
    return start_lr * mult ** (np.arange(epochs) // step)


def multi_step_schedule(
    epochs: int,
    start_lr: float | None = 0.01,
    end_lr: float | None = None,
    steps: Sequence[int] = (10, 20, 30, 40),
    mult: float = 0.5,
) -> np.ndarray:
    """start_lr, times `mult` at each epoch in `steps`; end_lr, if given, fixes mult (or start_lr where that is None)."""
    if end_lr is not None:
        if start_lr is None:
            start_lr = end_lr / mult ** len(steps)
        else:
            mult = (end_lr / start_lr) ** (1.0 / len(steps))
    return start_lr * mult ** np.searchsorted(np.asarray(steps), np.arange(epochs), side="right").astype(float)


def linear_schedule(epochs: int, start_lr: float = 0.01, end_lr: float = 0.005) -> np.ndarray:
    """A straight line from start_lr to end_lr."""
    return np.linspace(start_lr, end_lr, epochs)


def cosine_schedule(epochs: int, start_lr: float = 0.01, end_lr: float = 0.005) -> np.ndarray:
    """Half a cosine from start_lr to end_lr."""
    return end_lr + (start_lr - end_lr) * (1 + np.cos(np.linspace(0, np.pi, epochs))) / 2


SCHEDULES = {
    "log": log_schedule,
    "step": step_schedule,
    "multi-step": multi_step_schedule,
    "linear": linear_schedule,
    "cos": cosine_schedule,
}


def make_schedule(kind: str, epochs: int, kwargs: dict, *, key: str) -> np.ndarray:
    """Rates (epochs,) of the schedule `kind`; `key` is the config section. Raises ValueError for arguments that it does not take or rates that are no
    positive numbers."""
    make = lookup(SCHEDULES, kind, key=f"{key}.TYPE")
    try:
        with np.errstate(divide="raise", invalid="raise"):
            rates = np.asarray(make(epochs, **kwargs), dtype=np.float64)
    except (TypeError, ArithmeticError) as error:
        raise ValueError(f"{key}.KWARGS {dict(kwargs)} does not fit {key}.TYPE {kind!r}: {error}") from None
    if not (np.isfinite(rates).all() and (rates > 0).all()):
        raise ValueError(f"{key}.KWARGS {dict(kwargs)}: expected learning rates above 0, got {rates.tolist()}")
    return rates


class LRSchedule:
    """Nominal rates (E,) of all epochs, and `start_lr`, at which groups have their own base rate."""

    def __init__(self, rates: np.ndarray, start_lr: float):
        self.rates, self.start_lr = rates, start_lr

    def group_lr(self, base_lr: float, epoch: int) -> float:
        """The rate of a group with `base_lr` in `epoch`."""
        return base_lr * float(self.rates[epoch]) / self.start_lr

    def apply(self, optimizer: torch.optim.Optimizer, epoch: int) -> float:
        """Set the rates of all groups (each has its `base_lr`) for `epoch`; returns the nominal rate."""
        for group in optimizer.param_groups:
            group["lr"] = self.group_lr(group["base_lr"], epoch)
        return float(self.rates[epoch])


def warm_up(first: np.ndarray, then: np.ndarray) -> LRSchedule:
    """`first`, followed by `then`. Groups have their base rate where `then` starts: a warm-up changes the scale, as published."""
    return LRSchedule(np.concatenate([first, then]), float(then[0]))
