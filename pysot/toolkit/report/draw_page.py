"""Plots as figures of Plotly, which the script of an HTML page draws: values that can be written as JSON.

The script gives them the colours of the page, light or dark, and hides the trackers that are switched off.
"""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from pysot.toolkit.content.plot import BOTH, POINTS, RADAR, ROWS, Panel, Plot, Series
from pysot.toolkit.report.styles import shortened, style_of

_DIGITS = 4  # of the values in a page
_WIDTH = 2.0  # pixels of a line
_SIZES = {POINTS: 11, BOTH: 5}
_ROW_SIZE = 9
_BAND = "rgba(91, 101, 112, 0.16)"

Figure = dict[str, Any]


def page_figures(plot: Plot) -> list[Figure]:
    """Return the figures of a plot: one for each panel, or one for panels that are one above the other."""
    if plot.heights:
        return [_stacked(plot)]
    return [_radar(panel) if panel.kind == RADAR else _figure(panel) for panel in plot.panels]


def _figure(panel: Panel) -> Figure:
    layout: dict[str, Any] = {
        "xaxis": _axis(panel.x_label, panel.x_range),
        "yaxis": _axis(panel.y_label, panel.y_range),
    }
    if panel.is_ranks:
        layout["xaxis"] |= {"autorange": "reversed", "tickformat": "d", "nticks": min(len(panel.series) + 1, 11)}
    data = [_trace(series, panel) for series in panel.series]
    if panel.band:
        low, high = panel.band
        shaded = {"type": "rect", "x0": low, "x1": high, "yref": "paper", "y0": 0, "y1": 1, "fillcolor": _BAND}
        layout["shapes"] = [{**shaded, "line": {"width": 0}, "layer": "below"}]
        names = {series.place: series.tracker for series in panel.series}
        for place, value in panel.levels:
            data.append(_level(names[place], place, value, panel.band))
    return {"label": panel.title, "data": data, "layout": layout}


def _stacked(plot: Plot) -> Figure:
    """Return panels one above the other, which have their x axis in common."""
    upper, lower = plot.panels
    share = plot.heights[1] / sum(plot.heights)
    data = [_trace(series, upper) for series in upper.series]
    data += [{**_trace(series, lower), "yaxis": "y2"} for series in lower.series]
    layout = {
        "xaxis": {**_axis(lower.x_label, lower.x_range), "anchor": "y2"},
        "yaxis": {**_axis(upper.y_label, upper.y_range), "domain": [share + 0.06, 1]},
        "yaxis2": {**_axis(lower.y_label, lower.y_range), "domain": [0, share], "showticklabels": False},
    }
    layout["yaxis2"]["showgrid"] = False
    return {"label": upper.title, "data": data, "layout": layout}


def _radar(panel: Panel) -> Figure:
    spokes = [_text(spoke).replace("\n", "<br>") for spoke in panel.spokes]
    data = []
    for series in panel.series:
        trace = _trace(series, panel)
        del trace["x"]
        radii = trace.pop("y")
        texts = [*series.texts, series.texts[0]]
        data.append(
            {
                **trace,
                "type": "scatterpolar",
                "theta": [*spokes, spokes[0]],
                "r": [*radii, radii[0]],
                "text": [_text(text) for text in texts],
                "hovertemplate": "%{text}<extra>%{fullData.name}</extra>",
            }
        )
    radial = {"range": [0, 1.02], "showticklabels": False, "ticks": ""}
    polar = {"radialaxis": radial, "angularaxis": {"direction": "clockwise", "rotation": 90}}
    return {"label": panel.title, "data": data, "layout": {"polar": polar}}


def _trace(series: Series, panel: Panel) -> dict[str, Any]:
    style = style_of(series.place)
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": {POINTS: "markers", BOTH: "lines+markers"}.get(series.way, "lines"),
        "name": _text(shortened(series.tracker)),
        "meta": series.place,
        "x": _numbers(series.x),
        "y": _numbers(series.y),
        "line": {"color": style.colour, "width": _WIDTH, "dash": _dashes(style.dashes)},
        "hovertemplate": f"{_hover(panel)}<extra>%{{fullData.name}}</extra>",
    }
    if series.way in _SIZES:
        size = _ROW_SIZE if panel.kind == ROWS else _SIZES[series.way]
        trace["marker"] = {"color": style.colour, "symbol": style.plotly_marker, "size": size}
    return trace


def _hover(panel: Panel) -> str:
    """Return what stands beside a value: the names of the axes without what is in brackets, and the numbers."""
    x_name, y_name = (_text(label.split(" (")[0].split(":")[0]) for label in (panel.x_label, panel.y_label))
    if panel.kind == ROWS:
        return "lost in frame %{x}"
    return f"{x_name or 'frame'} %{{x}}<br>{y_name or 'share of frames'} %{{y:.3f}}"


def _level(tracker: str, place: int, value: float, band: tuple[float, float]) -> dict[str, Any]:
    line = {"color": style_of(place).colour, "width": 1}
    level = _numbers(np.array([value, value]))
    common = {"type": "scatter", "mode": "lines", "name": _text(shortened(tracker)), "meta": place}
    return {**common, "x": [*band], "y": level, "line": line, "hoverinfo": "skip"}


def _axis(label: str, ends: tuple[float | None, float | None]) -> dict[str, Any]:
    axis: dict[str, Any] = {"title": {"text": _text(label).replace(" (", "<br>(")}}
    if any(end is not None for end in ends):
        axis["range"] = [*ends]
    return axis


def _numbers(values: np.ndarray) -> list[float | int | None]:
    """Return values as JSON has them: NaN becomes null, which leaves a gap."""
    if np.issubdtype(values.dtype, np.integer):
        return values.tolist()
    return [value if value == value else None for value in np.round(values.astype(np.float64), _DIGITS).tolist()]


def _dashes(dashes: Sequence[float]) -> str:
    return ",".join(f"{length * _WIDTH:g}px" for length in dashes) or "solid"


def _text(text: str) -> str:
    """Return a text that Plotly, which knows some tags of HTML, shows as it is."""
    return html.escape(text, quote=False)
