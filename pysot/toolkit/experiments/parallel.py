"""Tracking of a data set with several processes, each with its own tracker.

The longest sequences come first, so that none is left to a single process at the end.
"""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from typing import Any

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.experiments.runner import Progress, run_dataset
from pysot.toolkit.protocol import Tracker
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.step import Step
from pysot.utils.processes import worker_pool

_POLL = 0.25  # seconds between looks at the counter of frames


def run_in_processes(
    build: Callable[[int], Tracker],
    workers: int,
    dataset: Dataset,
    tracker_dir: str | os.PathLike,
    on_frames: Callable[[int], None] | None = None,
    on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None = None,
    experiment: str | None = None,
) -> Progress:
    """Track a data set as `runner.run_dataset`, in `workers` processes.

    build(number) is called in each process with its number from 0 and returns its tracker; `build` must be picklable.
    The result of a sequence does not depend on which process tracks it. on_frames(count) gets the number of frames that
    are done, on_sequence is that of `run_dataset`. Raises the exceptions of `build`, and RuntimeError if a process
    dies; written results stay.
    """
    frames, progress = multiprocessing.get_context("spawn").Value("Q", 0), Progress()
    pending: dict[Future, Sequence] = {}
    try:
        with worker_pool(workers, partial(_prepare, build, frames, dataset, tracker_dir, experiment)) as submit:
            pending |= {submit(sequence.name): sequence for sequence in dataset.longest_first()}
            while pending:
                done, _ = wait(pending, _POLL, FIRST_COMPLETED)
                if on_frames:
                    on_frames(frames.value)
                for future in done:
                    sequence, (sequence_progress, trajectory) = pending.pop(future), future.result()
                    state = next(name for name in ("tracked", "kept", "failed") if getattr(sequence_progress, name))
                    _add(progress, sequence_progress)
                    if on_sequence:
                        on_sequence(sequence, state, trajectory)
    except BrokenProcessPool:
        unfinished = ", ".join(sorted(sequence.name for sequence in pending.values())[:5])
        raise RuntimeError(
            f"a process died while tracking one of {len(pending)} videos ({unfinished} ...), most often killed for "
            "lack of memory. Finished videos are kept: run the same command again, with fewer --workers"
        ) from None
    return progress


def _add(progress: Progress, added: Progress) -> None:
    progress.tracked += added.tracked
    progress.kept += added.kept
    progress.failed |= added.failed


def _prepare(
    build: Callable[[int], Tracker],
    frames: Any,
    dataset: Dataset,
    tracker_dir: str | os.PathLike,
    experiment: str | None,
    number: int,
) -> Callable[[str], tuple[Progress, Trajectory | None]]:
    """Build the tracker of a worker process; returns a function that tracks a sequence by name.

    `frames` is the counter of frames that all processes share.
    """
    tracker = build(number)

    def count(sequence: Sequence, step: Step) -> None:
        with frames.get_lock():
            frames.value += 1

    def track(name: str) -> tuple[Progress, Trajectory | None]:
        trajectories: list[Trajectory | None] = []
        progress = run_dataset(
            tracker,
            dataset.only([name]),
            tracker_dir,
            count,
            lambda sequence, state, trajectory: trajectories.append(trajectory),
            experiment,
        )
        return progress, trajectories[0] and replace(trajectories[0], masks={})

    return track
