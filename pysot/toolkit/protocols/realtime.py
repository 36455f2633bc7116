"""VOT's realtime experiment: a tracker misses the frames that pass while it works.

Supervised sets without such results are simulated from the times of the baseline experiment.
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
from pysot.toolkit.results.files import load_seconds
from pysot.toolkit.results.lines import ResultError
from pysot.toolkit.results.paths import batch_file, holds_results
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.realtime import FPS, FrameClock, RealtimeTracker, simulate_realtime

NAME = "realtime"


def load_or_simulate(dataset: Dataset, sequence: Sequence, tracker_dir: Path, notes: list[str]) -> list[Trajectory]:
    """Load all repetitions on a sequence, or simulate them from the baseline experiment. Raises ResultError."""
    if holds_results(tracker_dir, NAME):
        return load_supervised(dataset, sequence, tracker_dir, notes, NAME)

    def simulate_run(run: Trajectory, path: Path) -> Trajectory:
        assert dataset.settings is not None  # the protocol's check requires them
        if batch_file(path).exists():
            raise ResultError(
                f"the seconds of {path} were shared by the targets of a batch ({batch_file(path).name}), and realtime "
                "needs those of one target; remove this result and track the video again without --batch"
            )
        recorded = replace(run, seconds=load_seconds(path, len(sequence)))
        return simulate_realtime(sequence, recorded, FrameClock(), dataset.settings.skipping)

    runs = load_supervised(dataset, sequence, tracker_dir, notes, change=simulate_run)
    notes.append(f"simulated at {FPS:g} frames per second from the times of the baseline experiment")
    return runs


REALTIME_SUPERVISED = replace(
    SUPERVISED,
    name=NAME,
    experiment=NAME,
    tasks=partial(supervised_tasks, experiment=NAME),
    load=load_or_simulate,
    wrap_tracker=RealtimeTracker,
    sources=(SUPERVISED.experiment,),
    is_default=False,
    timed=True,
)
REALTIME_MULTI_START = replace(
    MULTI_START,
    name=f"{NAME}, many starts",
    experiment=NAME,
    tasks=partial(tasks_of_starts, experiment=NAME),
    load=partial(load_starts, experiment=NAME),
    wrap_tracker=RealtimeTracker,
    is_default=False,
    timed=True,
)
