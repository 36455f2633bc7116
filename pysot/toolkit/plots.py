"""Figures of scores, written to files; needs matplotlib, no display, no LaTeX."""

import os
from pathlib import Path

from pysot.toolkit.evaluate import Scores
from pysot.toolkit.evaluate_ope import OpeScores
from pysot.toolkit.ope import DISTANCES, NORMALISED, OVERLAPS
from pysot.utils.files import atomic_write

# Okabe and Ito: distinguishable with any colour vision; the marker says the same as the colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")


def plot_scores(scores: Scores, path: str | os.PathLike) -> Path:
    """Accuracy against robustness, and EAO by rank, side by side in one file (its suffix is the format). Returns the path.

    Raises ImportError if matplotlib is missing, ValueError if no tracker could be scored.
    """
    scored = [score for score in scores.trackers if not score.problems]
    figure = _figure(scored, (11, 4.8 + 0.16 * max(0, len(scored) - 12)))
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
    return _save(figure, path)


def plot_curves(scores: OpeScores, path: str | os.PathLike) -> Path:
    """Success, precision and normalised precision of one-pass scores side by side in one file (its suffix is the format). Returns the path. Raises as
    `plot_scores`.
    """
    scored = [score for score in scores.trackers if score.all]
    figure = _figure(scored, (15, 4.8))
    panels = (("success", OVERLAPS, "auc", "overlap threshold", "share of frames", "success"),
              ("precision", DISTANCES, "precision20", "distance of centres, pixels", "", "precision"),
              ("norm_precision", NORMALISED, "norm_precision20", "distance of centres, share of the size", "", "normalised precision"))
    for axes, (curve, thresholds, value, xlabel, ylabel, title) in zip(figure.subplots(1, 3), panels, strict=True):
        for rank, score in enumerate(sorted(scored, key=lambda score: -getattr(score.all, value))):
            label = _plain(f"{score.name} [{getattr(score.all, value):.3f}]")
            place = scored.index(score)
            axes.plot(thresholds, getattr(score.all, curve), label=label, color=COLOURS[place % len(COLOURS)], zorder=3 - rank / 100,
                      linestyle=("-", "--", ":", "-.")[place // len(COLOURS) % 4])
        axes.set(xlabel=xlabel, ylabel=ylabel, title=f"{scores.dataset}: {title}", ylim=(0, 1))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower left" if curve == "success" else "lower right")
    return _save(figure, path)


def _figure(scored: list, size: tuple[float, float]):
    if not scored:
        raise ValueError("nothing to plot: no tracker could be scored")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plots need matplotlib: pip install matplotlib") from None
    return Figure(figsize=size, layout="constrained")


def _save(figure, path: str | os.PathLike) -> Path:
    path = Path(path)
    with atomic_write(path, "wb") as stream:
        figure.savefig(stream, format=path.suffix.lstrip(".") or "png", dpi=150)
    return path


def _plain(text):
    """Names are not markup: a dollar sign would begin a formula, a leading underscore would hide the legend entry."""
    return " " * text.startswith("_") + text.replace("$", r"\$")


def _ticks(count):
    return range(1, count + 1, max(1, count // 10))
