"""Write all figures of an evaluation to files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from pysot.toolkit.content.plot import Plot
from pysot.toolkit.protocol import Scores
from pysot.toolkit.report.draw_files import draw
from pysot.toolkit.report.score_plots import MIN_TAGS, tags_plot, timeline_plot
from pysot.toolkit.report.summary import tag_values
from pysot.utils.processes import map_in_processes

FORMATS = ("png", "pdf", "svg")
TIMELINES_PER_PROCESS = 8  # they take as long as the start of a process
_TIMELINE_DPI = 110


def score_plots(scores: Scores, official: bool) -> list[Plot]:
    """Return the plots of scores with timelines, without those of single sequences.

    With `official`, accuracy, robustness, EAO and expected overlap are in the official arithmetic. The attributes have
    a plot if three or more of them have values. Raises ValueError if no tracker was scored.
    """
    report = scores.protocol.report
    plots = report.plots(scores, official)
    values = tag_values(scores)
    tags = {tag for row in values.values() for tag, value in row.items() if value == value}
    if len(tags) >= MIN_TAGS:
        plots.append(tags_plot(values, f"{scores.dataset.name}: {report.titles['attributes']}"))
    return plots


def sequence_plot(scores: Scores, sequence: str) -> Plot:
    """Return the overlap by frame of the trackers with a timeline on a sequence. Raises ValueError if none has."""
    timelines = scores.timelines(sequence)
    return timeline_plot(
        sequence,
        {name: timeline.overlap for name, timeline in timelines.items()},
        {name: timeline.losses for name, timeline in timelines.items()},
        {score.name: place for place, score in enumerate(scores.scored)},
    )


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
    `official` is as in `score_plots`.

    Raises as `score_plots` and `draw`, and ValueError for scores without timelines.
    """
    names = [sequence.name for sequence in scores.dataset.sequences if scores.timelines(sequence.name)]
    timelines = folder / f"{scores.name}_timelines"
    items = ((name, sequence_plot(scores, name)) for name in names)
    processes = min(workers, len(names) // TIMELINES_PER_PROCESS)
    drawn = map_in_processes(partial(_draw_timeline, timelines, suffix), items, processes)
    written = [draw(plot, folder / f"{scores.name}_{plot.name}.{suffix}") for plot in score_plots(scores, official)]
    for _ in zip(progress(names), drawn, strict=True):
        pass
    return [*written, timelines]


def _draw_timeline(folder: Path, suffix: str, item: tuple[str, Plot]) -> None:
    name, plot = item
    draw(plot, folder / f"{name}.{suffix}", _TIMELINE_DPI)
