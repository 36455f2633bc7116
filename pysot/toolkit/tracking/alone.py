"""Tracking with a tracker of one target, which takes the tasks one by one."""

import time
from collections.abc import Callable, Iterable
from functools import partial

from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.protocol import Answer, Request, Steps, Task, Tracker
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.frames import FrameDecoder, FrameReader
from pysot.toolkit.tracking.start import start_region
from pysot.toolkit.tracking.step import Step, advance


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
    """Return the trajectory of `steps` with one tracker. Raises the exceptions of tracker, images and steps."""
    with FrameDecoder(decode_ahead) as decoder:
        frames, request = FrameReader(decoder, sequence), advance(steps)
        while isinstance(request, Request):
            image, outputs = frames.read(request.index), None
            region = None if request.box_xywh is None else start_region(tracker, image, request)
            began = time.perf_counter()
            if region is None:
                outputs = tracker.track(image)
            else:
                tracker.init(image, region)
            request = advance(steps, Answer(image, outputs, time.perf_counter() - began))
        return request
