"""What several protocols have in common: tasks of one run without restarts, how such runs are reported, and checks of data sets."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.protocol import Report, Task
from pysot.toolkit.report.overviews import run_overview
from pysot.toolkit.report.plots import run_figures
from pysot.toolkit.report.run_tables import TITLES, by_attribute, run_tables, run_text
from pysot.toolkit.results.files import load_run, save_vot, vot_file
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.one_pass import run_one_pass


def one_run(
    dataset: Dataset, sequence: Sequence, tracker_dir: Path, experiment: str, confidence: bool = False
) -> list[Task]:
    """A run from the first frame to the last, with a 1 on the first line of its file; `scores`: confidences are saved as well."""
    path = vot_file(tracker_dir, sequence.name, experiment=experiment, alike=sequence.alike)
    return [run_task(sequence, path, confidence)]


def run_task(sequence: Sequence, path: Path, confidence: bool = False) -> Task:
    """The task of one run without restarts."""
    return Task(
        sequence,
        path,
        partial(run_one_pass, code=True),
        partial(save_vot if confidence else save_without_confidence, path),
        load_run,
    )


def save_without_confidence(path: Path, trajectory: Trajectory) -> None:
    """Save a VOT result without its confidences."""
    save_vot(path, replace(trajectory, confidence=None))


def needs_settings(dataset: Dataset) -> None:
    """Raise ValueError for a set without the numbers of VOT's protocols."""
    if dataset.settings is None:
        raise ValueError(
            f"data set {dataset.name}: the protocol {dataset.protocol!r} needs settings; give it VotSettings"
        )


def run_report(axes: str) -> Report:
    """The report of runs without restarts, whose curves have these axes: "precision by recall"."""
    return Report(run_text, run_tables, TITLES, by_attribute, partial(run_figures, axes), partial(run_overview, axes))
