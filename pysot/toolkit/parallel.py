"""Track a data set with several processes, each with a tracker of its own; the longest sequences come first, so that none is left to a single one at the end.
"""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from pysot.toolkit.runner import Progress, run_dataset
from pysot.toolkit.sequence import Dataset, Sequence
from pysot.toolkit.trajectory import Trajectory
from pysot.utils.signals import die_with_parent, end_helpers

_POLL = 0.25  # seconds between looks at the counter of frames


def run_in_processes(
    build: Callable[[int], object], workers: int, dataset: Dataset, tracker_dir: str | os.PathLike, on_frames: Callable[[int], None] | None = None,
    on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None = None, experiment: str | None = None,
) -> Progress:
    """As `runner.run_dataset`, in `workers` processes; build(number), which is called in each of them with its number from 0, gives its tracker and can be
    pickled.

    The result of a sequence does not depend on which process tracks it. on_frames(count) is told how many frames are done, on_sequence as there. Raises what
    `build` raises, and RuntimeError if a process dies; results that are written stay.
    """
    context = multiprocessing.get_context("spawn")
    frames, numbers, progress = context.Value("Q", 0), context.Value("i", 0), Progress()
    with ProcessPoolExecutor(workers, context, _start, (build, numbers, frames, dataset, tracker_dir, experiment)) as executor:
        pending = {executor.submit(_track, sequence.name): sequence for sequence in dataset.longest_first()}
        try:
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
            raise RuntimeError(f"a process died while tracking one of {len(pending)} videos ({left} ...): most often it was killed for memory. Finished videos "
                               "are kept: run the same command again, with fewer --workers") from None
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            end_helpers()
            raise
    return progress


def _add(progress: Progress, part: Progress) -> None:
    progress.tracked += part.tracked
    progress.kept += part.kept
    progress.failed |= part.failed


_here: dict = {}  # what a worker process knows


def _start(build, numbers, frames, dataset, tracker_dir, experiment):
    die_with_parent()
    with numbers.get_lock():
        number = numbers.value
        numbers.value += 1
    _here.update(frames=frames, dataset=dataset, tracker_dir=tracker_dir, experiment=experiment)
    try:
        _here["tracker"] = build(number)
    except Exception as error:  # said by the first sequence, since an executor does not tell what ended its processes
        _here["error"] = error


def _track(name: str) -> tuple[Progress, Trajectory | None]:
    if "error" in _here:
        raise _here["error"]
    seen = []

    def on_frame(sequence, step):
        with _here["frames"].get_lock():
            _here["frames"].value += 1

    progress = run_dataset(_here["tracker"], _here["dataset"].only([name]), _here["tracker_dir"], on_frame,
                           lambda sequence, state, trajectory: seen.append(trajectory), _here["experiment"])
    return progress, seen[0] and replace(seen[0], masks={})
