"""Tracking of a data set with several workers, processes or threads, each with its own tracker.

Workers take the sequences from one queue, the longest first, so that none is left to a single worker at the end.
Threads start at once and can share a network; processes also share several cards.
"""

import contextlib
import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.experiments.runner import Progress, run_sequences
from pysot.toolkit.protocol import BatchTracker, Tracker
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.step import Step
from pysot.utils.processes import worker_pool

_POLL = 0.25  # seconds between looks at the counter of frames


@dataclass(frozen=True)
class _Shared:
    """What all workers share: counters of tracked frames and of sequences that were taken, a queue of reports.

    Threads end at their next frame when `stop` is set; processes can be ended from outside.
    """

    frames: Any
    taken: Any
    reports: Any
    stop: threading.Event | None = None


class _Counter:
    """Counter of threads, with the interface of a value of multiprocessing."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def get_lock(self) -> threading.Lock:
        return self._lock


class _Stopped(BaseException):
    """End of a thread; not an Exception, which would end only the task."""


def run_in_processes(
    build: Callable[[int], Tracker | BatchTracker],
    workers: int,
    dataset: Dataset,
    tracker_dir: str | os.PathLike,
    on_frames: Callable[[int], None] | None = None,
    on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None = None,
    experiment: str | None = None,
    binary: bool = False,
) -> Progress:
    """Track a data set as `runner.run_dataset`, in `workers` processes.

    build(number) is called in each process with its number from 0 and returns its tracker, for batch trackers with the
    slots of `runner.lockstep_slots`; `build` must be picklable. The result of a sequence does not depend on which
    process tracks it. on_frames(count) gets the number of frames that are done, on_sequence is that of `run_dataset`.
    Raises the exceptions of `build`, and RuntimeError if a process dies; written results stay.
    """
    context = multiprocessing.get_context("spawn")
    shared = _Shared(context.Value("Q", 0), context.Value("Q", 0), context.Queue())
    unfinished = {sequence.name: sequence for sequence in dataset.sequences}
    try:
        with worker_pool(workers, partial(_prepare, build, shared, dataset, tracker_dir, experiment, binary)) as submit:
            calls = [submit() for _ in range(workers)]
            return _collect(shared, calls, unfinished, on_frames, on_sequence)
    except BrokenProcessPool:
        names = ", ".join(sorted(unfinished)[:5])
        raise RuntimeError(
            f"a process died while tracking one of {len(unfinished)} videos ({names} ...), most often killed for "
            "lack of memory. Finished videos are kept: run the same command again, with fewer --workers"
        ) from None


def run_in_threads(
    build: Callable[[int], Tracker | BatchTracker],
    workers: int,
    dataset: Dataset,
    tracker_dir: str | os.PathLike,
    on_frames: Callable[[int], None] | None = None,
    on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None = None,
    experiment: str | None = None,
    binary: bool = False,
) -> Progress:
    """Track a data set as `run_in_processes`, in `workers` threads of this process.

    An exception, such as an interrupt, ends the threads at their next frame; written results stay.
    """
    shared = _Shared(_Counter(), _Counter(), queue.Queue(), threading.Event())
    unfinished = {sequence.name: sequence for sequence in dataset.sequences}
    with ThreadPoolExecutor(workers, "tracker") as threads:
        try:
            work = partial(_work, build, shared, dataset, tracker_dir, experiment, binary)
            calls = [threads.submit(work, number) for number in range(workers)]
            return _collect(shared, calls, unfinished, on_frames, on_sequence)
        finally:
            assert shared.stop is not None
            shared.stop.set()


def _work(
    build: Callable[[int], Tracker | BatchTracker],
    shared: _Shared,
    dataset: Dataset,
    tracker_dir: str | os.PathLike,
    experiment: str | None,
    binary: bool,
    number: int,
) -> None:
    """Build the tracker of a thread, and track the sequences that it takes."""
    with contextlib.suppress(_Stopped):
        _prepare(build, shared, dataset, tracker_dir, experiment, binary, number)()


def _collect(
    shared: _Shared,
    calls: list[Future],
    unfinished: dict[str, Sequence],
    on_frames: Callable[[int], None] | None,
    on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None,
) -> Progress:
    """Return the progress of all workers when their calls are done; removes finished sequences from `unfinished`."""
    progress = Progress()
    while unfinished:
        name, state, reason, trajectory = _next_report(shared.reports, calls)
        if on_frames:
            on_frames(shared.frames.value)
        if not name:
            continue
        if state == "failed":
            progress.failed[name] = reason
        else:
            getattr(progress, state).append(name)
        sequence = unfinished.pop(name)
        if on_sequence:
            on_sequence(sequence, state, trajectory)
    return progress


def _next_report(reports: Any, calls: list[Future]) -> tuple[str, str, str, Trajectory | None]:
    """Return name, state, reason of failure and trajectory of a sequence; an empty name if none is done yet.

    Raises the exception of a worker that failed or died.
    """
    with contextlib.suppress(queue.Empty):
        return reports.get(timeout=_POLL)
    for call in calls:
        if call.done():
            call.result()
    return "", "", "", None


def _prepare(
    build: Callable[[int], Tracker | BatchTracker],
    shared: _Shared,
    dataset: Dataset,
    tracker_dir: str | os.PathLike,
    experiment: str | None,
    binary: bool,
    number: int,
) -> Callable[[], None]:
    """Build the tracker of a worker; return a function that tracks the sequences that it takes."""
    tracker = build(number)

    def count(sequence: Sequence, step: Step) -> None:
        with shared.frames.get_lock():
            shared.frames.value += 1
        if shared.stop is not None and shared.stop.is_set():
            raise _Stopped

    def track() -> None:
        progress = Progress()

        def report(sequence: Sequence, state: str, trajectory: Trajectory | None) -> None:
            sent = trajectory and replace(trajectory, masks={}, target_masks=(), soft_masks=())
            shared.reports.put((sequence.name, state, progress.failed.get(sequence.name, ""), sent))

        sequences = _take(dataset, shared.taken)
        run_sequences(tracker, dataset, sequences, tracker_dir, progress, count, report, experiment, binary)

    return track


def _take(dataset: Dataset, taken: Any) -> Iterator[Sequence]:
    """Yield sequences that no other worker takes."""
    sequences = dataset.longest_first()
    while True:
        with taken.get_lock():
            index = taken.value
            taken.value += 1
        if index >= len(sequences):
            return
        yield sequences[index]
