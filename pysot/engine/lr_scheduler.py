"""Learning rates, one per epoch: a schedule gives the nominal rate, and each parameter group scales with it.

Published recipe: five epochs of steps up, then logarithmic decay. Parity data: lr_schedules.json.
"""

from collections.abc import Sequence

import numpy as np
import torch

from pysot.utils.registry import lookup


def log_schedule(epochs: int, start_lr: float = 0.03, end_lr: float = 0.0005) -> np.ndarray:
    """Decay from start_lr to end_lr by a constant factor per epoch."""
    return np.logspace(np.log10(start_lr), np.log10(end_lr), epochs)


def step_schedule(
    epochs: int, start_lr: float | None = 0.01, end_lr: float | None = None, step: int = 10, mult: float = 0.1
) -> np.ndarray:
    """Multiply start_lr by `mult` after every `step` epochs.

    A given end_lr determines mult, so that the step after the last one would reach end_lr; if start_lr is None it
    determines start_lr instead.
    """
    if end_lr is not None:
        if start_lr is None:
            start_lr = end_lr / mult ** (epochs // step)
        else:
            mult = (end_lr / start_lr) ** (1.0 / max(1, epochs // step))
    if start_lr is None:
        raise TypeError("expected start_lr or end_lr, got neither")
    return start_lr * mult ** (np.arange(epochs) // step)


def multi_step_schedule(
    epochs: int,
    start_lr: float | None = 0.01,
    end_lr: float | None = None,
    steps: Sequence[int] = (10, 20, 30, 40),
    mult: float = 0.5,
) -> np.ndarray:
    """Multiply start_lr by `mult` at each epoch in `steps`.

    A given end_lr determines mult, or start_lr if that is None.
    """
    if end_lr is not None:
        if start_lr is None:
            start_lr = end_lr / mult ** len(steps)
        else:
            mult = (end_lr / start_lr) ** (1.0 / len(steps))
    if start_lr is None:
        raise TypeError("expected start_lr or end_lr, got neither")
    return start_lr * mult ** np.searchsorted(np.asarray(steps), np.arange(epochs), side="right").astype(float)


def linear_schedule(epochs: int, start_lr: float = 0.01, end_lr: float = 0.005) -> np.ndarray:
    """Change linearly from start_lr to end_lr."""
    return np.linspace(start_lr, end_lr, epochs)


def cosine_schedule(epochs: int, start_lr: float = 0.01, end_lr: float = 0.005) -> np.ndarray:
    """Follow half a cosine from start_lr to end_lr."""
    return end_lr + (start_lr - end_lr) * (1 + np.cos(np.linspace(0, np.pi, epochs))) / 2


SCHEDULES = {
    "log": log_schedule,
    "step": step_schedule,
    "multi-step": multi_step_schedule,
    "linear": linear_schedule,
    "cos": cosine_schedule,
}


def make_schedule(kind: str, epochs: int, kwargs: dict, *, key: str) -> np.ndarray:
    """Return the rates (epochs,) of the schedule `kind`; `key` is its config section.

    Raises ValueError for arguments that the schedule does not accept, and for rates that are not positive numbers.
    """
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
    """Nominal rates (E,) of all epochs; at the nominal rate `start_lr` each group has its base rate."""

    def __init__(self, rates: np.ndarray, start_lr: float):
        self.rates = rates
        self.start_lr = start_lr

    def group_lr(self, base_lr: float, epoch: int) -> float:
        """Return the rate in `epoch` of a group with base rate `base_lr`."""
        return base_lr * float(self.rates[epoch]) / self.start_lr

    def apply(self, optimizer: torch.optim.Optimizer, epoch: int) -> float:
        """Set the rates of all groups for `epoch` from their `base_lr`, and return the nominal rate."""
        for group in optimizer.param_groups:
            group["lr"] = self.group_lr(group["base_lr"], epoch)
        return float(self.rates[epoch])


def prepend_warmup(warmup: np.ndarray, main: np.ndarray) -> LRSchedule:
    """Return the schedule `warmup` followed by `main`.

    Groups have their base rate where `main` starts, so that a warm-up changes the scale, as published.
    """
    return LRSchedule(np.concatenate([warmup, main]), float(main[0]))
