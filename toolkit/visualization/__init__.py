"""Plots of the original's `toolkit.visualization`. Each writes a png into the working folder."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pysot.toolkit.content.plot import Panel, Plot, Series
from pysot.toolkit.evaluation.ope import AT_PIXELS, DISTANCES, NORMALISED, OVERLAPS
from pysot.toolkit.report.draw_files import draw
from pysot.toolkit.report.score_plots import tags_plot

__all__ = ["draw_eao", "draw_f1", "draw_success_precision"]
Result = dict[str, dict[str, np.ndarray]]
# The original has a module for each: `from toolkit.visualization.draw_f1 import draw_f1`.
sys.modules |= {f"{__name__}.{name}": sys.modules[__name__] for name in __all__}
_SIZE = (6.0, 4.8)  # inches, of one panel


def draw_success_precision(
    success_ret: Result,
    name: str,
    videos: Sequence[str],
    attr: str,
    precision_ret: Result | None = None,
    norm_precision_ret: Result | None = None,
    bold_name: str | None = None,
    axis: Sequence[float] = (0, 1),
) -> Path:
    """Draw the curves of `OPEBenchmark` over the named videos, and return the path of `<name>_<attr>.png`.

    `bold_name` is first in the legend; `axis` is the range of thresholds of overlap.
    """
    title = f"{name}, {attr}"
    kinds = [("Success", "overlap threshold", OVERLAPS, success_ret, (axis[0], axis[1]))]
    if precision_ret is not None:
        kinds.append(("Precision", "centre error, pixels", DISTANCES, precision_ret, (0, DISTANCES[-1])))
    if norm_precision_ret is not None:
        kinds.append(("Normalised precision", "centre error, share", NORMALISED, norm_precision_ret, (0, 0.5)))
    panels = []
    for kind, x_label, thresholds, result, x_range in kinds:
        curves = {
            tracker: np.mean([by_video[video] for video in videos], axis=0) for tracker, by_video in result.items()
        }
        ranks = {
            tracker: float(curve.mean() if kind == "Success" else curve[AT_PIXELS]) for tracker, curve in curves.items()
        }
        order = sorted(curves, key=lambda tracker: (tracker != bold_name, -ranks[tracker]))
        series = tuple(
            Series(tracker, place, thresholds, curves[tracker], f"[{ranks[tracker]:.3f}] {tracker}")
            for place, tracker in enumerate(order)
        )
        panels.append(Panel(f"{kind}: {title}", x_label, kind, series, x_range=x_range, legend="best"))
    return _write(f"{name}_{attr}", panels)


def draw_eao(result: dict[str, dict[str, float]]) -> Path:
    """Draw the EAO by tag of `EAOBenchmark.eval`, and return the path of `eao.png`."""
    return draw(tags_plot(result, "EAO"), "eao.png")


def draw_f1(result: dict[str, dict[str, dict[str, np.ndarray]]], bold_name: str | None = None) -> Path:
    """Draw precision against recall of `F1Benchmark.eval`, and return the path of `f1.png`; see bold_name above."""
    curves = {
        tracker: tuple(np.mean(list(scores[key].values()), axis=0) for key in ("recall", "precision"))
        for tracker, scores in result.items()
    }
    with np.errstate(invalid="ignore"):
        best = {name: float(np.nanmax(2 * p * r / (p + r))) for name, (r, p) in curves.items()}
    order = sorted(curves, key=lambda tracker: (tracker != bold_name, -best[tracker]))
    series = tuple(
        Series(tracker, place, curves[tracker][0], curves[tracker][1], f"[{best[tracker]:.3f}] {tracker}")
        for place, tracker in enumerate(order)
    )
    return _write("f1", [Panel("Precision and recall", "recall", "precision", series, x_range=(0, 1), legend="best")])


def _write(name: str, panels: list[Panel]) -> Path:
    return draw(Plot(name, tuple(panels), (_SIZE[0] * len(panels), _SIZE[1])), f"{name}.png")
