"""VOT's realtime experiment: the frames that pass while a tracker works are missed. Where there are no results of a supervised set, they are simulated from the
times of the baseline experiment.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.supervised import load_supervised
from pysot.toolkit.protocols.multistart import MULTI_START, load_starts
from pysot.toolkit.protocols.multistart import tasks as tasks_of_starts
from pysot.toolkit.protocols.supervised import SUPERVISED
from pysot.toolkit.protocols.supervised import tasks as supervised_tasks
from pysot.toolkit.results.files import holds_results, load_seconds
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.realtime import FPS, FrameClock, RealtimeTracker, simulate

NAME = "realtime"


def load_or_simulate(dataset: Dataset, sequence: Sequence, tracker_dir: Path, notes: list[str]) -> list[Trajectory]:
    """All repetitions on a sequence, or what realtime is simulated to make of those of the baseline. Raises ResultError."""
    if holds_results(tracker_dir, NAME):
        return load_supervised(dataset, sequence, tracker_dir, notes, NAME)

    def simulated(run: Trajectory, path: Path) -> Trajectory:
        return simulate(
            sequence, replace(run, seconds=load_seconds(path, len(sequence))), FrameClock(), dataset.settings.skipping
        )

    runs = load_supervised(dataset, sequence, tracker_dir, notes, change=simulated)
    notes.append(f"simulated at {FPS:g} frames per second from the times of the baseline experiment")
    return runs


REALTIME_SUPERVISED = replace(
    SUPERVISED,
    name=NAME,
    experiment=NAME,
    tasks=partial(supervised_tasks, experiment=NAME),
    load=load_or_simulate,
    wrap=RealtimeTracker,
    sources=(SUPERVISED.experiment,),
    usual=False,
    timed=True,
)
REALTIME_MULTI_START = replace(
    MULTI_START,
    name=f"{NAME}, many starts",
    experiment=NAME,
    tasks=partial(tasks_of_starts, experiment=NAME),
    load=partial(load_starts, experiment=NAME),
    wrap=RealtimeTracker,
    usual=False,
    timed=True,
)
