"""Sets with masks of objects, DAVIS and YouTube-VOS: a tracker for each object; J and F."""

from functools import partial
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.objects import ObjectsScore, load_objects, score_objects
from pysot.toolkit.protocol import Protocol, Report, Task
from pysot.toolkit.report.objects_overview import objects_overview
from pysot.toolkit.report.objects_plots import objects_plots
from pysot.toolkit.report.objects_tables import TITLES, by_attribute, objects_tables, objects_text
from pysot.toolkit.results.label_results import ObjectTrajectories, check_label_files, label_folder
from pysot.toolkit.results.paths import ONE_PASS as OWN_FOLDER
from pysot.toolkit.tracking.objects import object_steps


def tasks(dataset: Dataset, sequence: Sequence, tracker_dir: Path) -> list[Task]:
    """Return the task of each object, from the frame it appears on; together they write the label images."""
    folder, labels = label_folder(tracker_dir, sequence), sequence.labels
    assert labels is not None  # sets of this protocol have them
    trajectories = ObjectTrajectories(sequence)
    return [
        Task(
            sequence.run_from(start, backwards=False),
            folder,
            partial(object_steps, labels, number),
            partial(trajectories.add, number),
            partial(_check, sequence),
        )
        for number, start in labels.objects.items()
    ]


def _check(sequence: Sequence, folder: Path, frames: int) -> None:
    """Raise ResultError for the results of a sequence that are not complete, whatever the frames of an object."""
    check_label_files(folder, sequence, range(len(sequence)))


OBJECTS = Protocol(
    name="objects",
    dataset_protocols=("objects",),
    experiment=OWN_FOLDER,
    tasks=tasks,
    load=load_objects,
    score=score_objects,
    score_class=ObjectsScore,
    report=Report(objects_text, objects_tables, TITLES, by_attribute, objects_plots, objects_overview),
    is_default=True,
)
