"""Figures of scores, written to files; needs matplotlib, no display, no LaTeX."""

import os
from pathlib import Path

from pysot.toolkit.evaluate import Scores
from pysot.utils.files import atomic_write

# Okabe and Ito: distinguishable with any colour vision; the marker says the same as the colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")


def plot_scores(scores: Scores, path: str | os.PathLike) -> Path:
    """Accuracy against robustness, and EAO by rank, side by side in one file (its suffix is the format). Returns the path.

    Raises ImportError if matplotlib is missing, ValueError if no tracker could be scored.
    """
    scored = [score for score in scores.trackers if not score.problems]
    if not scored:
        raise ValueError("nothing to plot: no tracker could be scored")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plots need matplotlib: pip install matplotlib") from None
    figure = Figure(figsize=(11, 4.8 + 0.16 * max(0, len(scored) - 12)), layout="constrained")
    left, right = figure.subplots(1, 2)
    for rank, score in enumerate(scored, start=1):
        style = {"color": COLOURS[(rank - 1) % len(COLOURS)], "marker": MARKERS[(rank - 1) % len(MARKERS)], "linestyle": "none", "markersize": 9}
        left.plot(score.robustness, score.accuracy, label=_plain(score.name), **style)
        right.plot(rank, score.eao["all"], label=_plain(f"{score.name} [{score.eao['all']:.3f}]"), **style)
    left.set(xlabel="losses per 100 frames (less is better)", ylabel="accuracy: mean overlap", title=f"{scores.dataset}: accuracy, robustness")
    right.set(xlabel="rank", ylabel="expected average overlap", title=f"{scores.dataset}: EAO", xticks=_ticks(len(scored)))
    right.invert_xaxis()
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    right.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5))
    path = Path(path)
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, format=path.suffix.lstrip(".") or "png", dpi=150)
    return path


def _plain(text):
    """Names are not markup: a dollar sign would begin a formula, a leading underscore would hide the legend entry."""
    return " " * text.startswith("_") + text.replace("$", r"\$")


def _ticks(count):
    return range(1, count + 1, max(1, count // 10))
