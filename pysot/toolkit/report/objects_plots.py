"""Plot scores of masks of objects: F against J, and the shares of frames above a J and above an F."""

import os
from collections.abc import Callable
from pathlib import Path

from pysot.toolkit.evaluation.objects import THRESHOLDS, ObjectsScore
from pysot.toolkit.protocol import Scores
from pysot.toolkit.report.canvas import legend_beside, line_style, marker_style, new_figure, plain, save
from pysot.toolkit.report.score_types import scored_as


def objects_figures(scores: Scores, named: Callable[[str], Path], official: bool) -> list[Path]:
    """Draw `plot_objects`."""
    return [plot_objects(scores, named("scores"))]


def plot_objects(scores: Scores, path: str | os.PathLike) -> Path:
    """Plot F against J of each tracker, and its shares of frames above a J and above an F, side by side.

    J&F is in the legend. Returns the path; its suffix is the format. Raises ValueError without trackers, ImportError
    without matplotlib, and OSError as `atomic_write`.
    """
    scored = scored_as(scores, ObjectsScore)
    figure = new_figure(scored, (15, 4.8))
    dots, *panels = figure.subplots(1, 3)
    for place, score in enumerate(scored):
        style = {"linestyle": "none", "markersize": 9, **marker_style(place)}
        dots.plot(score.all.j.mean, score.all.f.mean, label=plain(f"{score.name} [{score.rank_by:.3f}]"), **style)
        for axes, name in zip(panels, ("J", "F"), strict=True):
            axes.plot(THRESHOLDS, score.curves[name], zorder=3 - place / 100, **line_style(place))
    title = scores.dataset.name
    dots.set(xlabel="J: mean overlap of masks", ylabel="F: mean match of boundaries", title=plain(f"{title}: J, F"))
    for axes, name in zip(panels, ("J", "F"), strict=True):
        axes.set(
            xlabel=f"threshold of {name}",
            ylabel="share of frames",
            title=plain(f"{title}: frames above a threshold of {name}"),
        )
        axes.set(xlim=(0, 1), ylim=(0, 1))
    for axes in (dots, *panels):
        axes.grid(alpha=0.3)
    legend_beside(figure, dots)
    return save(figure, path)
