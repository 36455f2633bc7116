"""The interfaces by which trackers use a network, whatever computes it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from pysot.tracker.crop_threads import CropThreads
from pysot.tracker.frame_maths import Array
from pysot.tracker.settings import TrackSettings

# The templates of N targets: arrays with one row per target.
State = Sequence[Array]
# timer("crop" | "network" | "decode") returns a context for a part of a step.
Timer = Callable[[str], AbstractContextManager]


def untimed(part: str) -> AbstractContextManager:
    """Time nothing: the timer where none is set."""
    return nullcontext()


class Outputs(NamedTuple):
    """Outputs of a network for N search crops: cls (N, 2A, S, S), loc (N, 4A, S, S), and what it refines masks from.

    The arrays are those of the maths of a frame; `features` are None in a network without masks.
    """

    cls: Array
    loc: Array
    features: Any = None


class Found(NamedTuple):
    """Result of a search for K targets: rows (K, 5) of `frame_maths.find_targets`, and their masks, if any.

    A mask is probabilities (P, P) float32 and the part of the frame that it covers, xywh.
    """

    rows: np.ndarray
    masks: np.ndarray | None = None
    squares: np.ndarray | None = None

    def take(self, targets: Sequence[int]) -> "Found":
        """Return the result of some of the targets."""
        return Found(*(None if values is None else values[targets] for values in self))  # type: ignore[arg-type]


class StepSource(Protocol):
    """What a tracker is made around."""

    @property
    def masks(self) -> bool:
        """True if targets get masks."""

    def check_memory(self, count: int) -> None:
        """Raise MemoryError with numbers if `count` targets need more memory than is free."""

    def make_step(self, slots: int, threads: CropThreads, last: "Step | None") -> "Step":
        """Return the step that a tracker with `slots` places computes: its `last` one, unless the network has moved."""


class Network(StepSource, Protocol):
    """Network of a tracker. It has no template of its own, so that trackers and threads may share it.

    Crops are uint8 (N, H, H, 3) BGR.
    """

    @property
    def static(self) -> bool:
        """True if calls should always have the same number of crops; otherwise calls with fewer crops are faster."""

    def template(self, crops: np.ndarray) -> State:
        """Return the state of N templates."""

    def track(self, state: State, crops: np.ndarray) -> Outputs:
        """Return the outputs for N search crops."""

    def refine(self, features: Any, cells: Array) -> Array:
        """Return masks (N, P, P) float32 of the targets that were found in cells (N, 2) row, column."""

    def array(self, values: np.ndarray) -> Array:
        """Return float64 values in the type of the maths, where it is computed."""

    def host(self, values: Array) -> np.ndarray:
        """Return a result of the maths as float64 of NumPy."""


@dataclass(frozen=True)
class Group:
    """Targets to search in crops of one size.

    `images` are BGR frames by slot; `targets` (slots, 4) centre and size, and `colours` (slots, 3) for pixels outside
    the frame, have a row per slot. With `follows`, the targets are instead those that the step before has found.
    """

    settings: TrackSettings
    instance_size: int
    images: dict[int, np.ndarray]
    targets: np.ndarray
    colours: np.ndarray
    follows: bool = False


class Step(Protocol):
    """What a tracker computes in each frame, with the templates of its targets.

    With `static`, lost targets come in groups of one. With `overlaps`, a search may start before the result of the one
    before is asked for.
    """

    @property
    def static(self) -> bool:
        """See `Network.static`."""

    @property
    def overlaps(self) -> bool:
        """Return whether a group may follow a search whose result is not known yet."""

    def start(self, slots: Sequence[int], crops: np.ndarray, is_first: bool) -> None:
        """Store the templates of crops, one per slot; with `is_first`, all other slots are free."""

    def search(self, group: Group, timer: Timer | None) -> Callable[[], Found]:
        """Start to search a group; return a function that waits for the result.

        Its rows are in the order of `group.images`. Frames may change after this call.
        """
