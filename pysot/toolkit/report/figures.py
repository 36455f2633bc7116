"""Write all figures of an evaluation."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from pysot.toolkit.protocol import Scores
from pysot.toolkit.report.plots import MIN_TAGS, plot_tags, plot_timeline
from pysot.toolkit.report.summary import tag_values
from pysot.utils.processes import map_in_processes

FORMATS = ("png", "pdf", "svg")
TIMELINES_PER_PROCESS = 8  # they take as long as the start of a process


def write_figures(
    folder: Path,
    scores: Scores,
    suffix: str = "png",
    progress: Callable = iter,
    official: bool = False,
    workers: int = 1,
) -> list[Path]:
    """Draw scores with timelines into `folder`. Returns the files; the last path is the folder of the timelines.

    The files are <DATASET>_scores, <DATASET>_expected_overlap (VOT sets), <DATASET>_attributes (if three or more tags
    or attributes have values) and <DATASET>_timelines/<sequence>; those of an experiment that is not the default have
    names such as <DATASET>_<experiment>_scores. `progress` wraps the timelines, which up to `workers` processes draw.
    With `official`, accuracy, robustness, EAO and expected overlap are in the official arithmetic.

    Raises as the functions of `plots`, and ValueError for scores without timelines.
    """

    def named(kind: str) -> Path:
        return folder / f"{scores.name}_{kind}.{suffix}"

    names = [sequence.name for sequence in scores.dataset.sequences if scores.timelines(sequence.name)]
    timelines = folder / f"{scores.name}_timelines"
    items = (_timeline(scores, name) for name in names)
    processes = min(workers, len(names) // TIMELINES_PER_PROCESS)
    drawn = map_in_processes(partial(_draw_timeline, timelines, suffix), items, processes)
    report = scores.protocol.report
    written = report.figures(scores, named, official)
    values = tag_values(scores)
    tags = {tag for row in values.values() for tag, value in row.items() if value == value}
    if len(tags) >= MIN_TAGS:
        written.append(plot_tags(values, named("attributes"), f"{scores.dataset.name}: {report.titles['attributes']}"))
    for _ in zip(progress(names), drawn, strict=True):
        pass
    return [*written, timelines]


def _timeline(scores: Scores, sequence: str) -> tuple[str, dict, dict]:
    """Return the name of a sequence, and overlap and losses of each tracker."""
    timelines = scores.timelines(sequence)
    return (
        sequence,
        {name: timeline.overlap for name, timeline in timelines.items()},
        {name: timeline.losses for name, timeline in timelines.items()},
    )


def _draw_timeline(folder: Path, suffix: str, item: tuple[str, dict, dict]) -> None:
    name, overlaps, losses = item
    plot_timeline(name, overlaps, losses, folder / f"{name}.{suffix}")
