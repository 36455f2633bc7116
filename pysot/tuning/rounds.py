"""One round of a search: several settings of a tracker follow the sequences of a data set in lockstep."""

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.experiments.runner import has_valid_result, save_result
from pysot.toolkit.protocol import Protocol, Task
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.network import Network
from pysot.tracker.settings import TrackSettings
from pysot.tuning.call_sizes import CallSizes
from pysot.tuning.lockstep import Outcome, follow
from pysot.tuning.shared_network import SharedNetwork

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setting:
    """Settings of a tracker: the name of its results, what these depend on, and the folder they are written to."""

    name: str
    fingerprint: str
    settings: TrackSettings
    folder: Path


@dataclass
class Work:
    """Crops that settings have asked for, those that the network computed, and frames times settings."""

    searched: int = 0
    computed: int = 0
    frames: int = 0

    def add(self, other: "Work") -> None:
        """Add the work of another round."""
        self.searched += other.searched
        self.computed += other.computed
        self.frames += other.frames


class Stopped(BaseException):
    """End of a thread that tracks; not an Exception, which would end only one setting's task."""


class Lockstep:
    """Tracks a data set with several settings of one network.

    `make_network` returns a network for one thread, `sizes` are those of its calls. `workers` is the number of threads,
    each of which follows one sequence; with `long_term`, trackers have a lost state. on_frames(count) gets the frames
    times settings that were tracked since the last call, from any thread. When is_stopped() is true, the threads end at
    their next frame with the exception Stopped.
    """

    def __init__(
        self,
        dataset: Dataset,
        protocol: Protocol,
        make_network: Callable[[], Network],
        sizes: CallSizes,
        long_term: bool,
        workers: int,
        on_frames: Callable[[int], None] = lambda count: None,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        if protocol.timed:
            raise ValueError(
                f"{protocol.experiment} counts the seconds of one tracker, settings in lockstep share them: search on "
                "another experiment"
            )
        self.dataset, self.protocol = dataset, protocol
        self.make_network, self.sizes, self.long_term = make_network, sizes, long_term
        self.workers = min(workers, len(dataset))
        self.on_frames = on_frames
        self.work = Work()
        self.is_stopped = is_stopped
        self._networks: queue.SimpleQueue[Network] = queue.SimpleQueue()
        self._lock = threading.Lock()

    def track(
        self, order: Sequence[str], settings: Sequence[Setting], threads: ThreadPoolExecutor
    ) -> Iterator[tuple[str, list[Setting]]]:
        """Track sequences in an order; yield each one's name and settings when the results of these are written.

        The list of settings that was given may become shorter: sequences that begin later are tracked with those that
        are left. Results that exist are kept. Raises RuntimeError that names setting and sequence if one fails.
        """
        running: list[tuple[str, list[Setting], Future]] = []
        names = iter(order)
        while True:
            while len(running) < self.workers and settings and (name := next(names, None)) is not None:
                chosen = list(settings)
                running.append((name, chosen, threads.submit(self._follow, name, chosen)))
            if not running:
                return
            name, chosen, future = running.pop(0)
            for task, setting, outcome in future.result():
                if setting not in settings:  # pruned since then
                    continue
                if isinstance(outcome, Exception):
                    raise RuntimeError(f"{name} with {setting.name}: {type(outcome).__name__}: {outcome}") from outcome
                error = save_result(task, outcome)
                if error is not None:
                    raise error
            yield name, chosen

    def _follow(self, name: str, settings: Sequence[Setting]) -> list[tuple[Task, Setting, Outcome]]:
        """Track a sequence with settings; return the outcomes that are new."""
        sequence = self.dataset.only([name]).sequences[0]
        shared = SharedNetwork(self._take_network(), self.sizes)
        trackers = [BatchTracker(shared, setting.settings, long_term=self.long_term) for setting in settings]
        results = []
        for tasks in zip(*(self.protocol.tasks(self.dataset, sequence, each.folder) for each in settings), strict=True):
            missing = [
                index
                for index, task in enumerate(tasks)
                if not has_valid_result(task, self.protocol.written_result(task))
            ]
            self._count(task_frames(tasks) - len(missing) * len(tasks[0].sequence))
            if missing:
                outcomes = follow(tasks[0], [trackers[index] for index in missing], shared, self._on_frame)
                results += [(tasks[i], settings[i], outcome) for i, outcome in zip(missing, outcomes, strict=True)]
        self._networks.put(shared.network)
        with self._lock:
            self.work.searched += shared.searched
            self.work.computed += shared.computed
        return results

    def _take_network(self) -> Network:
        """Return a network that no thread uses."""
        try:
            return self._networks.get_nowait()
        except queue.Empty:
            return self.make_network()

    def _on_frame(self, *_: object) -> None:
        if self.is_stopped():
            raise Stopped
        self._count(1)

    def _count(self, frames: int) -> None:
        with self._lock:
            self.work.frames += frames
            self.on_frames(frames)


def task_frames(tasks: Sequence[Task]) -> int:
    """Return the frames of tasks."""
    return sum(len(task.sequence) for task in tasks)
