"""Parts of test.py: what it tracks with, tracking with one worker or several, and results drawn on the frames."""

import itertools
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.experiments.parallel import run_in_processes, run_in_threads
from pysot.toolkit.experiments.render import render, render_objects
from pysot.toolkit.experiments.runner import Progress, frames_to_track, run_dataset
from pysot.toolkit.protocol import BatchTracker, Protocol, Tracker
from pysot.toolkit.results.target_masks import load_target_masks
from pysot.toolkit.results.trajectory import Trajectory
from pysot.utils.progress import progress_bar

logger = logging.getLogger("test")


@dataclass(frozen=True)
class LoadedTracker:
    """A tracker that is ready to be built.

    build             build(slots) -> tracker of one target, or for more slots that of a batch
    fingerprint       identifies everything that its results depend on
    device            what computes it, for people
    computing         returns the context in which it is built and tracks
    build_in_process  build_in_process(slots, number) -> the same in the worker process of a number from 0, picklable;
                      None if workers are threads that share what `build` holds
    """

    build: Callable[[int], Tracker | BatchTracker]
    fingerprint: str
    device: str
    computing: Callable[[], AbstractContextManager]
    build_in_process: Callable[[int, int], Tracker | BatchTracker] | None


@dataclass(frozen=True)
class TrackerSource:
    """A tracker of the command line, whatever computes its network.

    name             of the folder of its results
    has_masks        its results are masks
    default_workers  default_workers(videos) -> how many workers track so many videos unless the command says it
    load             returns it, ready to be built
    """

    name: str
    has_masks: bool
    default_workers: Callable[[int], int]
    load: Callable[[], LoadedTracker]


def make_run(tracker: LoadedTracker, slots: int, workers: int) -> Callable[..., Progress]:
    """Return a function that tracks a data set with workers.

    It is called as run(dataset, folder, on_frames, on_sequence, experiment, binary), see `run_in_threads`.
    """
    if tracker.build_in_process is None:
        return partial(run_in_threads, lambda number: tracker.build(slots), workers)
    if workers > 1:
        return partial(run_in_processes, partial(tracker.build_in_process, slots), workers)

    def run(dataset: Dataset, folder: Path, on_frames: Callable[[int], None], *rest: Any) -> Progress:
        frames = itertools.count(1)
        return run_dataset(tracker.build(slots), dataset, folder, lambda sequence, step: on_frames(next(frames)), *rest)

    return run


def track(
    run: Callable[..., Progress], dataset: Dataset, folder: Path, protocol: Protocol, binary: bool
) -> dict[str, str]:
    """Track with a function of `make_run`; return the failed sequences with the reasons.

    `binary`: results are the official toolkit's binary files.
    """
    experiment = protocol.experiment
    frames = {sequence.name: frames_to_track(dataset, sequence, folder, experiment) for sequence in dataset.sequences}
    with progress_bar(None, total=sum(frames.values()), description=f"{dataset.name}, {folder.name}") as bar:

        def on_sequence(sequence: Sequence, state: str, trajectory: Trajectory | None) -> None:
            if state == "kept":
                logger.info("Video: %s has a result already in %s", sequence.name, folder)
                bar.update(frames[sequence.name])
            elif trajectory is not None:
                speed = len(trajectory) / trajectory.seconds.sum()
                lost = f" Lost: {len(trajectory.failures)}" if protocol.restarts else ""
                shared = "" if trajectory.batch is None else " in a batch"
                logger.info("Video: %-12s Speed: %.1ffps%s%s", sequence.name, speed, shared, lost)

        tracked = 0

        def on_frames(count: int) -> None:
            nonlocal tracked
            bar.update(count - tracked)
            tracked = count

        return run(dataset, folder, on_frames, on_sequence, experiment, binary).failed


def draw(dataset: Dataset, folder: Path, protocol: Protocol, with_masks: bool) -> None:
    """Write one video per sequence, with ground truth, tracked regions and the outlines of masks.

    `with_masks`: the tracker has masks, and a sequence without is worth a warning.
    """
    videos = folder / ("vis" if protocol.is_default else f"vis_{protocol.experiment}")
    total = sum(map(len, dataset.sequences))
    with progress_bar(None, total=total, description=f"drawing {folder.name}") as bar:
        for sequence in dataset.sequences:
            task, path = protocol.tasks(dataset, sequence, folder)[0], videos / f"{sequence.name}.mp4"
            if sequence.labels:
                logger.info("wrote %s", render_objects(sequence, task.path, path, bar.update))
                continue
            result = protocol.written_result(task)
            trajectory, masks = task.load(result, len(task.sequence)), load_target_masks(result)
            logger.info("wrote %s", render(task.sequence, trajectory, path, bar.update, masks))
            if with_masks and not masks and not trajectory.masks:
                text = "%s has no masks to draw: it was tracked without --vis; remove it to track %s again"
                logger.warning(text, result, sequence.name)
