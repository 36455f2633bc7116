"""Tracking with a tracker of one target, which takes the tasks one by one."""

import time
from collections.abc import Callable, Iterable
from functools import partial

from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.protocol import Answer, Request, Steps, Task, Tracker
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.frames import FrameDecoder, FrameReader
from pysot.toolkit.tracking.start import start_region
from pysot.toolkit.tracking.step import Step, advance, as_outputs


def track_one_by_one(
    tracker: Tracker,
    tasks: Iterable[Task],
    on_frame: Callable[[Task, Step], None],
    on_end: Callable[[Task, Trajectory | Exception], None],
    decode_ahead: bool = True,
) -> None:
    """Track tasks; on_end gets each one with its trajectory, or with the exception of the tracker or of an image."""
    for task in tasks:
        outcome: Trajectory | Exception
        try:
            steps = task.steps(task.sequence, partial(on_frame, task))
            outcome = track_alone(tracker, task.sequence, steps, decode_ahead)
        except Exception as error:  # a tracker may raise anything; the other tasks do not depend on it
            outcome = error
        on_end(task, outcome)


def track_alone(tracker: Tracker, sequence: Sequence, steps: Steps, decode_ahead: bool = True) -> Trajectory:
    """Return the trajectory of `steps` with one tracker. Raises the exceptions of tracker, images and steps.

    What `track` returns may have the forms of `as_outputs`; an error in it names sequence and frame.
    """
    with FrameDecoder(decode_ahead) as decoder:
        frames, request = FrameReader(decoder, sequence), advance(steps)
        while isinstance(request, Request):
            index = request.index
            image = frames.read(index)
            region = None if request.box_xywh is None else start_region(tracker, image, request)
            began = time.perf_counter()
            returned = tracker.track(image) if region is None else tracker.init(image, region)
            seconds = time.perf_counter() - began
            try:
                outputs = as_outputs(returned) if region is None else None
                request = advance(steps, Answer(image, outputs, seconds))
            except ValueError as error:
                raise ValueError(f"sequence {sequence.name}, frame {index + 1}: {error}") from error
        return request
