"""A network that trackers with different settings share: equal crops of a frame are computed once.

A search crop depends on the template, on whole numbers of pixels (left, top and side of a square) and on its size, so
that trackers whose targets differ by less than a pixel have the same crop.
"""

import hashlib
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from pysot.tracker import frame_maths as maths
from pysot.tracker.crop_threads import CropThreads
from pysot.tracker.host_step import Grids, find_in_outputs
from pysot.tracker.network import Found, Group, Network, Outputs, State, Step, Timer
from pysot.tracker.settings import TrackSettings
from pysot.tuning.call_sizes import CallSizes, joined
from pysot.utils.image import cut_square, pixel_square

_MOST_STATIC = 64  # crops of a call of a static network, a power of two; the memory of a card bounds them
_PER_TARGET = ("penalty_k", "window_influence", "lr")  # settings that `find_targets` takes as one number per target


@dataclass(frozen=True, eq=False)
class Template:
    """State of a network for one template; trackers that have started on equal crops have the same one."""

    state: State


class Crop(NamedTuple):
    """What a search crop of the current frame depends on: its `square` is left, top, side in pixels of the frame."""

    template: Template
    square: tuple[int, int, int]
    fill: bytes
    size: int


@dataclass(frozen=True, eq=False)
class Search:
    """Search for the target (6,) of one tracker, see `frame_maths.find_targets`, in a crop."""

    crop: Crop
    image: np.ndarray
    colour: np.ndarray
    target: np.ndarray
    settings: TrackSettings


class SharedNetwork:
    """What trackers of one target are made around that share a network.

    Between two calls of `next_frame`, all of them search in the same frame. What a tracker finds equals what it finds
    alone: on a CPU to the last bit, on a card except for the rounding of batches. `sizes` are those of calls, where
    they matter.
    """

    def __init__(self, network: Network, sizes: CallSizes) -> None:
        self.network = network
        self.sizes = sizes
        self.grids = Grids(network)
        self.computed = 0  # crops that went through the network
        self.searched = 0  # crops that trackers have asked for
        self._templates: weakref.WeakValueDictionary[bytes, Template] = weakref.WeakValueDictionary()
        self._pending: list[Search] = []
        self._outputs: dict[Crop, Outputs] = {}
        self._found: dict[Search, Found] = {}

    @property
    def masks(self) -> bool:
        return self.network.masks

    def check_memory(self, count: int) -> None:
        self.network.check_memory(count)

    def make_step(self, slots: int, threads: CropThreads, last: Step | None) -> Step:
        return last if last is not None else SharedStep(self)

    def next_frame(self) -> None:
        """Forget the frame before."""
        self._pending.clear()
        self._outputs.clear()
        self._found.clear()

    def template(self, crops: np.ndarray) -> Template:
        """Return the template of a crop (1, H, H, 3); that of an equal crop which is still in use, if there is one."""
        key = hashlib.sha256(crops.tobytes()).digest() + str(crops.shape).encode()
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = Template(self.network.template(crops))
        return template

    def search(self, search: Search) -> Callable[[], Found]:
        """Return a function that returns what a search has found.

        Its first call computes all searches up to then.
        """
        self._pending.append(search)
        self.searched += 1

        def result() -> Found:
            if search not in self._found:
                self._compute()
            return self._found.pop(search)

        return result

    def _compute(self) -> None:
        """Compute the pending searches: the crops that are new, then in one go all searches that differ in numbers."""
        groups: dict[tuple[TrackSettings, int], list[Search]] = {}
        for search in self._pending:
            alike = replace(search.settings, penalty_k=0.0, window_influence=0.0, lr=0.0)
            groups.setdefault((alike, search.crop.size), []).append(search)
        self._pending.clear()
        for (settings, size), searches in groups.items():
            new = {each.crop: each for each in searches if each.crop not in self._outputs}
            self._outputs |= zip(new, self._track([*new.values()]), strict=True)
            self._decode(searches, settings, size)

    def _track(self, searches: Sequence[Search]) -> list[Outputs]:
        """Return the outputs of the network for the crops of searches, which have the same size.

        In a static network calls have up to _MOST_STATIC crops. Elsewhere they have the `sizes` that keep all digits,
        and for masks, whose features belong to a call, one crop.
        """
        crops = [cut_square(each.image, each.crop.square, each.crop.size, each.colour)[None] for each in searches]
        states = [each.crop.template.state for each in searches]
        self.computed += len(crops)
        if self.network.masks:
            return [self.network.track(state, crop) for state, crop in zip(states, crops, strict=True)]
        outputs: list[Outputs] = []
        while len(outputs) < len(crops):
            left = len(crops) - len(outputs)
            count, fill = left, 0
            if self.network.static:  # few sizes of calls occur, since each is compiled or measured anew
                count = min(left, _MOST_STATIC)
                fill = (1 << (count - 1).bit_length()) - count
            elif left > 1:
                count = next(size for size in self.sizes.get(self.network, searches[0].crop.size) if size <= left)
            chosen = [*range(len(outputs), len(outputs) + count), *[0] * fill]
            rows = [joined(list(parts)) for parts in zip(*(states[index] for index in chosen), strict=True)]
            cls, loc, _ = self.network.track(rows, np.concatenate([crops[index] for index in chosen]))
            outputs += [Outputs(cls[index : index + 1], loc[index : index + 1]) for index in range(count)]
        return outputs

    def _decode(self, searches: Sequence[Search], settings: TrackSettings, size: int) -> None:
        """Find the targets of searches whose settings are `settings` but for one number each of _PER_TARGET."""
        grid = self.grids.get(settings, size)
        # Masks have features that belong to one call of the network.
        for chosen in [[each] for each in searches] if self.network.masks else [searches]:
            numbers: dict[str, Any] = {
                name: self.network.array(np.array([[getattr(each.settings, name)] for each in chosen], np.float64))
                for name in _PER_TARGET
            }
            parts = [self._outputs[each.crop] for each in chosen]
            outputs = Outputs(
                joined([part.cls for part in parts]), joined([part.loc for part in parts]), parts[0].features
            )
            targets = np.array([each.target for each in chosen])
            found = find_in_outputs(self.network, outputs, grid, targets, replace(settings, **numbers), size)
            self._found |= {each: found.take([row]) for row, each in enumerate(chosen)}


class SharedStep:
    """Step of a tracker of one target around a `SharedNetwork`, see `Step`."""

    static = False
    overlaps = False

    def __init__(self, shared: SharedNetwork) -> None:
        self.shared = shared
        self.current: Template | None = None

    def start(self, slots: Sequence[int], crops: np.ndarray, is_first: bool) -> None:
        self.current = self.shared.template(crops)

    def search(self, group: Group, timer: Timer | None) -> Callable[[], Found]:
        assert self.current is not None  # a target starts first
        ((slot, image),) = group.images.items()
        target, colour, s = group.targets[slot], group.colours[slot], group.settings
        side = round(maths.search_sides(target[None, 2:], s, group.instance_size)[0])
        fill = np.asarray(colour).astype(image.dtype).tobytes()
        crop = Crop(self.current, pixel_square(target[:2], side), fill, group.instance_size)
        row = np.array([*target, image.shape[1], image.shape[0]], np.float64)
        return self.shared.search(Search(crop, image, colour, row, s))
