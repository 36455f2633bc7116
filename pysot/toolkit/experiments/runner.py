"""Track a data set, by whatever protocol it has; a second call goes on where the first one stopped."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.protocol import Task
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.results.lines import ResultError
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.step import Step

logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """Which videos of a set were tracked, which had a valid result already, and which failed, with the reason."""

    tracked: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def frames_to_track(
    dataset: Dataset, sequence: Sequence, tracker_dir: str | os.PathLike, experiment: str | None = None
) -> int:
    """How many frames the tasks of a sequence have, those that are tracked already included."""
    return sum(
        len(task.sequence) for task in find_protocol(dataset, experiment).tasks(dataset, sequence, Path(tracker_dir))
    )


def run_sequence(tracker, tasks: list[Task], watch: Callable[[Step], None] | None = None) -> Trajectory | None:
    """Track what has no valid result yet and write each result as soon as it is there. Returns the last trajectory, None if all were there. Raises what the
    tracker or an image raises, as TrackingError, and OSError of writing as it is.
    """
    trajectory = None
    for task in tasks:
        if _is_done(task):
            continue
        try:
            trajectory = task.run(tracker, task.sequence, watch)
        except Exception as error:  # a tracker may raise anything; the other sequences do not depend on it
            raise TrackingError(error) from error
        task.save(trajectory)
    return trajectory


class TrackingError(Exception):
    """What a tracker or an image raised on a sequence."""

    def __init__(self, cause: Exception):
        super().__init__(f"{type(cause).__name__}: {cause}")


def run_dataset(
    tracker,
    dataset: Dataset,
    tracker_dir: str | os.PathLike,
    on_frame: Callable[[Sequence, Step], None] | None = None,
    on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None = None,
    experiment: str | None = None,
) -> Progress:
    """Track all sequences and write each result as soon as it is there: a second call goes on where a killed one stopped.

    A valid result that is already there is kept. An exception of the tracker or of an image ends that sequence only and is reported in `failed`; one
    while writing (a full disk) is raised. on_sequence(sequence, 'kept' | 'tracked' | 'failed', trajectory if tracked) is called after each. `experiment` is
    one of the set's, by default its usual one.
    """
    progress, protocol = Progress(), find_protocol(dataset, experiment)
    tracker = protocol.wrap(tracker) if protocol.wrap else tracker
    for sequence in dataset.sequences:
        state, trajectory = "failed", None
        try:
            trajectory = run_sequence(
                tracker, protocol.tasks(dataset, sequence, Path(tracker_dir)), on_frame and partial(on_frame, sequence)
            )
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


def _is_done(task: Task) -> bool:
    if not task.path.exists():
        return False
    try:
        task.load(task.path, len(task.sequence))
    except ResultError as error:
        logger.warning("%s: tracking it again", error)
        return False
    return True
