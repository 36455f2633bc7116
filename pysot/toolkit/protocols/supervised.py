"""The supervised protocol of VOT until 2019: restarts after losses; accuracy, robustness and EAO."""

from functools import partial
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.supervised import SupervisedScore, load_supervised, score_supervised
from pysot.toolkit.protocol import Protocol, Report, Task
from pysot.toolkit.protocols.shared import check_settings, save_without_confidence
from pysot.toolkit.report.overviews import supervised_overview
from pysot.toolkit.report.score_plots import supervised_plots
from pysot.toolkit.report.supervised_tables import TITLES, by_tag, supervised_tables, supervised_text
from pysot.toolkit.results.files import load_baseline
from pysot.toolkit.results.paths import vot_file
from pysot.toolkit.tracking.supervised import supervised_steps


def tasks(dataset: Dataset, sequence: Sequence, tracker_dir: Path, experiment: str = "baseline") -> list[Task]:
    """Return the task of one run with restarts."""
    assert dataset.settings is not None  # the protocol's check requires them
    path = vot_file(tracker_dir, sequence.name, experiment=experiment, similar_names=sequence.similar_names)
    steps = partial(supervised_steps, skipping=dataset.settings.skipping)
    return [Task(sequence, path, steps, save_without_confidence, load_baseline)]


REPORT = Report(supervised_text, supervised_tables, TITLES, by_tag, supervised_plots, supervised_overview)

SUPERVISED = Protocol(
    name="supervised",
    dataset_protocols=("supervised",),
    experiment="baseline",
    tasks=tasks,
    load=load_supervised,
    score=score_supervised,
    score_class=SupervisedScore,
    report=REPORT,
    check=check_settings,
    is_default=True,
    has_binary=True,
    restarts=True,
)
