"""Functions that several protocols share: tasks and reports of runs without restarts, and checks of data sets."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.protocol import Report, Task
from pysot.toolkit.report.overviews import run_overview
from pysot.toolkit.report.run_tables import TITLES, by_attribute, run_tables, run_text
from pysot.toolkit.report.score_plots import run_plots
from pysot.toolkit.results.files import load_run, save_vot
from pysot.toolkit.results.paths import vot_file
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking.one_pass import one_pass_steps


def single_run_tasks(
    dataset: Dataset, sequence: Sequence, tracker_dir: Path, experiment: str, confidence: bool = False
) -> list[Task]:
    """Return the task of one run from the first frame to the last. `confidence`: confidences are saved as well."""
    path = vot_file(tracker_dir, sequence.name, experiment=experiment, similar_names=sequence.similar_names)
    return [run_task(sequence, path, confidence, bool(sequence.masks))]


def run_task(sequence: Sequence, path: Path, confidence: bool = False, with_mask: bool = False) -> Task:
    """Return the task of one run without restarts, with a 1 on the first line of its file.

    Long-term sets, whose results have confidences, want boxes. Others want the polygon of a tracker that has one, and
    `with_mask`, where the ground truth has masks, its mask.
    """
    steps = partial(
        one_pass_steps,
        with_start_code=True,
        with_polygon=not confidence,
        with_mask=with_mask and not confidence,
    )
    return Task(sequence, path, steps, save_vot if confidence else save_without_confidence, load_run)


def save_without_confidence(path: Path, trajectory: Trajectory) -> None:
    """Save a VOT result without its confidences."""
    save_vot(path, replace(trajectory, confidence=None))


def check_settings(dataset: Dataset) -> None:
    """Raise ValueError for a set without the settings of VOT's protocols."""
    if dataset.settings is None:
        raise ValueError(
            f"data set {dataset.name}: protocol {dataset.protocol!r} needs settings, got None; pass VotSettings"
        )


def run_report(axes: str) -> Report:
    """Return the report of runs without restarts; `axes` are those of its curves, such as "precision by recall"."""
    return Report(run_text, run_tables, TITLES, by_attribute, partial(run_plots, axes), run_overview)
