"""Figures of scores, written to files: ranks, curves, scores by tag, overlap by frame. Each returns its path, whose suffix is the format (png, pdf, svg).

Each raises ValueError when there is nothing to plot, ImportError without matplotlib, and OSError as `atomic_write`.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import VotSettings
from pysot.toolkit.evaluation import eao, official
from pysot.toolkit.evaluation.ope import DISTANCES, NORMALISED, OVERLAPS
from pysot.toolkit.evaluation.supervised import SupervisedScore
from pysot.toolkit.protocol import Scores
from pysot.toolkit.report.canvas import colour_of, legend_beside, line_style, marker_style, new_figure, plain, save

LEGEND = 12  # trackers that fit into the legend inside a panel
FEWEST_TAGS = 3  # of a radar, which has no area with less


def supervised_figures(scores: Scores, named: Callable[[str], Path], vot: bool) -> list[Path]:
    """`plot_scores` and `plot_expected_overlap`."""
    curves = {score.name: score.official.curve if vot else score.curve for score in scores.scored}
    return [
        plot_scores(scores, named("scores"), vot),
        plot_expected_overlap(
            curves, scores.dataset.settings, named("expected_overlap"), f"{scores.dataset.name}: expected overlap", vot
        ),
    ]


def one_pass_figures(scores: Scores, named: Callable[[str], Path], official: bool) -> list[Path]:
    """`plot_curves`."""
    return [plot_curves(scores, named("scores"), official)]


def run_figures(axes_names: str, scores: Scores, named: Callable[[str], Path], official: bool) -> list[Path]:
    """`plot_runs`."""
    return [plot_runs(scores, axes_names, named("scores"))]


def plot_scores(scores: Scores, path: str | os.PathLike, vot: bool = False) -> Path:
    """Accuracy against robustness, and EAO by rank, side by side; with `vot` in the official toolkit's arithmetic."""
    scored = [(score.name, *_numbers(score, vot)) for score in scores.scored]
    scored.sort(key=lambda row: -np.nan_to_num(row[3], nan=-1))
    figure = new_figure(scored, (11, 4.8))
    left, right = figure.subplots(1, 2)
    for place, (name, accuracy, robustness, value) in enumerate(scored):
        style = {"linestyle": "none", "markersize": 9, **marker_style(place)}
        left.plot(robustness, accuracy, **style)
        right.plot(place + 1, value, label=plain(f"{name} [{value:.3f}]"), **style)
    left.set(
        xlabel=f"losses per {'video' if vot else '100 frames'} (less is better)",
        ylabel="accuracy: mean overlap",
        title=plain(f"{scores.dataset.name}: accuracy, robustness"),
    )
    right.set(
        xlabel="rank",
        ylabel="expected average overlap",
        title=plain(f"{scores.dataset.name}: EAO"),
        xticks=_ticks(len(scored)),
    )
    right.invert_xaxis()
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    legend_beside(figure, right)
    return save(figure, path)


def _numbers(score: SupervisedScore, vot: bool) -> tuple[float, float, float]:
    """Accuracy, robustness and EAO."""
    return (
        (score.official.accuracy, score.official.robustness, score.official.eao)
        if vot
        else (score.accuracy, score.robustness, score.rank_by)
    )


