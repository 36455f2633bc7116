"""All figures of an evaluation, beside its results."""

from collections.abc import Callable
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.evaluation.evaluate_runs import RunScores
from pysot.toolkit.evaluation.one_pass import OpeScores
from pysot.toolkit.evaluation.scoring import AnyScores
from pysot.toolkit.evaluation.supervised import Scores
from pysot.toolkit.evaluation.tracks import expected_overlap_curves, load_tracks, scored_folders
from pysot.toolkit.report.plots import FEWEST_TAGS, plot_curves, plot_expected_overlap, plot_runs, plot_scores, plot_tags, plot_timeline
from pysot.toolkit.report.summary import TELLINGS, tag_values

FORMATS = ("png", "pdf", "svg")
# The figure of the trackers, by the kind of scores.
PLOTS = {Scores: plot_scores, OpeScores: plot_curves, RunScores: lambda scores, path, vot: plot_runs(scores, path)}


def write_figures(
    folder: Path, dataset: Dataset, folders: list, scores: AnyScores, suffix: str = "png", progress: Callable = iter, experiment: str | None = None,
    vot: bool = False,
) -> list[Path]:
    """Draw into `folder`: <DATASET>_scores, <DATASET>_expected_overlap (VOT sets), <DATASET>_attributes (where three or more tags or attributes have values),
    and <DATASET>_timelines/<sequence>; other experiments than the usual one are <DATASET>_<experiment>_scores and so forth. `progress` wraps the sequences.
    With `vot`, accuracy, robustness, EAO and expected overlap are the official toolkit's. Returns the files, and the folder of the timelines last. Raises as
    `plots`.
    """
    experiment = dataset.experiment(experiment)
    name = dataset.name if experiment == dataset.experiment() else f"{dataset.name}_{experiment}"

    def named(what: str) -> Path:
        return folder / f"{name}_{what}.{suffix}"

    written = [PLOTS[type(scores)](scores, named("scores"), vot)]
    where = scored_folders(folders, scores)
    if isinstance(scores, Scores):
        title = f"{dataset.name}: expected overlap"
        written.append(plot_expected_overlap(expected_overlap_curves(dataset, where, experiment, vot), dataset.settings, named("expected_overlap"), title,
                                             vot))
    values = tag_values(scores)
    known = {tag for row in values.values() for tag, value in row.items() if value == value}
    if len(known) >= FEWEST_TAGS:
        written.append(plot_tags(values, named("attributes"), f"{dataset.name}: {TELLINGS[type(scores)].titles['attributes']}"))
    timelines = folder / f"{name}_timelines"
    for sequence in progress(dataset.sequences):
        tracks = load_tracks(dataset, sequence, where, scores, experiment)
        if not tracks:
            continue
        overlaps, losses = ({name: getattr(track, what) for name, track in tracks.items()} for what in ("overlap", "losses"))
        plot_timeline(sequence.name, overlaps, losses, timelines / f"{sequence.name}.{suffix}")
    return [*written, timelines]
