"""Tracking of a data set by any protocol; a second call resumes where the first one stopped."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.protocol import BatchTracker, Protocol, Task, Tracker
from pysot.toolkit.protocols import find_protocol
from pysot.toolkit.results.lines import ResultError
from pysot.toolkit.results.target_masks import save_target_masks
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.alone import track_one_by_one
from pysot.toolkit.tracking.lockstep import track_in_lockstep
from pysot.toolkit.tracking.step import Step

logger = logging.getLogger(__name__)
_MOST_OBJECTS = 8  # in a batch, unless more are asked for


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


def default_batch(dataset: Dataset) -> int:
    """Return how many targets a tracker has by default: one, of sets with masks those of a sequence, at most eight."""
    return max(1, min(_MOST_OBJECTS, max(len(s.labels.objects) if s.labels else 1 for s in dataset.sequences)))


def lockstep_slots(
    batch: int, workers: int, dataset: Dataset, tracker_dir: str | os.PathLike, experiment: str | None = None
) -> int:
    """Return the slots of each process's tracker: `batch`, or fewer so that each of `workers` processes gets tasks."""
    protocol = find_protocol(dataset, experiment)
    tasks = (task for sequence in dataset.sequences for task in protocol.tasks(dataset, sequence, Path(tracker_dir)))
    unfinished = sum(not protocol.written_result(task).exists() for task in tasks)
    return max(1, min(batch, -(-unfinished // workers)))


def run_dataset(
    tracker: Tracker | BatchTracker,
    dataset: Dataset,
    tracker_dir: str | os.PathLike,
    on_frame: Callable[[Sequence, Step], None] | None = None,
    on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None = None,
    experiment: str | None = None,
    binary: bool = False,
) -> Progress:
    """Track all sequences and write each result as soon as it exists; a second call resumes where the first stopped.

    A batch tracker tracks several tasks in lockstep, the longest sequences first. A valid result that exists is kept.
    An exception of the tracker or of an image, or a mask that has no binary form, ends that task only, and its sequence
    is reported in `failed`; an exception while writing (a full disk) is raised. on_sequence(sequence, 'kept' |
    'tracked' | 'failed', last trajectory if tracked) is called after each. `experiment` is one of the set's, by default
    its default one. `binary`: results are written as the official toolkit's binary files; one that exists in either
    form is kept. Raises ValueError for a batch tracker in a timed experiment, and for `binary` where there is no such
    form.
    """
    sequences = dataset.longest_first() if isinstance(tracker, BatchTracker) else dataset.sequences
    progress = Progress()
    run_sequences(tracker, dataset, sequences, tracker_dir, progress, on_frame, on_sequence, experiment, binary)
    return progress


def run_sequences(
    tracker: Tracker | BatchTracker,
    dataset: Dataset,
    sequences: Iterable[Sequence],
    tracker_dir: str | os.PathLike,
    progress: Progress,
    on_frame: Callable[[Sequence, Step], None] | None = None,
    on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None = None,
    experiment: str | None = None,
    binary: bool = False,
) -> None:
    """Track sequences of a data set as `run_dataset`; each is taken from the iterable when the tracker is free.

    `progress` has the outcome of a sequence before on_sequence is called.
    """
    protocol = find_protocol(dataset, experiment)
    protocol.check_form(binary)
    ledger = _Ledger(protocol, progress, on_sequence)

    def on_step(task: Task, step: Step) -> None:
        if on_frame:
            on_frame(ledger.open[task.sequence.name].sequence, step)

    def tasks_of(sequence: Sequence) -> list[Task]:
        tasks = protocol.tasks(dataset, sequence, Path(tracker_dir))
        return [replace(task, path=task.path.with_suffix(".bin")) for task in tasks] if binary else tasks

    tasks = ledger.open_tasks(sequences, tasks_of)
    if isinstance(tracker, BatchTracker):
        if protocol.timed:
            raise ValueError(
                f"the {protocol.experiment} experiment needs the time that a tracker takes for one target, and this "
                "tracker shares its time between several; pass a tracker of one target"
            )
        track_in_lockstep(tracker, tasks, on_step, ledger.close_task)
    else:
        tracker = protocol.wrap_tracker(tracker) if protocol.wrap_tracker else tracker
        track_one_by_one(tracker, tasks, on_step, ledger.close_task, decode_ahead=not protocol.timed)


@dataclass
class _OpenSequence:
    """Sequence with tasks that are not done: how many, the last trajectory, and the first exception."""

    sequence: Sequence
    remaining: int
    trajectory: Trajectory | None = None
    error: Exception | None = None


class _Ledger:
    """Sequences under way, and the progress of those that are done."""

    def __init__(
        self,
        protocol: Protocol,
        progress: Progress,
        on_sequence: Callable[[Sequence, str, Trajectory | None], None] | None,
    ) -> None:
        self.protocol = protocol
        self.progress = progress
        self.on_sequence = on_sequence
        self.open: dict[str, _OpenSequence] = {}

    def open_tasks(self, sequences: Iterable[Sequence], tasks_of: Callable[[Sequence], list[Task]]) -> Iterator[Task]:
        """Yield the tasks without a valid result; report sequences that have none."""
        for sequence in sequences:
            tasks = [
                task for task in tasks_of(sequence) if not has_valid_result(task, self.protocol.written_result(task))
            ]
            if tasks:
                self.open[sequence.name] = _OpenSequence(sequence, len(tasks))
                yield from tasks
            else:
                self.progress.kept.append(sequence.name)
                self._report(sequence, "kept", None)

    def close_task(self, task: Task, outcome: Trajectory | Exception) -> None:
        """Write the result of a task, or keep its exception; report its sequence after the last one."""
        entry = self.open[task.sequence.name]
        entry.remaining -= 1
        error = save_result(task, outcome) if isinstance(outcome, Trajectory) else outcome
        if isinstance(outcome, Trajectory) and error is None:
            entry.trajectory = outcome
        else:
            entry.error = entry.error or error
        if entry.remaining:
            return
        name = self.open.pop(task.sequence.name).sequence.name
        if entry.error is None:
            self.progress.tracked.append(name)
            self._report(entry.sequence, "tracked", entry.trajectory)
            return
        self.progress.failed[name] = f"{type(entry.error).__name__}: {entry.error}"
        expected = isinstance(entry.error, (ValueError, OSError))
        logger.error("%s failed and has no result: %s", name, entry.error, exc_info=None if expected else entry.error)
        self._report(entry.sequence, "failed", None)

    def _report(self, sequence: Sequence, state: str, trajectory: Trajectory | None) -> None:
        if self.on_sequence:
            self.on_sequence(sequence, state, trajectory)


def save_result(task: Task, trajectory: Trajectory) -> ValueError | None:
    """Write the result of a task; return the error if it can't be written in its form."""
    try:
        save_target_masks(task.path, trajectory)
        task.save(task.path, trajectory)
    except ValueError as error:
        return error
    return None


def has_valid_result(task: Task, path: Path) -> bool:
    """Return whether a file exists and is a valid result of a task."""
    if not path.exists():
        return False
    try:
        task.load(path, len(task.sequence))
    except ResultError as error:
        logger.warning("%s: tracking it again", error)
        return False
    return True
