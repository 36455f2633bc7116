"""Track a data set with several processes, each with its own tracker.

The longest sequences come first, so that none is left to a single process at the end.
"""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.experiments.runner import Progress, run_dataset
from pysot.toolkit.results.trajectory import Trajectory
from pysot.utils.processes import worker_pool

_POLL = 0.25  # seconds between looks at the counter of frames


def run_in_processes(
    build: Callable[[int], object],
    workers: int,
    dataset: Dataset,
    tracker_dir: str | os.PathLike,
    on_frames: Callable[[int], None] | None = None,
    on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None = None,
    experiment: str | None = None,
) -> Progress:
    """As `runner.run_dataset`, in `workers` processes; build(number), which is called in each of them with its number from 0, gives its tracker and can be
    pickled.

    The result of a sequence does not depend on which process tracks it. on_frames(count) is told how many frames are done, on_sequence as there. Raises what
    `build` raises, and RuntimeError if a process dies; results that are written stay.
    """
    frames, progress, pending = multiprocessing.get_context("spawn").Value("Q", 0), Progress(), {}
    try:
        with worker_pool(workers, partial(_prepare, build, frames, dataset, tracker_dir, experiment)) as submit:
            pending |= {submit(sequence.name): sequence for sequence in dataset.longest_first()}
            while pending:
                done, _ = wait(pending, _POLL, FIRST_COMPLETED)
                if on_frames:
                    on_frames(frames.value)
                for future in done:
                    sequence, (part, trajectory) = pending.pop(future), future.result()
                    state = next(name for name in ("tracked", "kept", "failed") if getattr(part, name))
                    _add(progress, part)
                    if on_sequence:
                        on_sequence(sequence, state, trajectory)
    except BrokenProcessPool:
        left = ", ".join(sorted(sequence.name for sequence in pending.values())[:5])
        raise RuntimeError(
            f"a process died while tracking one of {len(pending)} videos ({left} ...): most often it was killed for memory. Finished videos "
            "are kept: run the same command again, with fewer --workers"
        ) from None
    return progress


def _add(progress: Progress, part: Progress) -> None:
    progress.tracked += part.tracked
    progress.kept += part.kept
    progress.failed |= part.failed


def _prepare(
    build, frames, dataset, tracker_dir, experiment, number: int
) -> Callable[[str], tuple[Progress, Trajectory | None]]:
    """In a worker process: its tracker, on a sequence by name."""
    tracker = build(number)

    def count(sequence, step) -> None:
        with frames.get_lock():
            frames.value += 1

    def track(name: str) -> tuple[Progress, Trajectory | None]:
        seen = []
        progress = run_dataset(
            tracker,
            dataset.only([name]),
            tracker_dir,
            count,
            lambda sequence, state, trajectory: seen.append(trajectory),
            experiment,
        )
        return progress, seen[0] and replace(seen[0], masks={})

    return track
