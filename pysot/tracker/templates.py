"""The templates of a tracker: the state of its network, one row per slot."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pysot.tracker.network import Network, State


class Templates:
    """State of a network for `slots` targets.

    With `static`, the arrays stay where they are, and templates are computed one by one.
    """

    def __init__(self, network: Network, slots: int, static: bool) -> None:
        self.network, self.slots, self.static = network, slots, static
        self.state: State | None = None

    def put(self, slots: Sequence[int], crops: np.ndarray, is_first: bool) -> None:
        """Compute the templates of crops (K, H, H, 3) and store them in K slots.

        With `is_first`, the other slots are free: the model may then have moved to another device.
        """
        chunks = [[index] for index in range(len(slots))] if self.static else [list(range(len(slots)))]
        for chunk in chunks:
            state = self.network.template(crops[chunk])
            if self.slots == 1 and not self.static:
                self.state = state
                return
            if self.state is None or (is_first and not all(map(_fits, self.state, state))):
                self.state = [_empty_rows(part, self.slots) for part in state]
            for array, part in zip(self.state, state, strict=True):
                for row, index in enumerate(chunk):
                    array[slots[index]] = part[row]

    def rows(self, rows: Sequence[int]) -> State:
        """Return the state of some slots."""
        assert self.state is not None  # targets are active after a start only
        if len(rows) == self.slots:
            return self.state
        if len(rows) == 1:
            return [array[rows[0] : rows[0] + 1] for array in self.state]
        return [array[list(rows)] for array in self.state]


def _fits(array: Any, part: Any) -> bool:
    """Return whether rows of `part` can be stored in `array`."""
    same_kind = array.shape[1:] == part.shape[1:] and array.dtype == part.dtype
    return same_kind and getattr(array, "device", None) == getattr(part, "device", None)


def _empty_rows(array: Any, count: int) -> Any:
    """Return an array of zeros like `array` with `count` rows."""
    if isinstance(array, np.ndarray):
        return np.zeros((count, *array.shape[1:]), array.dtype)
    return array.new_zeros((count, *array.shape[1:]))
