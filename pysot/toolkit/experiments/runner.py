"""Tracking of a data set by any protocol; a second call resumes where the first one stopped."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.protocol import Task, Tracker
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.results.lines import ResultError
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.step import Step

logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """Videos of a set by outcome: tracked, kept because they had a valid result, or failed, with the reason."""

    tracked: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def frames_to_track(
    dataset: Dataset, sequence: Sequence, tracker_dir: str | os.PathLike, experiment: str | None = None
) -> int:
    """Return the number of frames in the tasks of a sequence, including those that are tracked already."""
    tasks = find_protocol(dataset, experiment).tasks(dataset, sequence, Path(tracker_dir))
    return sum(len(task.sequence) for task in tasks)


def run_sequence(
    tracker: Tracker, tasks: list[Task], on_frame: Callable[[Step], None] | None = None
) -> Trajectory | None:
    """Track the tasks that have no valid result, and write each result as soon as it exists.

    Returns the last trajectory, None if all results existed. Raises exceptions of the tracker or of an image as
    TrackingError, and OSError of writing as it is.
    """
    trajectory = None
    for task in tasks:
        if _has_valid_result(task):
            continue
        try:
            trajectory = task.run(tracker, task.sequence, on_frame)
        except Exception as error:  # a tracker may raise anything; the other sequences do not depend on it
            raise TrackingError(error) from error
        task.save(trajectory)
    return trajectory


class TrackingError(Exception):
    """Exception of a tracker or an image on a sequence."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")


def run_dataset(
    tracker: Tracker,
    dataset: Dataset,
    tracker_dir: str | os.PathLike,
    on_frame: Callable[[Sequence, Step], None] | None = None,
    on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None = None,
    experiment: str | None = None,
) -> Progress:
    """Track all sequences and write each result as soon as it exists; a second call resumes where the first stopped.

    A valid result that exists is kept. An exception of the tracker or of an image ends that sequence only and is
    reported in `failed`; an exception while writing (a full disk) is raised. on_sequence(sequence, 'kept' | 'tracked' |
    'failed', trajectory if tracked) is called after each. `experiment` is one of the set's, by default its default one.
    """
    progress, protocol = Progress(), find_protocol(dataset, experiment)
    tracker = protocol.wrap_tracker(tracker) if protocol.wrap_tracker else tracker
    for sequence in dataset.sequences:
        state, trajectory = "failed", None
        tasks = protocol.tasks(dataset, sequence, Path(tracker_dir))
        try:
            trajectory = run_sequence(tracker, tasks, on_frame and partial(on_frame, sequence))
        except TrackingError as error:
            progress.failed[sequence.name] = str(error)
            expected = isinstance(error.__cause__, (ValueError, OSError))
            logger.error("%s failed and has no result: %s", sequence.name, error.__cause__, exc_info=not expected)
        else:
            state = "kept" if trajectory is None else "tracked"
            getattr(progress, state).append(sequence.name)
        if on_sequence:
            on_sequence(sequence, state, trajectory)
    return progress


def _has_valid_result(task: Task) -> bool:
    if not task.path.exists():
        return False
    try:
        task.load(task.path, len(task.sequence))
    except ResultError as error:
        logger.warning("%s: tracking it again", error)
        return False
    return True
