"""Several trackers with different settings follow one sequence together, frame by frame."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from pysot.toolkit.protocol import Answer, Request, Steps, Task
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.frames import FrameDecoder, FrameReader
from pysot.toolkit.tracking.step import Step, advance
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tuning.shared_network import SharedNetwork

Outcome = Trajectory | Exception


@dataclass
class _Follower:
    """Tracker on its way along the sequence: what it asks for next, or its outcome at the end."""

    tracker: BatchTracker
    steps: Steps
    state: Request | Outcome = field(init=False)

    def __post_init__(self) -> None:
        self.take()

    def take(self, answer: Answer | None = None) -> None:
        """Go on to the next request, or to the end."""
        try:
            self.state = advance(self.steps, answer)
        except Exception as error:  # such as ground truth to start from that is missing; the others go on
            self.state = error


def follow(
    task: Task, trackers: Sequence[BatchTracker], shared: SharedNetwork, on_frame: Callable[[Task, Step], None]
) -> list[Outcome]:
    """Track a task with each of several trackers of one target around `shared`; return their outcomes.

    The trackers that ask for the earliest frame track it or start on it, then those that ask for the next one: each
    frame is decoded once, and its equal crops are computed once. An exception of the frames, a tracker or the protocol
    ends one tracker's task; it is its outcome.
    """
    followers = [_Follower(tracker, task.steps(task.sequence, partial(on_frame, task))) for tracker in trackers]
    with FrameDecoder() as decoder:
        frames = FrameReader(decoder, task.sequence)
        while waiting := [each for each in followers if isinstance(each.state, Request)]:
            index = min(_request(each).index for each in waiting)
            chosen = [each for each in waiting if _request(each).index == index]
            try:
                image = frames.read(index)
            except (OSError, ValueError) as error:
                for each in chosen:
                    each.state = error
                continue
            _advance_by(image, chosen, shared)
    for follower in followers:
        follower.tracker.stop([0])
    return [each.state for each in followers if not isinstance(each.state, Request)]


def _advance_by(image: np.ndarray, followers: Sequence[_Follower], shared: SharedNetwork) -> None:
    """Start or track on an image, as each tracker asks for."""
    shared.next_frame()
    began = time.perf_counter()
    tracks = [_request(each).box_xywh is None for each in followers]
    for each in itertools.compress(followers, tracks):
        each.tracker.submit([image])
    results = [
        _collect(each) if goes_on else _start(each, image) for each, goes_on in zip(followers, tracks, strict=True)
    ]
    seconds = (time.perf_counter() - began) / len(followers)
    for each, result in zip(followers, results, strict=True):
        if isinstance(result, Exception):
            each.state = result
        else:
            each.take(Answer(image, result, seconds, len(followers)))


def _start(follower: _Follower, image: np.ndarray) -> None | ValueError:
    """Start a tracker; return the error if it refuses."""
    try:
        follower.tracker.start([0], [image], [_request(follower).box_xywh])
    except ValueError as error:
        return error
    return None


def _collect(follower: _Follower) -> dict[str, Any] | Exception:
    """Return the outputs of a tracker on the frame in flight, or the error of its target."""
    boxes, confidences = follower.tracker.collect()
    if follower.tracker.failures:
        return follower.tracker.failures[0]
    outputs: dict[str, Any] = {"bbox": boxes[0], "best_score": float(confidences[0])}
    if follower.tracker.masks:
        outputs["target_mask"] = follower.tracker.masks[0]
    return outputs


def _request(follower: _Follower) -> Request:
    assert isinstance(follower.state, Request)
    return follower.state
