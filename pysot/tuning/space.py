"""The numbers of the TRACK section that a search tries, and their ranges."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

_DIGITS = 3  # of numbers that are no whole ones: the names of result folders have as many
_MOST = 100_000  # settings of a grid


@dataclass(frozen=True)
class Parameter:
    """A key of TRACK and its range: `low`, `high` and, unless it is None, the `step` of the grid.

    A range without a length and a step is one value. A grid has low, low + step and so on, below high. Raises
    ValueError for a range without a value.
    """

    key: str
    low: float
    high: float
    step: float | None
    is_whole: bool

    def __post_init__(self) -> None:
        numbers = [self.low, self.high, *([] if self.step is None else [self.step])]
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"{self.name}: expected finite numbers, got {numbers}")
        if self.low > self.high or (self.low == self.high and self.step is not None):
            raise ValueError(f"{self.name}: expected LOW below HIGH, got {self.low:g} and {self.high:g}")
        if self.step is not None and self.step < self.resolution:
            raise ValueError(f"{self.name}: expected a STEP of {self.resolution:g} or more, got {self.step:g}")
        if any(abs(round(number / self.resolution) * self.resolution - number) > 1e-9 for number in numbers):
            kind = "whole numbers" if self.is_whole else f"numbers of {_DIGITS} digits after the point"
            raise ValueError(f"{self.name}: expected {kind}, got {', '.join(map(str, numbers))}")

    @property
    def name(self) -> str:
        """Name in the study."""
        return f"TRACK.{self.key}"

    @property
    def resolution(self) -> float:
        """Smallest difference between two values."""
        return 1 if self.is_whole else 10**-_DIGITS

    def value(self, number: float) -> float:
        """Return a number of the study as that of the config."""
        return round(number) if self.is_whole else round(float(number), _DIGITS)

    def grid(self) -> list[float]:
        """Return the values of the grid. Raises ValueError without a step."""
        if self.low == self.high:
            return [self.value(self.low)]
        if self.step is None:
            raise ValueError(f"{self.name}: a grid needs the range LOW,HIGH,STEP; the step is missing")
        # pysot-compat: numpy.arange rounds, so that `high` itself may be a value: 0.35,0.5,0.05 has four.
        # test: tuning/test_space.py::test_the_default_grid_is_that_of_the_original
        return [self.value(number) for number in np.arange(self.low, self.high, self.step)]

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest value that may be drawn; whole numbers come in steps from low."""
        if not self.is_whole:
            return self.low, self.high
        step = round(self.step or 1)
        return round(self.low), round(self.low) + round(self.high - self.low) // step * step

    def distribution(self) -> BaseDistribution:
        """Return the values that are drawn from: those between both `ends`."""
        low, high = self.ends
        if self.is_whole:
            return IntDistribution(round(low), round(high), step=round(self.step or 1))
        return FloatDistribution(low, high, step=self.resolution)


def read_parameter(key: str, text: str, current: object) -> Parameter:
    """Return the parameter of a range LOW,HIGH, LOW,HIGH,STEP or VALUE for a key that has the value `current`.

    Raises ValueError for a key that is no number, and for another text.
    """
    if isinstance(current, bool) or not isinstance(current, int | float):
        raise ValueError(f"TRACK.{key}: expected a key with a number, its value is {current!r}")
    try:
        numbers = [float(part) for part in text.split(",")]
        if not 1 <= len(numbers) <= 3:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"TRACK.{key}: expected a range LOW,HIGH or LOW,HIGH,STEP, such as 0.05,0.5,0.05, or a value; got {text!r}"
        ) from None
    low, high = numbers[0], numbers[min(1, len(numbers) - 1)]
    step = numbers[2] if len(numbers) == 3 else None
    return Parameter(key, low, high, step, isinstance(current, int))


@dataclass(frozen=True)
class Space:
    """Parameters of a search."""

    parameters: tuple[Parameter, ...]

    def grid(self) -> list[dict[str, float]]:
        """Return all settings of the grid, by names in the study. Raises ValueError for too many."""
        axes = [parameter.grid() for parameter in self.parameters]
        count = math.prod(map(len, axes))
        if count > _MOST:
            raise ValueError(f"the grid has {count} settings, expected at most {_MOST}: take larger steps")
        names = [parameter.name for parameter in self.parameters]
        return [dict(zip(names, values, strict=True)) for values in itertools.product(*axes)]

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return what the study draws from, by name."""
        return {parameter.name: parameter.distribution() for parameter in self.parameters}

    def values(self, params: Mapping[str, float]) -> dict[str, float]:
        """Return the config values {TRACK key: number} of the numbers of a trial."""
        return {parameter.key: parameter.value(params[parameter.name]) for parameter in self.parameters}

    def describe(self) -> dict[str, list[float | None]]:
        """Return the ranges as plain values, to compare two spaces."""
        return {each.name: [each.low, each.high, each.step] for each in self.parameters}


def result_name(tracker: str, track: Mapping[str, float], others: Sequence[str] = ()) -> str:
    """Return the name of a setting's result folder, as hp_search.py of the original has it.

    `track` are the values of TRACK; those of the keys `others` come at the end.
    """
    name = (
        f"{tracker}_r{track['INSTANCE_SIZE']}_pk-{track['PENALTY_K']:.3f}_wi-{track['WINDOW_INFLUENCE']:.3f}"
        f"_lr-{track['LR']:.3f}"
    )
    return name + "".join(f"_{key.lower()}-{_text(track[key])}" for key in others)


def _text(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.3f}"
