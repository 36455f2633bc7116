"""One pass, as in OTB, LaSOT, TrackingNet and GOT-10k: success, precision and average overlap."""

from functools import partial
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.one_pass import OnePassScore, load_one_pass, score_one_pass
from pysot.toolkit.protocol import Protocol, Report, Task
from pysot.toolkit.report.one_pass_tables import TITLES, attribute_values, one_pass_tables, one_pass_text
from pysot.toolkit.report.overviews import one_pass_overview
from pysot.toolkit.report.score_plots import one_pass_plots
from pysot.toolkit.results.files import load_ope, load_ope_seconds, save_ope
from pysot.toolkit.results.lines import ResultError
from pysot.toolkit.results.paths import ONE_PASS as OWN_FOLDER
from pysot.toolkit.results.paths import is_nested, ope_file
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.one_pass import one_pass_steps


def tasks(dataset: Dataset, sequence: Sequence, tracker_dir: Path) -> list[Task]:
    """Return one run; GOT-10k's results have a folder for each video."""
    nested = is_nested(dataset)
    path = ope_file(tracker_dir, sequence.name, nested)
    save = partial(_save, sequence.name, nested)
    return [Task(sequence, path, one_pass_steps, save, partial(_load, timed=nested))]


def _save(video: str, nested: bool, path: Path, trajectory: Trajectory) -> None:
    tracker_dir = path.parents[1 if nested else 0]
    save_ope(tracker_dir, video, trajectory.regions[:, :4], trajectory.seconds, nested, trajectory.batch)


def _load(path: Path, frames: int, timed: bool) -> Trajectory:
    """Load boxes. `timed`: their seconds must exist too, for GOT-10k's server. Raises ResultError."""
    boxes = load_ope(path, frames)
    if timed and not len(load_ope_seconds(path)):
        raise ResultError(f"{path} has no seconds per frame beside it")
    return Trajectory.from_frames(list(boxes))


def check(dataset: Dataset) -> None:
    """Raise ValueError for a set in which the result file of one video has the name of the time file of another."""
    names = {sequence.name for sequence in dataset.sequences}
    timed = [sequence.name for sequence in dataset.sequences if f"{sequence.name}_time" in names]
    if timed:
        raise ValueError(
            f"data set {dataset.name}: the result file of {timed[0]}_time would have the name of the time file of "
            f"{timed[0]}; rename one of the two"
        )


ONE_PASS = Protocol(
    name="one pass",
    dataset_protocols=("one pass",),
    experiment=OWN_FOLDER,
    tasks=tasks,
    load=load_one_pass,
    score=score_one_pass,
    score_class=OnePassScore,
    report=Report(one_pass_text, one_pass_tables, TITLES, attribute_values, one_pass_plots, one_pass_overview),
    check=check,
    is_default=True,
)
