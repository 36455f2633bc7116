"""Quantiles of latencies, without torch."""

import math

import numpy as np

_SHORTEST, _LONGEST = 1e-6, 1e4  # seconds
_BIN = math.log(1.01)  # each bin of latencies ends 1 % later than the one before


class LatencyMeter:
    """Quantiles of any number of latencies to 1 %, in constant memory; below 1 us and above 10^4 s they are cut off."""

    def __init__(self) -> None:
        self._counts = np.zeros(math.ceil(math.log(_LONGEST / _SHORTEST) / _BIN) + 1, np.int64)

    @property
    def count(self) -> int:
        """Number of latencies."""
        return int(self._counts.sum())

    def add(self, seconds: float) -> None:
        """Count a latency. Raises ValueError unless it is a number."""
        if math.isnan(seconds):
            raise ValueError("a latency is a number of seconds, got NaN")
        cut = min(max(seconds, _SHORTEST), _LONGEST)
        self._counts[round(math.log(cut / _SHORTEST) / _BIN)] += 1

    def quantile(self, part: float) -> float:
        """Return the latency in seconds that `part` in (0, 1] of all do not exceed; NaN without any."""
        if not 0 < part <= 1:
            raise ValueError(f"a quantile is of a part in (0, 1], got {part}")
        counts = self._counts.cumsum()
        if counts[-1] == 0:
            return math.nan
        return _SHORTEST * math.exp(_BIN * int(np.searchsorted(counts, math.ceil(part * counts[-1]))))
