"""Draw plots to files with matplotlib, without a display and without LaTeX. Files are written whole or not at all."""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pysot.toolkit.content.plot import BOTH, MARKED, POINTS, RADAR, ROWS, Panel, Plot, Series
from pysot.toolkit.report.styles import shortened, style_of
from pysot.utils.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAND = "#5b6570"
_RADAR_RINGS = (0.25, 0.5, 0.75, 1)


def draw(plot: Plot, path: str | os.PathLike, dpi: int = 150) -> Path:
    """Write a plot in the format that the suffix names: png, pdf or svg. Returns the path.

    Letters that the font lacks are drawn as boxes. Raises ImportError without matplotlib, OSError as `atomic_write`.
    """
    path = Path(path)
    figure = draw_figure(plot)
    with atomic_write(path, "wb") as stream, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # one for each letter
        figure.savefig(stream, format=path.suffix.lstrip(".") or "png", dpi=dpi, bbox_inches="tight")
    return path


def draw_figure(plot: Plot) -> "Figure":
    """Return a plot as a figure of matplotlib, higher where the legend beside it needs that."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plots need matplotlib: pip install matplotlib") from None
    width, height = plot.size
    count = 0 if plot.panels[0].legend else len(plot.trackers)
    figure = Figure(figsize=(width, max(height, 1 + 0.19 * count)), layout="constrained")
    for panel, axes in zip(plot.panels, _axes(figure, plot), strict=True):
        if panel.kind == RADAR:
            _draw_radar(axes, panel)
        else:
            _draw_curves(axes, panel)
        handles, labels = axes.get_legend_handles_labels()
        if handles and panel.legend:
            axes.legend(fontsize=8, loc=panel.legend, handlelength=3.2)
        elif handles:
            figure.legend(handles, labels, fontsize=8, loc="outside right upper", handlelength=3.2)
    return figure


def _axes(figure: "Figure", plot: Plot) -> list[Any]:
    """Return the axes of all panels."""
    count = len(plot.panels)
    if plot.heights:
        stacked = figure.subplots(count, 1, sharex=True, squeeze=False, height_ratios=plot.heights)
        return list(stacked[:, 0])
    if plot.panels[0].kind == RADAR:
        return [figure.add_subplot(projection="polar", theta_offset=np.pi / 2, theta_direction=-1)]
    return list(figure.subplots(1, count, squeeze=False)[0])


def _draw_curves(axes: "Axes", panel: Panel) -> None:
    for order, series in enumerate(panel.series):
        axes.plot(
            series.x, series.y, label=_plain(series.label) or None, zorder=3 - order / 100, **_style(series, panel)
        )
    if panel.band:
        axes.axvspan(*panel.band, color=_BAND, alpha=0.12, linewidth=0)
        for place, level in panel.levels:
            axes.hlines(level, *panel.band, color=style_of(place).colour, linewidth=0.7, alpha=0.8)
    axes.set(xlabel=_plain(panel.x_label), title=_plain(panel.title), xlim=panel.x_range, ylim=panel.y_range)
    axes.grid(alpha=0.3, axis="x" if panel.kind == ROWS else "both")
    if panel.kind == ROWS:
        axes.set(yticks=[])
        axes.set_ylabel(panel.y_label, rotation=0, ha="right", va="center")
    else:
        axes.set_ylabel(_plain(panel.y_label))
    if panel.is_ranks:
        axes.set(xticks=range(1, len(panel.series) + 1, max(1, len(panel.series) // 10)))
        axes.invert_xaxis()


def _draw_radar(axes: Any, panel: Panel) -> None:
    """Draw a panel on polar axes, with the names of the spokes around it."""
    angles = np.linspace(0, 2 * np.pi, len(panel.spokes), endpoint=False)
    for series in panel.series:
        closed = [*series.y, series.y[0]]
        axes.plot([*angles, angles[0]], closed, label=_plain(series.label), **_style(series, panel))
    for angle, spoke in zip(angles, panel.spokes, strict=True):
        side, height = np.sin(angle), np.cos(angle)
        axes.text(
            angle,
            1.05,
            _plain(spoke),
            fontsize=9,
            ha="center" if abs(side) < 0.1 else "left" if side > 0 else "right",
            va="center" if abs(height) < 0.7 else "bottom" if height > 0 else "top",
        )
    rings = {"yticks": _RADAR_RINGS, "yticklabels": [""] * len(_RADAR_RINGS)}
    axes.set(ylim=(0, 1.02), xticks=angles, xticklabels=[""] * len(angles), **rings)
    axes.spines["polar"].set_visible(False)
    axes.set_title(_plain(panel.title), pad=40)
    axes.grid(alpha=0.4)


def _style(series: Series, panel: Panel) -> dict[str, Any]:
    style = style_of(series.place)
    if series.way == POINTS:
        size = 6 if panel.kind == ROWS else 9
        return {"color": style.colour, "linestyle": "none", "marker": style.marker, "markersize": size}
    line = {"color": style.colour, "linestyle": (0, style.dashes) if style.dashes else "-"}
    if series.way == BOTH:
        return {**line, "marker": style.marker, "markersize": 4}
    if series.way == MARKED:
        return {**line, "linewidth": 1.2, "marker": style.marker, "markersize": 6, "markevery": []}
    return line


def _plain(text: str) -> str:
    """Names are not markup: a dollar sign would begin a formula, a leading underscore would hide the legend entry."""
    short = "\n".join(map(shortened, text.split("\n")))
    return " " * short.startswith("_") + short.replace("$", r"\$")
