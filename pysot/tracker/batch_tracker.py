"""Tracker of N targets in lockstep: one call of the network per frame for all of them."""

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from pysot.tracker import frame_maths as maths
from pysot.tracker.network import Network, State
from pysot.tracker.settings import TrackSettings
from pysot.utils.bbox import check_box
from pysot.utils.image import as_bgr, crop_square, mean_colour

_MAX_CROP_THREADS = 8
_NON_FINITE = "the network returned NaN or infinity: its weights contain NaN or infinity, load another snapshot"


class BatchTracker:
    """Tracker with `slots` places for targets, which start and end at any step.

    Frames are uint8, BGR or grey, of any size, the same for several targets or different ones; boxes are xywh in
    pixels. Results do not depend on the other slots, except for rounding.

    `settings` may be a function that returns the current settings; it is called at every step. With `long_term`, at low
    confidence a target counts as lost: its box stays, and a larger crop is searched. `failures` are the errors of the
    targets that failed in the last `track`, by slot; their slots are free. timer("crop" | "network" | "decode") returns
    a context for each part of a step.

    Raises MemoryError if so many targets need more memory than there is.
    """

    def __init__(
        self,
        network: Network,
        settings: TrackSettings | Callable[[], TrackSettings],
        slots: int = 1,
        long_term: bool = False,
    ):
        if slots < 1:
            raise ValueError(f"a batch tracker needs 1 slot or more, got {slots}")
        self.network = network
        self.slots = slots
        self.long_term = long_term
        self.failures: dict[int, Exception] = {}
        self.timer: Callable[[str], Any] = lambda part: contextlib.nullcontext()
        self._settings: Callable[[], TrackSettings] = settings if callable(settings) else lambda: settings
        if slots > 1:
            network.check_memory(slots)
        self.active = np.zeros(slots, bool)
        self.lost = np.zeros(slots, bool)
        self.targets = np.ones((slots, 4))  # centre and size; those of free slots only have to be valid numbers
        self.averages = np.zeros((slots, 3))  # colours of the frames that the targets started on
        self._state: State | None = None
        self._grids: dict[tuple, maths.Grid] = {}
        self._threads = ThreadPoolExecutor(min(slots, os.cpu_count() or 1, _MAX_CROP_THREADS)) if slots > 1 else None

    @property
    def settings(self) -> TrackSettings:
        """Current settings."""
        return self._settings()

    def start(self, slots: Sequence[int], frames: Sequence[np.ndarray], boxes_xywh: Any) -> None:
        """Start targets in `slots` on boxes (K, 4) in K frames; a target that is in a slot ends.

        Raises ValueError or IndexError that names the slot for a slot that does not exist or comes twice, an invalid
        frame, and an invalid box; then no target is started.
        """
        self._check_slots(slots)
        if not len(slots) == len(frames) == len(boxes_xywh):
            raise ValueError(
                f"expected one frame and one box per slot, got {len(slots)} slots, {len(frames)} frames and "
                f"{len(boxes_xywh)} boxes"
            )
        if not len(slots):
            return
        boxes = np.array([self._checked_box(slot, box) for slot, box in zip(slots, boxes_xywh, strict=True)])
        images, errors = self._images(zip(slots, frames, strict=True))
        for slot, error in errors.items():
            raise self._of_slot(slot, error)
        s = self.settings
        colours = {id(frame): mean_colour(images[slot]) for slot, frame in zip(slots, frames, strict=True)}
        averages = np.array([colours[id(frame)] for frame in frames])
        targets = np.column_stack(maths.start_targets(boxes))
        sides = maths.context_sides(targets[:, 2:], s.context_amount)
        with self.timer("crop"):
            crops = self._crops([images[slot] for slot in slots], targets, sides, averages, s.exemplar_size)
        with self.timer("network"):
            self._store(slots, crops)
        rows = list(slots)
        self.targets[rows], self.averages[rows] = targets, averages
        self.active[rows], self.lost[rows] = True, False

    def stop(self, slots: Iterable[int]) -> None:
        """End the targets in `slots`."""
        for slot in slots:
            self.active[slot] = False

    def track(self, frames: Sequence[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
        """Find the targets in the next frames, one frame per slot, None for a slot that has none.

        Returns boxes (N, 4) xywh and confidences (N,), NaN for slots without a frame and for targets that failed; these
        have an exception in `failures`, and the others go on. A target fails if its frame is invalid, or if the network
        returns NaN or infinity for it. Raises ValueError unless there is one entry per slot, and RuntimeError for the
        frame of a slot without a target.
        """
        if len(frames) != self.slots:
            raise ValueError(f"expected {self.slots} frames, one per slot (None for a free one), got {len(frames)}")
        unstarted = [slot for slot, frame in enumerate(frames) if frame is not None and not self.active[slot]]
        if unstarted:
            raise RuntimeError(
                f"slot {unstarted[0]} has a frame but no target; call start([{unstarted[0]}], ...) first"
            )
        self.failures = {}
        images, errors = self._images((slot, frame) for slot, frame in enumerate(frames) if frame is not None)
        for slot, error in errors.items():
            self._fail(slot, error)
        found = np.full((self.slots, 5), np.nan)
        s = self.settings
        for instance_size, group in self._groups(images, s):
            found[list(group)] = self._search(instance_size, group, s)
        tracked = [slot for slot in images if np.isfinite(found[slot]).all()]
        for slot in set(images) - set(tracked):
            self._fail(slot, ValueError(_NON_FINITE))
        if self.long_term:
            found[tracked], self.lost[tracked] = maths.keep_lost_targets(
                self.targets[tracked], found[tracked], self.lost[tracked], s
            )
        self.targets[tracked] = found[tracked, :4]
        found[list(self.failures)] = np.nan
        return maths.output_boxes(found), found[:, 4]

    def _groups(self, images: dict[int, np.ndarray], s: TrackSettings) -> Iterable[tuple[int, dict[int, np.ndarray]]]:
        """Yield sizes of search crops, each with the images by slot that need it: of found targets, and of lost ones.

        In a static network lost targets come one by one: their crops are large, and a batch would fill the memory.
        """
        found = {slot: image for slot, image in images.items() if not self.lost[slot]}
        lost = {slot: image for slot, image in images.items() if self.lost[slot]}
        if found:
            yield s.instance_size, found
        if self.network.static:
            yield from ((s.lost_instance_size, {slot: image}) for slot, image in lost.items())
        elif lost:
            yield s.lost_instance_size, lost

    def _search(self, instance_size: int, images: dict[int, np.ndarray], s: TrackSettings) -> np.ndarray:
        """Search targets on their images, by slot; return a row of `frame_maths.find_targets` for each."""
        # A static network always gets all slots, or a single lost target.
        all_slots = self.network.static and instance_size == s.instance_size
        rows = list(range(self.slots)) if all_slots else list(images)
        with self.timer("crop"):
            sides = maths.search_sides(self.targets[rows, 2:], s, instance_size)
            crops = self._crops(
                [images.get(slot) for slot in rows], self.targets[rows], sides, self.averages[rows], instance_size
            )
        with self.timer("network"):
            cls, loc = self.network.track(self._rows(rows), crops)
        grid = self._grid(instance_size)
        count = cls[0].reshape(2, -1).shape[1]
        if count != len(grid.window):
            raise ValueError(
                f"the network returns {count} scores for a crop of {instance_size} pixels, but TRACK and ANCHOR "
                f"describe {len(grid.window)}; correct TRACK.BASE_SIZE"
            )
        sizes = np.array([images[slot].shape[1::-1] if slot in images else (1, 1) for slot in rows], np.float64)
        with self.timer("decode"), np.errstate(invalid="ignore"):
            targets = self.network.array(np.concatenate([self.targets[rows], sizes], axis=1))
            found = self.network.host(maths.find_targets(cls, loc, grid, targets, s))
        return found[[rows.index(slot) for slot in images]]

    def _crops(
        self,
        images: Sequence[np.ndarray | None],
        targets: np.ndarray,
        sides: np.ndarray,
        averages: np.ndarray,
        out_side: int,
    ) -> np.ndarray:
        """Return crops (K, out_side, out_side, 3) around targets (K, 4); black for an image that is None."""
        crops = np.zeros((len(images), out_side, out_side, 3), np.uint8)

        def cut(row: int) -> None:
            image = images[row]
            if image is not None:
                crops[row] = crop_square(image, targets[row, :2], round(sides[row]), out_side, averages[row])

        if self._threads is not None and len(images) > 1:
            list(self._threads.map(cut, range(len(images))))
        else:
            for row in range(len(images)):
                cut(row)
        return crops

    def _store(self, slots: Sequence[int], crops: np.ndarray) -> None:
        """Compute the templates of crops and put them into the state."""
        if not self.active.any():
            self._state = None  # the model may have moved to another device
        chunks = [[index] for index in range(len(slots))] if self.network.static else [list(range(len(slots)))]
        for chunk in chunks:
            state = self.network.template(crops[chunk])
            if self.slots == 1:
                self._state = state
                return
            if self._state is None:
                self._state = [_empty_rows(part, self.slots) for part in state]
            for array, part in zip(self._state, state, strict=True):
                for row, index in enumerate(chunk):
                    array[slots[index]] = part[row]

    def _rows(self, rows: list[int]) -> State:
        """Return the state of some slots."""
        assert self._state is not None  # targets are active after a start only
        if len(rows) == self.slots:
            return self._state
        if len(rows) == 1:
            return [array[rows[0] : rows[0] + 1] for array in self._state]
        return [array[rows] for array in self._state]

    def _grid(self, instance_size: int) -> maths.Grid:
        s = self.settings
        key = (instance_size, s.exemplar_size, s.base_size, s.stride, s.ratios, s.scales)
        if key not in self._grids:
            self._grids[key] = maths.Grid(*map(self.network.array, maths.make_grid(s, instance_size)))
        return self._grids[key]

    def _images(self, frames: Iterable[tuple[int, np.ndarray]]) -> tuple[dict[int, np.ndarray], dict[int, ValueError]]:
        """Return BGR images and the errors of invalid frames, by slot, for (slot, frame).

        A frame that several slots share is converted once.
        """
        converted: dict[int, np.ndarray] = {}
        images, errors = {}, {}
        for slot, frame in frames:
            try:
                if id(frame) not in converted:
                    converted[id(frame)] = as_bgr(frame)
                images[slot] = converted[id(frame)]
            except ValueError as error:
                errors[slot] = error
        return images, errors

    def _fail(self, slot: int, error: Exception) -> None:
        self.failures[slot] = error
        self.active[slot] = False

    def _check_slots(self, slots: Sequence[int]) -> None:
        for slot in slots:
            if not 0 <= slot < self.slots:
                raise IndexError(f"slot {slot} does not exist: this tracker has slots 0 to {self.slots - 1}")
        if len(set(slots)) < len(slots):
            raise ValueError(f"each slot can start one target, got slots {list(slots)}")

    def _checked_box(self, slot: int, box: Any) -> np.ndarray:
        try:
            return check_box(box)
        except ValueError as error:
            raise self._of_slot(slot, error) from None

    def _of_slot(self, slot: int, error: ValueError) -> ValueError:
        """Return an error that names the slot if there are several."""
        return error if self.slots == 1 else ValueError(f"slot {slot}: {error}")


def _empty_rows(array: Any, count: int) -> Any:
    """Return an array of zeros like `array` with `count` rows."""
    if isinstance(array, np.ndarray):
        return np.zeros((count, *array.shape[1:]), array.dtype)
    return array.new_zeros((count, *array.shape[1:]))
