"""Ways to track, and the frames that they track: what the tracking benchmark measures."""

import contextlib
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from pysot.benchmarks.plain_tracker import PlainTracker
from pysot.benchmarks.tracking_profile import timed_part
from pysot.toolkit.datasets.sequence import Dataset
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.network import Timer
from pysot.tracker.one_target import OneTargetTracker
from pysot.utils.bbox import IoU, init_box_from_region
from pysot.utils.image import read_image


@dataclass(frozen=True)
class Clip:
    """Files of a target's frames, forwards and backwards without end, and its box xywh on the first one."""

    paths: Sequence[str]
    box: np.ndarray

    def path(self, step: int) -> str:
        """Return the file of frame `step`, 0 for the first."""
        last = len(self.paths) - 1
        return self.paths[last - abs(last - step % (2 * last))] if last else self.paths[0]


def clips_of(dataset: Dataset) -> list[Clip]:
    """Return a clip per sequence. Raises FileNotFoundError if frames are not on the disk."""
    for sequence in dataset.sequences:
        if not os.path.exists(sequence.frame_paths[0]):
            raise FileNotFoundError(f"no frame {sequence.frame_paths[0]}; give the folder of the frames, --datasetdir")
    return [Clip(each.frame_paths, init_box_from_region(each.ground_truth[0])) for each in dataset.sequences]


