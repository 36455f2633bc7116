"""What all figures share: colours that differ with any colour vision, names that stay text, files written whole.

Needs matplotlib, no display, no LaTeX.
"""

import os
import warnings
from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING

from pysot.utils.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito: distinguishable with any colour vision; the marker or the dashes say the same as the colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
DASHES = ("-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (9, 3)))
LONGEST = 60  # letters of a name, beyond which it would leave no room for the axes


def colour_of(place: int) -> str:
    """Colour of the tracker at a place, from 0."""
    return COLOURS[place % len(COLOURS)]


def marker_style(place: int) -> dict:
    """Colour and marker of the tracker at a place; they repeat after 70 trackers."""
    return {"color": colour_of(place), "marker": MARKERS[place % len(MARKERS)]}


def line_style(place: int) -> dict:
    """Colour and dashes of the tracker at a place; they repeat after 42 trackers."""
    return {"color": colour_of(place), "linestyle": DASHES[place // len(COLOURS) % len(DASHES)]}


def new_figure(trackers: Sized, size: tuple[float, float], needs: str = "no tracker could be scored") -> "Figure":
    """An empty figure of width x height inches, higher where the legend beside it needs that.

    Raises ValueError without trackers, ImportError without matplotlib.
    """
    if not len(trackers):
        raise ValueError(f"nothing to plot: {needs}")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plots need matplotlib: pip install matplotlib") from None
    return Figure(figsize=(size[0], max(size[1], 1 + 0.19 * len(trackers))), layout="constrained")


def legend_beside(figure: "Figure", axes: "Axes") -> None:
    """The legend of `axes` at the right of everything."""
    figure.legend(*axes.get_legend_handles_labels(), fontsize=8, loc="outside right upper", handlelength=3.2)


def save(figure: "Figure", path: str | os.PathLike, dpi: int = 150) -> Path:
    """Write the figure whole or not at all, in the format that the suffix names. Returns the path.

    Letters that the font lacks are drawn as boxes.
    """
    path = Path(path)
    with atomic_write(path, "wb") as stream, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # one for each letter
        figure.savefig(stream, format=path.suffix.lstrip(".") or "png", dpi=dpi, bbox_inches="tight")
    return path


def plain(text: str) -> str:
    """Names are not markup: a dollar sign would begin a formula, a leading underscore would hide the legend entry.

    Long ones are cut in the middle.
    """
    text = text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 :]}"
    return " " * text.startswith("_") + text.replace("$", r"\$")