def plot_curves(scores: Scores, path: str | os.PathLike, official: bool = False) -> Path:
    """Success, precision and normalised precision of one-pass scores side by side, in pysot's arithmetic, as titles say beside `official` scores; the legends
    name the best twelve trackers of each.
    """
    arithmetic = ", pysot's arithmetic" if official else ""
    scored = scores.scored
    figure = new_figure(scored[:LEGEND], (15, 4.8))
    panels = (
        ("success", OVERLAPS, "auc", "overlap threshold", "share of frames", "success"),
        ("precision", DISTANCES, "precision20", "distance of centres, pixels", "", "precision"),
        (
            "norm_precision",
            NORMALISED,
            "norm_precision20",
            "distance of centres, share of the size",
            "",
            "normalised precision",
        ),
    )
    for axes, (curve, thresholds, value, xlabel, ylabel, title) in zip(figure.subplots(1, 3), panels, strict=True):
        for rank, score in enumerate(sorted(scored, key=lambda score: -getattr(score.all, value))):
            label = plain(f"{score.name} [{getattr(score.all, value):.3f}]") if rank < LEGEND else None
            axes.plot(
                thresholds,
                getattr(score.all, curve),
                label=label,
                zorder=3 - rank / 100,
                **line_style(scored.index(score)),
            )
        axes.set(xlabel=xlabel, ylabel=ylabel, title=plain(f"{scores.dataset.name}: {title}{arithmetic}"), ylim=(0, 1))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower left" if curve == "success" else "lower right", handlelength=3.2)
    return save(figure, path)


def plot_runs(scores: Scores, axes_names: str, path: str | os.PathLike) -> Path:
    """The curve of each tracker. `axes_names` are such as "precision by recall", or, by overlap, "share of frames above an overlap"."""
    scored = scores.scored
    figure = new_figure(scored, (9, 4.8))
    axes = figure.subplots()
    for place, score in enumerate(scored):
        axes.plot(
            score.at,
            score.curve,
            label=plain(f"{score.name} [{score.rank_by:.3f}]"),
            zorder=3 - place / 100,
            **line_style(place),
        )
    ylabel, _, xlabel = axes_names.partition(" by ")
    axes.set(
        xlabel=xlabel or "overlap",
        ylabel=ylabel,
        title=plain(scores.dataset.name),
        ylim=(0, 1),
        xlim=(0, max(1, *(score.at.max() for score in scored))),
    )
    axes.grid(alpha=0.3)
    legend_beside(figure, axes)
    return save(figure, path)


def plot_expected_overlap(
    curves: dict[str, np.ndarray], settings: VotSettings, path: str | os.PathLike, title: str = "", vot: bool = False
) -> Path:
    """Expected overlap (L,) of each tracker by sequence length 0..L - 1; EAO, in the legend and as a level line, is the mean over the shaded lengths, with
    `vot` as the official toolkit takes it.
    """
    figure = new_figure(curves, (9, 4.8))
    axes = figure.subplots()
    axes.axvspan(settings.low, settings.high, color="#5b6570", alpha=0.12, linewidth=0)
    values = {name: (official.average if vot else eao.average)(curve, settings) for name, curve in curves.items()}
    for place, (name, curve) in enumerate(curves.items()):
        axes.plot(
            np.arange(len(curve)),
            curve,
            label=plain(f"{name} [{values[name]:.3f}]"),
            zorder=3 - place / 100,
            **line_style(place),
        )
        axes.hlines(values[name], settings.low, settings.high, color=colour_of(place), linewidth=0.7, alpha=0.8)
    axes.set(
        xlabel=f"sequence length, frames (EAO: {settings.low} to {settings.high}, shaded)",
        ylabel="expected overlap",
        title=plain(title),
        ylim=(0, 1),
        xlim=(0, max(map(len, curves.values()))),
    )
    axes.grid(alpha=0.3)
    legend_beside(figure, axes)
    return save(figure, path)


