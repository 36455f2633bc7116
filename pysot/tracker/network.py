"""The interface by which trackers use a network, whatever computes it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pysot.tracker.frame_maths import Array

# The templates of N targets: arrays with one row per target.
State = Sequence[Array]


class Network(Protocol):
    """Network of a tracker. It has no template of its own, so that trackers and threads may share it.

    Crops are uint8 (N, H, H, 3) BGR.
    """

    @property
    def static(self) -> bool:
        """True if calls should always have the same number of crops; otherwise calls with fewer crops are faster."""

    def template(self, crops: np.ndarray) -> State:
        """Return the state of N templates."""

    def track(self, state: State, crops: np.ndarray) -> tuple[Array, Array]:
        """Return cls (N, 2A, S, S) and loc (N, 4A, S, S) of N search crops, arrays for the maths of the frame."""

    def array(self, values: np.ndarray) -> Array:
        """Return float64 values in the type of the maths, where it is computed."""

    def host(self, values: Array) -> np.ndarray:
        """Return a result of the maths as float64 of NumPy."""

    def check_memory(self, count: int) -> None:
        """Raise MemoryError with numbers if `count` targets need more memory than is free."""