class OneTarget:
    """Tracker of one target with the interface of a batch of one."""

    def __init__(self, tracker: PlainTracker | OneTargetTracker) -> None:
        self.tracker = tracker

    def start(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> None:
        """Start on the first image."""
        self.tracker.init(images[0], boxes[0])

    def track(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the box xywh on the first image, (1, 4)."""
        return np.array([self.tracker.track(images[0])["bbox"]])

    def set_timer(self, timer: Timer | None) -> None:
        """Time the parts of `track` with `timer`, None to end this."""
        holder = self.tracker if isinstance(self.tracker, PlainTracker) else self.tracker.batch
        holder.timer = timer


class ManyTargets:
    """Batch tracker with a target in each of its slots."""

    def __init__(self, tracker: BatchTracker) -> None:
        self.tracker = tracker

    def start(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> None:
        """Start a target in each slot."""
        self.tracker.start(range(len(images)), images, boxes)

    def track(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the boxes xywh, (N, 4). Raises the error of a target that failed."""
        return self._boxes(self.tracker.track(images)[0])

    def _boxes(self, boxes: np.ndarray) -> np.ndarray:
        for error in self.tracker.failures.values():
            raise error
        return boxes

    def set_timer(self, timer: Timer | None) -> None:
        """Time the parts of `track` with `timer`, None to end this."""
        self.tracker.timer = timer


class TwoInFlight(ManyTargets):
    """ManyTargets whose next step is submitted before the result of the last one is known."""

    in_flight = 0

    def start(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> None:
        """Start a target in each slot; results in flight are lost."""
        self.finish()
        super().start(images, boxes)

    def track(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Submit the images; return the boxes (N, 4) of the images before, NaN for the first ones."""
        self.tracker.submit(images)
        self.in_flight += 1
        return self._collect() if self.in_flight > 1 else np.full((len(images), 4), np.nan)

    def finish(self) -> np.ndarray | None:
        """Wait for the result in flight; return its boxes (N, 4), None if nothing is in flight."""
        return self._collect() if self.in_flight else None

    def _collect(self) -> np.ndarray:
        self.in_flight -= 1
        return self._boxes(self.tracker.collect()[0])


def step_name(tracker: OneTarget | ManyTargets) -> str:
    """Return what the time of a step is; with two frames in flight, the result of a frame takes two steps."""
    return "time between results" if isinstance(tracker, TwoInFlight) else "latency"


@dataclass
class Way:
    """Way to track `targets` targets at once, and what was measured of it.

    By repetition: seconds of each step for reading its images and for tracking, and the boxes (steps, 4) of the first
    target. `parts` are the seconds of each part of `track` and of "track" itself, by step. `memory` is in MiB.
    """

    name: str
    targets: int
    tracker: OneTarget | ManyTargets
    memory: float = math.nan
    reading: list[list[float]] = field(default_factory=list)
    tracking: list[list[float]] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)

    def frame_seconds(self, reading: bool = True) -> list[float]:
        """Return the mean seconds per frame of each repetition, with or without reading."""
        return [
            float(np.mean(track) + reading * np.mean(read)) / self.targets
            for read, track in zip(self.reading, self.tracking, strict=True)
        ]

    def speed(self, reading: bool = True) -> float:
        """Return the frames per second of the median repetition, with or without reading."""
        return 1 / statistics.median(self.frame_seconds(reading))

    def ratio(self, baseline: "Way", reading: bool = True) -> float:
        """Return the median over the repetitions of the baseline's time per frame over that of this way."""
        pairs = zip(baseline.frame_seconds(reading), self.frame_seconds(reading), strict=True)
        return statistics.median(expected / seconds for expected, seconds in pairs)

    def overlap(self, baseline: "Way") -> float:
        """Return the mean overlap with the baseline's boxes on the steps that both have."""
        return statistics.mean(map(_mean_overlap, self.boxes, baseline.boxes))


def _mean_overlap(boxes: np.ndarray, expected: np.ndarray) -> float:
    """Return the mean overlap of boxes xywh (steps, 4) on the steps that both have."""
    steps = min(len(boxes), len(expected))
    first, second = (
        np.hstack([array[:steps, :2], array[:steps, :2] + array[:steps, 2:]]) for array in (boxes, expected)
    )
    return float(IoU(first.T, second.T).mean())


class Runner:
    """Runs ways over clips; images of several targets are read by threads, one per core."""

    def __init__(self, clips: Sequence[Clip], threads: ThreadPoolExecutor) -> None:
        self.clips, self.threads = clips, threads

    def run(self, way: Way, steps: int, timer: Timer | None = None) -> tuple[list[float], list[float], np.ndarray]:
        """Start the targets on their first frames and track `steps` frames, each as the part "track" of a `timer`.

        Returns the seconds for reading and for tracking of each step, and the boxes (steps, 4) of the first target.
        """
        clips = self._clips(way)
        self.start(way)
        reading, tracking, boxes = [], [], []
        for step in range(1, steps + 1):
            began = time.perf_counter()
            images = self._read(clips, step)
            read = time.perf_counter()
            with timer("track") if timer else contextlib.nullcontext():
                boxes.append(way.tracker.track(images)[0])  # on the host, so the device has finished
            tracking.append(time.perf_counter() - read)
            reading.append(read - began)
        if isinstance(way.tracker, TwoInFlight):
            began = time.perf_counter()
            last = way.tracker.finish()
            tracking[-1] += time.perf_counter() - began
            boxes = [*boxes[1:], last[0]] if last is not None else boxes
        return reading, tracking, np.array(boxes)

    def repeat(self, way: Way, steps: int) -> None:
        """Run a way as `run` does, as one more of its repetitions."""
        reading, tracking, boxes = self.run(way, steps)
        way.reading.append(reading)
        way.tracking.append(tracking)
        way.boxes.append(boxes)

    def start(self, way: Way) -> list[np.ndarray]:
        """Start the targets of a way on their first frames, and return these."""
        clips = self._clips(way)
        images = self._read(clips, 0)
        way.tracker.start(images, [clip.box for clip in clips])
        return images

    def _clips(self, way: Way) -> list[Clip]:
        return [self.clips[index % len(self.clips)] for index in range(way.targets)]

    def _read(self, clips: Sequence[Clip], step: int) -> list[np.ndarray]:
        paths = [clip.path(step) for clip in clips]
        return [read_image(paths[0])] if len(paths) == 1 else list(self.threads.map(read_image, paths))


@contextlib.contextmanager
def timed_parts(way: Way, wait: Callable[[], None]) -> Iterator[Timer]:
    """Add the seconds of the parts of `track` to `way.parts`; wait() waits for the device around each part.

    Returns the timer, for further parts.
    """

    timer = partial(timed_part, wait, lambda part, seconds: way.parts.setdefault(part, []).append(seconds))
    way.tracker.set_timer(timer)
    try:
        yield timer
    finally:
        way.tracker.set_timer(None)
