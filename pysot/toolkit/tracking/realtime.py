"""A tracker that must keep up with its frames: VOT's realtime experiment.

Frames come at a fixed rate. When the tracker needs longer for one, the frames that pass meanwhile get its last region again and are never seen. As in the
official toolkit (vot-toolkit 0.9) the first few slow frames after a start are forgiven, and what counts is measured time, so that a run may be as slow as it
likes.
"""

import time
from dataclasses import dataclass, replace

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.region.raster import overlap
from pysot.toolkit.results.files import LOST, SKIPPED, START, TRACKED, Trajectory

FPS, GRACE = 20.0, 3


@dataclass
class FrameClock:
    """How far the tracker is behind; `interval` is seconds between frames, `grace` how many slow frames a start forgives."""

    interval: float = 1 / FPS
    grace: int = GRACE
    left: float = 0.0
    forgiven: int = 0

    def start(self, seconds: float) -> None:
        """The tracker has needed so long to start."""
        self.left, self.forgiven = 0.0, 0
        self.spend(seconds)

    def spend(self, seconds: float) -> None:
        """The tracker has needed so long for a frame."""
        self.left = 0.0
        if seconds > self.interval:
            if self.forgiven < self.grace:
                self.forgiven += 1
            else:
                self.left = seconds - self.interval

    def misses_frame(self) -> bool:
        """Whether the next frame passes before the tracker is ready; to be asked once for each."""
        if self.left > self.interval:
            self.left -= self.interval
            return True
        self.left = 0.0
        return False


class RealtimeTracker:
    """Wraps a tracker with init and track."""

    def __init__(self, tracker, clock: FrameClock | None = None):
        self.tracker, self.clock, self.last = tracker, clock or FrameClock(), None

    def init(self, image: np.ndarray, box_xywh) -> None:
        """Start the tracker and the clock."""
        began = time.perf_counter()
        self.tracker.init(image, box_xywh)
        self.clock.start(time.perf_counter() - began)
        self.last = {"bbox": np.asarray(box_xywh, np.float64), "best_score": 1.0}

    def track(self, image: np.ndarray) -> dict:
        """What the tracker says of this frame, or said of the last one it saw."""
        if not self.clock.misses_frame():
            began = time.perf_counter()
            self.last = self.tracker.track(image)
            self.clock.spend(time.perf_counter() - began)
        return self.last


def simulate(sequence: Sequence, run: Trajectory, clock: FrameClock, skipping: int = 5) -> Trajectory:
    """The supervised realtime run that a recorded one foretells. The recorded regions stand in for what the tracker would say on the frames it sees, also after
    a start at another frame than the recorded one. Raises ValueError if the run has no seconds, or a negative number of them.
    """
    if run.seconds is None:
        raise ValueError(f"the results of {sequence.name} have no seconds per frame to simulate realtime with")
    if not (run.seconds >= 0).all():
        raise ValueError(
            f"frame {int(np.argmin(run.seconds >= 0)) + 1} of the results of {sequence.name} has {run.seconds[~(run.seconds >= 0)][0]} seconds; "
            "they are 0 or more"
        )
    codes, regions = np.full(len(run), SKIPPED, np.int8), np.full((len(run), 8), np.nan)
    start_at, running, last = int(np.flatnonzero(run.codes == START)[0]), False, None
    for frame, truth in enumerate(sequence.ground_truth):
        if not running:
            if frame >= start_at and np.isfinite(truth).all():
                codes[frame], running, last = START, True, truth
                clock.start(run.seconds[frame])
            continue
        missed = clock.misses_frame()
        if not missed:
            clock.spend(run.seconds[frame])
        if not missed and run.codes[frame] == TRACKED:
            last = run.regions[frame][np.isfinite(run.regions[frame])]
            lost = False
        else:  # the last region again: the frame was missed, or the recorded run has none for it
            lost = not missed and run.codes[frame] == LOST or _misses(last, truth, sequence)
        if lost:
            codes[frame], running, start_at = LOST, False, frame + skipping
        else:
            codes[frame], regions[frame, : len(last)] = TRACKED, last
    return replace(run, codes=codes, regions=regions, masks={})


def _misses(region, truth, sequence) -> bool:
    return bool(np.isfinite(truth).all()) and not overlap(region, truth, sequence.width, sequence.height) > 0
