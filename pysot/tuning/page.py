"""A page that shows a search: its history, the scores over the settings, and the best ones."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import plotly.graph_objects as go
from optuna import visualization
from plotly.offline import get_plotlyjs

from pysot.toolkit.content.page_tables import Cell, PageTable, page_table
from pysot.toolkit.report.render_page import SCRIPT, STYLE, environment, read_template
from pysot.tuning.search import Scored
from pysot.tuning.study import Study
from pysot.utils.files import atomic_write

_BEST = 10  # settings in the table
_MARGIN = {"l": 60, "r": 20, "t": 30, "b": 50}


def write_page(path: Path, title: str, study: Study, measure: str, remark: str, scored: Sequence[Scored]) -> None:
    """Write the page of a study to an HTML file that needs no other file.

    `measure` is the name of the score that ranks the settings, `remark` says on which sequences; `scored` are the rows
    of the first table.
    """
    counts = study.count()
    figures = [
        (head, words, figure.to_html(full_html=False, include_plotlyjs=False))
        for head, words, figure in _figures(study, measure)
    ]
    text = (
        environment()
        .get_template("search.html")
        .render(
            title=title,
            remark=remark,
            style=read_template(STYLE),
            script=read_template(SCRIPT),
            plotly=get_plotlyjs(),
            scored=_scored_table(scored, measure),
            finished=counts["finished"],
            pruned=counts["pruned"],
            figures=figures,
            best=_best_table(study, measure),
        )
    )
    with atomic_write(path) as stream:
        stream.write(text)


def _figures(study: Study, measure: str) -> list[tuple[str, str, go.Figure]]:
    """Return heads, explanations and figures."""
    finished, names = study.finished, [parameter.name for parameter in study.space.parameters]
    figures = [
        (
            "History",
            f"Each dot is a finished setting in the order of the search; the line is the best {measure} so far.",
            visualization.plot_optimization_history(study.study, target_name=measure),
        )
    ]
    varied = [name for name in names if len({trial.params[name] for trial in finished}) > 1]
    if varied:
        words = f"{measure} of the finished settings over each number; darker dots came later."
        figures.append(
            ("Each number", words, visualization.plot_slice(study.study, params=varied, target_name=measure))
        )
    if len(varied) > 1:
        words = f"{measure} between the finished settings (dots), interpolated; darker is better."
        figure = visualization.plot_contour(study.study, params=varied, target_name=measure)
        figure.update_layout(height=min(1000, 320 * len(varied)))
        figures.append(("Landscape", words, figure))
    for _, _, figure in figures:
        figure.update_layout(title=None, margin=_MARGIN, template="plotly_white")
    return figures


def _scored_table(scored: Sequence[Scored], measure: str) -> PageTable:
    """Return the table of the best setting and the config's own."""
    rows = [
        [describe(each.values), each.tuned, math.nan if each.held_out is None else each.held_out] for each in scored
    ]
    return page_table("Scores", ["setting", f"{measure}, tuned on", f"{measure}, kept aside"], rows)


def _best_table(study: Study, measure: str) -> PageTable:
    rows = [
        [describe(study.space.values(trial.params)), Cell(f"{trial.values[0]:.4f}", trial.values[0])]
        for trial in study.finished[:_BEST]
    ]
    return page_table("Best settings", ["setting", measure], rows)


def describe(values: Mapping[str, float]) -> str:
    """Return values of TRACK as text; none are those of the config."""
    return ", ".join(f"{key} {value:g}" for key, value in values.items()) or "the config's"
