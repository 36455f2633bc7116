"""Tracker of N targets in lockstep: one call of the network per frame for all of them."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pysot.tracker import frame_maths as maths
from pysot.tracker.crop_threads import CropThreads
from pysot.tracker.network import Found, Group, StepSource, Timer, untimed
from pysot.tracker.settings import TrackSettings
from pysot.tracker.target_mask import TargetMask
from pysot.utils.bbox import check_box
from pysot.utils.image import as_bgr, mean_colour

_NON_FINITE = (
    "the network returned NaN or infinity: its weights contain NaN or infinity, load another snapshot; in fp16, a "
    "value may also have left the range of the numbers, set TRACK.PRECISION to bf16 or fp32"
)
_MOST_IN_FLIGHT = 2


@dataclass
class _Frame:
    """Frames in flight: their sizes by valid slot, errors by slot, and the searches of their groups.

    Once known, also the result, and the masks by slot.
    """

    sizes: dict[int, tuple[int, int]]
    failures: dict[int, Exception]
    lives: np.ndarray
    settings: TrackSettings
    searches: list[tuple[list[int], Callable[[], Found]]] = field(default_factory=list)
    found: np.ndarray | None = None
    masks: dict[int, TargetMask] = field(default_factory=dict)


class BatchTracker:
    """Tracker with `slots` places for targets, which start and end at any step.

    Frames are uint8, BGR or grey, of any size, the same for several targets or different ones; boxes are xywh in
    pixels. Results do not depend on the other slots, except for rounding.

    `settings` may be a function that returns the current settings; it is called at every step. With `long_term`, at low
    confidence a target counts as lost: its box stays, and a larger crop is searched. `failures` are the errors of the
    targets that failed in the last frame, by slot; their slots are free. `masks` are those of the last frame, by slot,
    if the network has masks. If `timer` is set, timer("crop" | "network" | "decode") returns a context for each part of
    a step.

    Only one thread may use a tracker at a time. Raises MemoryError if so many targets need more memory than there is.
    """

    def __init__(
        self,
        network: StepSource,
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
        self.masks: dict[int, TargetMask] = {}
        self.timer: Timer | None = None
        self._settings: Callable[[], TrackSettings] = settings if callable(settings) else lambda: settings
        if slots > 1:
            network.check_memory(slots)
        self.active = np.zeros(slots, bool)
        self.lost = np.zeros(slots, bool)
        self.targets = np.ones((slots, 4))  # centre and size; those of free slots only have to be valid numbers
        self.colours = np.zeros((slots, 3))  # mean colours of the frames that the targets started on
        self._lives = np.zeros(slots, int)  # targets that have started or ended in a slot, to tell them apart
        self._in_flight: deque[_Frame] = deque()
        self._threads = CropThreads(slots)
        self._step = network.make_step(slots, self._threads, None)

    @property
    def settings(self) -> TrackSettings:
        """Current settings."""
        return self._settings()

    @property
    def overlaps(self) -> bool:
        """True if two frames in flight are faster than one: their computations then overlap with work on the host."""
        return self._step.overlaps and not self.long_term

    def start(self, slots: Sequence[int], frames: Sequence[np.ndarray], boxes_xywh: Any) -> None:
        """Start targets in `slots` on boxes (K, 4) in K frames; a target that is in a slot ends.

        Raises ValueError or IndexError that names the slot for a slot that does not exist or comes twice, an invalid
        frame, and an invalid box; then no target is started. Raises RuntimeError while frames are in flight.
        """
        if self._in_flight:
            raise RuntimeError(
                "a target cannot start while frames are in flight; call collect() for each of them first"
            )
        self._check_slots(slots)
        if not len(slots) == len(frames) == len(boxes_xywh):
            raise ValueError(
                f"expected one frame and one box per slot, got {len(slots)} slots, {len(frames)} frames and "
                f"{len(boxes_xywh)} boxes"
            )
        if not len(slots):
            return
        frames = list(frames)  # an array makes new views each time, and frames are told apart by their identity
        boxes = np.array([self._checked_box(slot, box) for slot, box in zip(slots, boxes_xywh, strict=True)])
        images, errors = self._images(zip(slots, frames, strict=True))
        for slot, error in errors.items():
            raise self._of_slot(slot, error)
        s = self.settings
        means = {id(frame): mean_colour(images[slot]) for slot, frame in zip(slots, frames, strict=True)}
        colours = np.array([means[id(frame)] for frame in frames])
        targets = np.column_stack(maths.start_targets(boxes))
        sides = maths.context_sides(targets[:, 2:], s.context_amount)
        part = self.timer or untimed
        with part("crop"):
            crops = self._threads.cut([images[slot] for slot in slots], targets, sides, colours, s.exemplar_size)
        is_first = not self.active.any()
        if is_first:  # the model may have moved to another device
            self._step = self.network.make_step(self.slots, self._threads, self._step)
        with part("network"):
            self._step.start(slots, crops, is_first)
        rows = list(slots)
        self.targets[rows], self.colours[rows] = targets, colours
        self.active[rows], self.lost[rows] = True, False
        self._lives[rows] += 1

    def stop(self, slots: Iterable[int]) -> None:
        """End the targets in `slots`; they have no results in frames that are in flight.

        Raises IndexError for a slot that does not exist.
        """
        slots = list(slots)
        self._check_slots(slots)
        for slot in slots:
            self.active[slot] = False
            self._lives[slot] += 1
            self.masks.pop(slot, None)

    def track(self, frames: Sequence[np.ndarray | None]) -> tuple[np.ndarray, np.ndarray]:
        """Find the targets in the next frames, one frame per slot, None for a slot that has none.

        Returns boxes (N, 4) xywh and confidences (N,), NaN for slots without a frame and for targets that failed; these
        have an exception in `failures`, and the others go on. A target fails if its frame is invalid, or if the network
        returns NaN or infinity for it. Raises ValueError unless there is one entry per slot, and RuntimeError for the
        frame of a slot without a target, and while other frames are in flight.
        """
        if self._in_flight:
            raise RuntimeError("frames are in flight; call collect() for each of them before track()")
        self.submit(frames)
        return self.collect()

    def submit(self, frames: Sequence[np.ndarray | None]) -> None:
        """Start to track the next frames as `track` does; `collect` returns the result.

        Two calls may be in flight: if the tracker `overlaps`, the second frame is uploaded, and its search queued,
        before the result of the first is known. The arrays of the frames may change after this call. Raises as
        `track`, and RuntimeError if two calls are in flight already.
        """
        if len(frames) != self.slots:
            raise ValueError(f"expected {self.slots} frames, one per slot (None for a free one), got {len(frames)}")
        if len(self._in_flight) == _MOST_IN_FLIGHT:
            raise RuntimeError(f"{_MOST_IN_FLIGHT} frames are in flight; call collect() before the next submit()")
        if self._in_flight and not self.overlaps:
            self._finish(self._in_flight[-1])
        # Without a search, the targets are still those of the host.
        follows = self.overlaps and any(each.searches for each in self._in_flight)
        failed = {slot for each in self._in_flight for slot in each.failures}  # the caller does not know this yet
        given = {slot: frame for slot, frame in enumerate(frames) if frame is not None and slot not in failed}
        for slot in given:
            if not self.active[slot]:
                raise RuntimeError(f"slot {slot} has a frame but no target; call start([{slot}], ...) first")
        images, errors = self._images(given.items())
        sizes = {slot: (image.shape[1], image.shape[0]) for slot, image in images.items()}
        frame = _Frame(sizes, dict(errors), self._lives.copy(), self.settings)
        for instance_size, chosen in self._groups(images, frame.settings):
            group = Group(frame.settings, instance_size, chosen, self.targets, self.colours, follows)
            frame.searches.append((list(chosen), self._step.search(group, self.timer)))
        for slot in errors:
            self.active[slot] = False
        self._in_flight.append(frame)

    def collect(self) -> tuple[np.ndarray, np.ndarray]:
        """Wait for the oldest frames in flight; return boxes and confidences as `track` does.

        Raises RuntimeError if no frames are in flight.
        """
        if not self._in_flight:
            raise RuntimeError("no frames are in flight; call submit(frames) first")
        frame = self._in_flight.popleft()
        found = self._finish(frame)
        self.failures, self.masks = frame.failures, frame.masks
        return maths.output_boxes(found), found[:, 4]

    def _finish(self, frame: _Frame) -> np.ndarray:
        """Wait for the result of a frame (N, 5), and move the targets there."""
        if frame.found is not None:
            return frame.found
        found = np.full((self.slots, 5), np.nan)
        results = [(slots, search()) for slots, search in frame.searches]
        for slots, result in results:
            found[slots] = result.rows
            if result.masks is not None:
                found[slots] += 0 * result.masks.sum(axis=(1, 2))[:, None]  # NaN where the mask has one
        running = [slot for slot in frame.sizes if frame.lives[slot] == self._lives[slot]]
        tracked = [slot for slot in running if np.isfinite(found[slot]).all()]
        for slot in set(running) - set(tracked):
            frame.failures[slot] = ValueError(_NON_FINITE)
            self.stop([slot])
        if self.long_term:
            found[tracked], self.lost[tracked] = maths.keep_lost_targets(
                self.targets[tracked], found[tracked], self.lost[tracked], frame.settings
            )
        self.targets[tracked] = found[tracked, :4]
        found[[slot for slot in range(self.slots) if slot not in tracked]] = np.nan
        frame.found = found
        frame.masks = _masks(frame, results)
        return found

    def _groups(self, images: dict[int, np.ndarray], s: TrackSettings) -> Iterable[tuple[int, dict[int, np.ndarray]]]:
        """Yield sizes of search crops, each with the images by slot that need it: of found targets, and of lost ones.

        In a static network lost targets come one by one: their crops are large, and a batch would fill the memory.
        """
        found = {slot: image for slot, image in images.items() if not self.lost[slot]}
        lost = {slot: image for slot, image in images.items() if self.lost[slot]}
        if found:
            yield s.instance_size, found
        if self._step.static:
            yield from ((s.lost_instance_size, {slot: image}) for slot, image in lost.items())
        elif lost:
            yield s.lost_instance_size, lost

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


def _masks(frame: _Frame, results: list[tuple[list[int], Found]]) -> dict[int, TargetMask]:
    """Return the masks of a frame, by slot; those of targets without a box are left out."""
    assert frame.found is not None
    masks, settings = {}, frame.settings
    for slots, result in results:
        if result.masks is None or result.squares is None:
            continue
        boxes = maths.output_boxes(frame.found[slots])
        for slot, probabilities, square, box in zip(slots, result.masks, result.squares, boxes, strict=True):
            if np.isfinite(box).all():
                size, threshold = frame.sizes[slot], settings.mask_threshold
                masks[slot] = TargetMask(probabilities, square, size, threshold, box, settings.mask_output)
    return masks
