"""All figures of an evaluation, beside its results."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from pysot.toolkit.protocol import Scores
from pysot.toolkit.report.plots import FEWEST_TAGS, plot_tags, plot_timeline
from pysot.toolkit.report.summary import tag_values
from pysot.utils.processes import map_in_processes

FORMATS = ("png", "pdf", "svg")
WORTH_A_PROCESS = 8  # timelines, which take as long as the start of a process


def write_figures(
    folder: Path,
    scores: Scores,
    suffix: str = "png",
    progress: Callable = iter,
    official: bool = False,
    workers: int = 1,
) -> list[Path]:
    """Draw scores with timelines into `folder`: <DATASET>_scores, <DATASET>_expected_overlap (VOT sets), <DATASET>_attributes (where three or more tags or
    attributes have values), and <DATASET>_timelines/<sequence>; other experiments than the usual one are <DATASET>_<experiment>_scores and so forth.

    `progress` wraps the timelines, which up to `workers` processes draw. With `official`, accuracy, robustness, EAO and expected overlap are the official
    toolkit's. Returns the files, and the folder of the timelines last. Raises as `plots`, and ValueError for scores without timelines.
    """

    def named(what: str) -> Path:
        return folder / f"{scores.name}_{what}.{suffix}"

    shown, timelines = (
        [sequence.name for sequence in scores.dataset.sequences if scores.timelines(sequence.name)],
        folder / f"{scores.name}_timelines",
    )
    items, processes = (_timeline(scores, name) for name in shown), min(workers, len(shown) // WORTH_A_PROCESS)
    drawn = map_in_processes(partial(_draw_timeline, timelines, suffix), items, processes)
    report, values = scores.protocol.report, tag_values(scores)
    written = report.figures(scores, named, official)
    known = {tag for row in values.values() for tag, value in row.items() if value == value}
    if len(known) >= FEWEST_TAGS:
        written.append(plot_tags(values, named("attributes"), f"{scores.dataset.name}: {report.titles['attributes']}"))
    for _ in zip(progress(shown), drawn, strict=True):
        pass
    return [*written, timelines]


def _timeline(scores: Scores, sequence: str) -> tuple[str, dict, dict]:
    """The name of a sequence, and overlap and losses of each tracker."""
    timelines = scores.timelines(sequence)
    return (
        sequence,
        {name: timeline.overlap for name, timeline in timelines.items()},
        {name: timeline.losses for name, timeline in timelines.items()},
    )


def _draw_timeline(folder: Path, suffix: str, item: tuple[str, dict, dict]) -> None:
    name, overlaps, losses = item
    plot_timeline(name, overlaps, losses, folder / f"{name}.{suffix}")
