"""Tracking in lockstep: a batch tracker has a target in each slot, and all targets advance by one frame at a time.

In each round, idle slots get the next tasks, waiting targets start in one call (at the beginning of a task, or after a
loss), then all others track a frame in one call.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pysot.toolkit.protocol import Answer, BatchTracker, Request, Steps, Task
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.frames import FrameDecoder, FrameReader
from pysot.toolkit.tracking.step import Step, advance


def track_in_lockstep(
    tracker: BatchTracker,
    tasks: Iterable[Task],
    on_frame: Callable[[Task, Step], None],
    on_end: Callable[[Task, Trajectory | Exception], None],
) -> None:
    """Track tasks; on_end gets each one, as soon as it ends, with its trajectory or the exception that ended it.

    An exception of a task's frames, start, steps or slot ends that task only; other exceptions of the tracker, and
    those of on_end, are raised. A task is taken from the iterable when a slot is free.
    """
    remaining = iter(tasks)
    with FrameDecoder() as decoder:
        lockstep = _Lockstep(tracker, decoder, on_frame, on_end)
        try:
            while lockstep.fill(remaining):
                lockstep.start_waiting()
                lockstep.track_started()
        finally:
            tracker.stop([*lockstep.targets])


@dataclass
class _Target:
    """Task in a slot, and what it asks for next."""

    task: Task
    steps: Steps
    frames: FrameReader
    request: Request


class _Lockstep:
    """Targets by slot, and what is done with them in a round."""

    def __init__(
        self,
        tracker: BatchTracker,
        decoder: FrameDecoder,
        on_frame: Callable[[Task, Step], None],
        on_end: Callable[[Task, Trajectory | Exception], None],
    ) -> None:
        self.tracker = tracker
        self.decoder = decoder
        self.on_frame = on_frame
        self.on_end = on_end
        self.targets: dict[int, _Target] = {}

    def fill(self, tasks: Iterator[Task]) -> bool:
        """Put tasks into idle slots; return whether a slot has one. Tasks that cannot begin end at once."""
        for slot in range(self.tracker.slots):
            while slot not in self.targets and (task := next(tasks, None)) is not None:
                steps = task.steps(task.sequence, partial(self.on_frame, task))
                try:
                    request = advance(steps)
                except Exception as error:  # such as ground truth to start from that is missing
                    self.on_end(task, error)
                    continue
                assert isinstance(request, Request)  # a sequence has a frame to start on
                self.targets[slot] = _Target(task, steps, FrameReader(self.decoder, task.sequence), request)
                self.targets[slot].frames.expect(request.index)
        return bool(self.targets)

    def start_waiting(self) -> None:
        """Start all targets that wait for it, in one call; if it refuses them, one by one to find the bad ones."""
        images = self._images(starts=True)
        refusal = self._start(images) if images else None
        if refusal is None:
            return
        for slot, image in images.items():
            reason = self._start({slot: image}) if len(images) > 1 else refusal
            if reason is not None:
                self._end(slot, reason)

    def _start(self, images: dict[int, np.ndarray]) -> ValueError | None:
        """Start targets on images, by slot; return the error if the tracker refuses them."""
        boxes = np.array([self.targets[slot].request.box_xywh for slot in images])
        began = time.perf_counter()
        try:
            self.tracker.start([*images], [*images.values()], boxes)
        except ValueError as error:
            return error
        seconds = time.perf_counter() - began
        for slot, image in images.items():
            self._answer(slot, image, None, seconds, len(images))
        return None

    def track_started(self) -> None:
        """Track a frame of each target that has started, in one call."""
        images = self._images(starts=False)
        if not images:
            return
        began = time.perf_counter()
        boxes, confidences = self.tracker.track([images.get(slot) for slot in range(self.tracker.slots)])
        seconds = time.perf_counter() - began
        failures, masks = dict(self.tracker.failures), dict(getattr(self.tracker, "masks", {}))
        for slot, image in images.items():
            if slot in failures:
                self._end(slot, failures[slot])
            else:
                outputs = {"bbox": boxes[slot].copy(), "best_score": float(confidences[slot])}
                if slot in masks:
                    outputs["target_mask"] = masks[slot]
                self._answer(slot, image, outputs, seconds, len(images))

    def _images(self, starts: bool) -> dict[int, np.ndarray]:
        """Return by slot the frames that targets ask for to start on, or to track."""
        images = {}
        for slot, target in sorted(self.targets.items()):
            if (target.request.box_xywh is not None) == starts:
                try:
                    images[slot] = target.frames.read(target.request.index)
                except Exception as error:
                    self._end(slot, error)
        return images

    def _answer(
        self, slot: int, image: np.ndarray, outputs: dict[str, Any] | None, seconds: float, targets: int
    ) -> None:
        """Send a target its part of a call of `seconds`; end its task after the last frame."""
        target = self.targets[slot]
        batch = targets if self.tracker.slots > 1 else 0
        try:
            request = advance(target.steps, Answer(image, outputs, seconds / targets, batch))
        except Exception as error:
            self._end(slot, error)
            return
        if isinstance(request, Request):
            target.request = request
            target.frames.expect(request.index)
        else:
            self._end(slot, request)

    def _end(self, slot: int, outcome: Trajectory | Exception) -> None:
        target = self.targets.pop(slot)
        target.frames.close()
        self.tracker.stop([slot])
        self.on_end(target.task, outcome)
