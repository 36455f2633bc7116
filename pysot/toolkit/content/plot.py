"""Description of a plot. The page (Plotly) and the png, pdf and svg files (matplotlib) are drawn from the same one."""

from dataclasses import dataclass

import numpy as np

# Ways to draw the values of a tracker. The marker of a marked line is in the legend alone.
LINE, MARKED, POINTS, BOTH = "line", "marked", "points", "both"
CURVES, RADAR, ROWS = "curves", "radar", "rows"  # kinds of panels


@dataclass(frozen=True)
class Series:
    """Values of a tracker in a panel: x (N,), y (N,), NaN in y leaves a gap.

    `place` gives the style. `label` is the entry of the legend, "" for none. `texts` are shown beside the values where
    a pointer is; without them the numbers are.
    """

    tracker: str
    place: int
    x: np.ndarray
    y: np.ndarray
    label: str = ""
    way: str = LINE
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Panel:
    """Axes of a plot with the values of all trackers.

    Ends of a range are None where the values decide. `band` (low, high) of x is shaded, and `levels` (place, y) are
    horizontal lines over it. A radar has `spokes`, the names at its rim, whose values are at x = 0, 1, ... A panel of
    rows has no values on its y axis. Ranks, from 1, grow to the left.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_range: tuple[float | None, float | None] = (None, None)
    y_range: tuple[float | None, float | None] = (0.0, 1.0)
    band: tuple[float, float] | None = None
    levels: tuple[tuple[int, float], ...] = ()
    spokes: tuple[str, ...] = ()
    kind: str = CURVES
    is_ranks: bool = False
    legend: str = ""  # where the legend of this panel is inside it; "" beside the plot


@dataclass(frozen=True)
class Plot:
    """Panels side by side, or one above the other where `heights` gives their shares.

    `name` is a part of a file's name, `size` the width and height in inches.
    """

    name: str
    panels: tuple[Panel, ...]
    size: tuple[float, float]
    heights: tuple[float, ...] = ()

    @property
    def trackers(self) -> dict[str, int]:
        """Return the place of each tracker."""
        return {series.tracker: series.place for panel in self.panels for series in panel.series}
