"""Realtime tracking, as in VOT's realtime experiment: a tracker must keep up with the frame rate.

Frames come at a fixed rate. When the tracker needs longer for one, the frames that pass meanwhile get its last region
and are never tracked. As in the official toolkit (vot-toolkit 0.9), the first few slow frames after a start are
forgiven. Only measured time counts, so a run may take longer than its frames last.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.protocol import Tracker
from pysot.toolkit.region.raster import overlap
from pysot.toolkit.results.files import LOST, SKIPPED, START, TRACKED, Trajectory
from pysot.toolkit.tracking.start import start_outputs, starts_on

FPS, GRACE = 20.0, 3


@dataclass
class FrameClock:
    """Delay of a tracker against the frame rate.

    `interval` is seconds between frames, `grace` the number of slow frames that are forgiven after a start.
    """

    interval: float = 1 / FPS
    grace: int = GRACE
    delay: float = 0.0
    forgiven: int = 0

    def start(self, seconds: float) -> None:
        """Reset the clock after a start that took `seconds`."""
        self.delay, self.forgiven = 0.0, 0
        self.spend(seconds)

    def spend(self, seconds: float) -> None:
        """Count a frame that took `seconds`."""
        self.delay = 0.0
        if seconds > self.interval:
            if self.forgiven < self.grace:
                self.forgiven += 1
            else:
                self.delay = seconds - self.interval

    def misses_frame(self) -> bool:
        """Return whether the next frame passes before the tracker is ready; call it once for each frame."""
        if self.delay > self.interval:
            self.delay -= self.interval
            return True
        self.delay = 0.0
        return False


class RealtimeTracker:
    """Wrapper of a tracker that repeats its last outputs on the frames it is too late for."""

    def __init__(self, tracker: Tracker, clock: FrameClock | None = None) -> None:
        self.tracker = tracker
        self.clock = clock or FrameClock()
        self.last: dict[str, Any] = {}
        self.starts_on = starts_on(tracker)

    def init(self, image: np.ndarray, region: Any) -> None:
        """Start the tracker and the clock."""
        began = time.perf_counter()
        self.tracker.init(image, region)
        self.clock.start(time.perf_counter() - began)
        self.last = start_outputs(self.starts_on, region)

    def track(self, image: np.ndarray) -> dict[str, Any]:
        """Return the tracker's outputs on this frame, or on the last one it tracked if it misses this one."""
        if not self.clock.misses_frame():
            began = time.perf_counter()
            self.last = self.tracker.track(image)
            self.clock.spend(time.perf_counter() - began)
        return self.last


def simulate_realtime(sequence: Sequence, recorded: Trajectory, clock: FrameClock, skipping: int = 5) -> Trajectory:
    """Simulate a supervised realtime run from a recorded run with its seconds per frame.

    The recorded regions replace the tracker's outputs on the frames it does not miss, even after a start at another
    frame than the recorded one. Raises ValueError if the run has no seconds, or a negative number of them.
    """
    seconds = _checked_seconds(sequence, recorded)
    codes, regions = np.full(len(recorded), SKIPPED, np.int8), np.full((len(recorded), 8), np.nan)
    start_at, running = int(np.flatnonzero(recorded.codes == START)[0]), False
    last = np.empty(0)
    for frame, truth in enumerate(sequence.ground_truth):
        if not running:
            if frame >= start_at and np.isfinite(truth).all():
                codes[frame], running, last = START, True, truth
                clock.start(seconds[frame])
            continue
        missed = clock.misses_frame()
        if not missed:
            clock.spend(seconds[frame])
        if not missed and recorded.codes[frame] == TRACKED:
            last = recorded.regions[frame][np.isfinite(recorded.regions[frame])]
            lost = False
        else:  # the last region again: the frame was missed, or the recorded run has no region for it
            recorded_loss = not missed and recorded.codes[frame] == LOST
            lost = recorded_loss or _is_off_target(last, truth, sequence)
        if lost:
            codes[frame], running, start_at = LOST, False, frame + skipping
        else:
            codes[frame], regions[frame, : len(last)] = TRACKED, last
    return replace(recorded, codes=codes, regions=regions, masks={})


def _checked_seconds(sequence: Sequence, recorded: Trajectory) -> np.ndarray:
    """Return the seconds per frame of a recorded run. Raises ValueError if it has none, or a negative number."""
    seconds = recorded.seconds
    if seconds is None:
        raise ValueError(f"the results of {sequence.name} have no seconds per frame to simulate realtime with")
    valid = seconds >= 0
    if not valid.all():
        raise ValueError(
            f"frame {int(np.argmin(valid)) + 1} of the results of {sequence.name} has {seconds[~valid][0]} seconds; "
            "expected 0 or more"
        )
    return seconds


def _is_off_target(region: np.ndarray, truth: np.ndarray, sequence: Sequence) -> bool:
    if not np.isfinite(truth).all():
        return False
    assert sequence.width is not None and sequence.height is not None  # supervised sequences have sizes
    return not overlap(region, truth, sequence.width, sequence.height) > 0