def plot_tags(values: dict[str, dict[str, float]], path: str | os.PathLike, title: str = "") -> Path:
    """Radar of {tracker: {tag: value from 0}}: the best value of a tag is at the rim, the centre is 0, and the label says from what to what the values go. A
    tag without any value is left out; a tracker without a value has a gap. Raises ValueError for fewer than three tags with values.
    """
    table = {
        tag: np.array([row.get(tag, np.nan) for row in values.values()], np.float64)
        for row in values.values()
        for tag in row
    }
    table = {tag: column for tag, column in table.items() if np.isfinite(column).any()}
    figure = new_figure(
        values if len(table) >= FEWEST_TAGS else (),
        (9, 6),
        f"a radar needs {FEWEST_TAGS} or more tags with values, got {len(table)}",
    )
    axes = figure.add_subplot(projection="polar", theta_offset=np.pi / 2, theta_direction=-1)
    angles = np.linspace(0, 2 * np.pi, len(table), endpoint=False)
    scaled = np.stack([column / (np.nanmax(column) or 1) for column in table.values()])
    for place, name in enumerate(values):
        axes.plot(
            [*angles, angles[0]],
            [*scaled[:, place], scaled[0, place]],
            label=plain(name),
            markersize=4,
            **line_style(place) | marker_style(place),
        )
    for angle, (tag, column) in zip(angles, table.items(), strict=True):
        side, height = np.sin(angle), np.cos(angle)
        span = "–".join(sorted({f"{np.nanmin(column):.3f}", f"{np.nanmax(column):.3f}"}))
        axes.text(
            angle,
            1.05,
            f"{plain(tag.replace('_', ' '))}\n({span})",
            fontsize=9,
            ha="center" if abs(side) < 0.1 else "left" if side > 0 else "right",
            va="center" if abs(height) < 0.7 else "bottom" if height > 0 else "top",
        )
    axes.set(
        ylim=(0, 1.02), xticks=angles, xticklabels=[""] * len(angles), yticks=(0.25, 0.5, 0.75, 1), yticklabels=[""] * 4
    )
    axes.spines["polar"].set_visible(False)
    axes.set_title(plain(title), pad=40)
    axes.grid(alpha=0.4)
    legend_beside(figure, axes)
    return save(figure, path)


def plot_timeline(
    name: str, overlaps: dict[str, np.ndarray], losses: dict[str, Sequence[int]], path: str | os.PathLike
) -> Path:
    """Overlap (N,) of each tracker by frame of the sequence `name`, NaN leaves a gap; below it a row of marks per tracker that lost the target, `losses` being
    frames from 0. Frames are shown from 1, as in file names.
    """
    losers = [tracker for tracker in overlaps if len(losses[tracker])]
    rows = 0.17 * len(losers)
    figure = new_figure(overlaps, (11, 3.6 + rows), "no tracker was given")
    upper, *lower = figure.subplots(
        1 + bool(losers), 1, sharex=True, squeeze=False, height_ratios=[3, rows] if losers else [1]
    )[:, 0]
    places = {tracker: place for place, tracker in enumerate(overlaps)}
    for tracker, overlap in overlaps.items():
        count, style = len(losses[tracker]), line_style(places[tracker]) | marker_style(places[tracker])
        upper.plot(
            np.arange(1, len(overlap) + 1),
            overlap,
            linewidth=1.2,
            label=plain(f"{tracker} [{count} loss{'es' * (count != 1)}]"),
            zorder=3 - places[tracker] / 100,
            markevery=[],
            markersize=6,
            **style,
        )  # the marker is for the legend
    for axes in lower:
        for row, tracker in enumerate(losers):
            at = np.asarray(losses[tracker]) + 1
            axes.plot(at, np.full(len(at), row), linestyle="none", markersize=6, **marker_style(places[tracker]))
        axes.set(ylim=(len(losers) - 0.4, -0.6), yticks=[])
        axes.set_ylabel("losses", rotation=0, ha="right", va="center")
        axes.grid(alpha=0.3, axis="x")
    upper.set(ylabel="overlap", title=plain(name), ylim=(-0.02, 1.02), xlim=(0, max(map(len, overlaps.values())) + 1))
    upper.grid(alpha=0.3)
    (*lower, upper)[0].set_xlabel("frame")
    legend_beside(figure, upper)
    return save(figure, path, dpi=110)


def _ticks(count: int) -> range:
    return range(1, count + 1, max(1, count // 10))
