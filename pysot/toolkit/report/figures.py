"""Write all figures of an evaluation to files."""

import itertools
from functools import partial
from pathlib import Path

from pysot.toolkit.content.plot import Plot
from pysot.toolkit.protocol import Scores
from pysot.toolkit.report.draw_files import draw
from pysot.toolkit.report.score_plots import plots_of, sequence_plot
from pysot.utils.processes import map_in_processes
from pysot.utils.progress import Bar, no_bar

FORMATS = ("png", "pdf", "svg")
TIMELINES_PER_PROCESS = 8  # they take as long as the start of a process
_TIMELINE_DPI = 110


def write_figures(
    folder: Path,
    scores: Scores,
    suffix: str = "png",
    bar: Bar = no_bar,
    official: bool = False,
    workers: int = 1,
) -> list[Path]:
    """Draw scores with timelines into `folder`. Returns the files; the last path is the folder of the timelines.

    The files are <DATASET>_scores, <DATASET>_expected_overlap (VOT sets), <DATASET>_attributes (if three or more tags
    or attributes have values) and <DATASET>_timelines/<sequence>; those of an experiment that is not the default have
    names such as <DATASET>_<experiment>_scores. `bar` shows the figures; up to `workers` processes draw the timelines.
    `official` is as in `plots_of`.

    Raises as `plots_of` and `draw`, and ValueError for scores without timelines.
    """
    names = [sequence.name for sequence in scores.dataset.sequences if scores.timelines(sequence.name)]
    timelines = folder / f"{scores.name}_timelines"
    items = ((name, sequence_plot(scores, name)) for name in names)
    processes = min(workers, len(names) // TIMELINES_PER_PROCESS)
    drawn = map_in_processes(partial(_draw_timeline, timelines, suffix), items, processes)
    plots = plots_of(scores, official)
    others = (draw(plot, folder / f"{scores.name}_{plot.name}.{suffix}") for plot in plots)
    *written, _ = bar(itertools.chain(others, drawn), total=len(plots) + len(names), description="figures")
    return [*written[: len(plots)], timelines]


def _draw_timeline(folder: Path, suffix: str, item: tuple[str, Plot]) -> None:
    name, plot = item
    draw(plot, folder / f"{name}.{suffix}", _TIMELINE_DPI)
