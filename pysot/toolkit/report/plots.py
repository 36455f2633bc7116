"""Plot scores to files: ranks, curves, scores by tag, overlap by frame.

Each function returns the path of its figure, whose suffix is the format (png, pdf, svg). It raises ValueError if there
is nothing to plot, ImportError without matplotlib, and OSError as `atomic_write`.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import VotSettings
from pysot.toolkit.evaluation.eao import average
from pysot.toolkit.evaluation.official import OfficialScore
from pysot.toolkit.evaluation.official import average as official_average
from pysot.toolkit.evaluation.one_pass import OnePassScore
from pysot.toolkit.evaluation.ope import DISTANCES, NORMALISED, OVERLAPS
from pysot.toolkit.evaluation.runs import RunScore
from pysot.toolkit.evaluation.supervised import SupervisedScore
from pysot.toolkit.protocol import Scores
from pysot.toolkit.report.canvas import colour_of, legend_beside, line_style, marker_style, new_figure, plain, save
from pysot.toolkit.report.score_types import scored_as

MAX_LEGEND = 12  # trackers that fit into the legend inside a panel
MIN_TAGS = 3  # of a radar: with fewer it has no area


def supervised_figures(scores: Scores, named: Callable[[str], Path], official: bool) -> list[Path]:
    """Draw `plot_scores` and `plot_expected_overlap`."""
    curves = {score.name: _curve(score, official) for score in scored_as(scores, SupervisedScore)}
    settings = scores.dataset.settings
    assert settings is not None  # supervised sets have them
    title = f"{scores.dataset.name}: expected overlap"
    return [
        plot_scores(scores, named("scores"), official),
        plot_expected_overlap(curves, settings, named("expected_overlap"), title, official),
    ]


def _curve(score: SupervisedScore, official: bool) -> np.ndarray:
    curve = _official_score(score).curve if official else score.curve
    assert curve is not None  # scored trackers have one
    return curve


def _official_score(score: SupervisedScore) -> OfficialScore:
    assert score.official is not None  # the trackers were scored with mode "official" or "both"
    return score.official


def one_pass_figures(scores: Scores, named: Callable[[str], Path], official: bool) -> list[Path]:
    """Draw `plot_curves`."""
    return [plot_curves(scores, named("scores"), official)]


def run_figures(axes_names: str, scores: Scores, named: Callable[[str], Path], official: bool) -> list[Path]:
    """Draw `plot_runs`."""
    return [plot_runs(scores, axes_names, named("scores"))]


def plot_scores(scores: Scores, path: str | os.PathLike, official: bool = False) -> Path:
    """Plot accuracy against robustness, and EAO by rank, side by side; with `official` in the official arithmetic."""
    scored = [(score.name, *_values(score, official)) for score in scored_as(scores, SupervisedScore)]
    scored.sort(key=lambda row: -np.nan_to_num(row[3], nan=-1))
    figure = new_figure(scored, (11, 4.8))
    left, right = figure.subplots(1, 2)
    for index, (name, accuracy, robustness, eao) in enumerate(scored):
        style = {"linestyle": "none", "markersize": 9, **marker_style(index)}
        left.plot(robustness, accuracy, **style)
        right.plot(index + 1, eao, label=plain(f"{name} [{eao:.3f}]"), **style)
    left.set(
        xlabel=f"losses per {'video' if official else '100 frames'} (less is better)",
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


def _values(score: SupervisedScore, official: bool) -> tuple[float, float, float]:
    """Return accuracy, robustness and EAO."""
    if official:
        official_score = _official_score(score)
        return official_score.accuracy, official_score.robustness, official_score.eao
    return score.accuracy, score.robustness, score.rank_by


def plot_curves(scores: Scores, path: str | os.PathLike, official: bool = False) -> Path:
    """Plot success, precision and normalised precision of one-pass scores side by side.

    The curves are always in pysot's arithmetic; beside `official` scores, the titles say so. Each legend names the best
    twelve trackers.
    """
    arithmetic = ", pysot's arithmetic" if official else ""
    scored = scored_as(scores, OnePassScore)
    figure = new_figure(scored[:MAX_LEGEND], (15, 4.8))
    # curve and value are fields of the scores; the latter is in the legend
    panels = (
        ("success", "auc", OVERLAPS, "success", "overlap threshold"),
        ("precision", "precision20", DISTANCES, "precision", "distance of centres, pixels"),
        (
            "norm_precision",
            "norm_precision20",
            NORMALISED,
            "normalised precision",
            "distance of centres, share of the size",
        ),
    )
    for axes, (curve, value, thresholds, title, xlabel) in zip(figure.subplots(1, 3), panels, strict=True):
        for rank, score in enumerate(sorted(scored, key=lambda score: -getattr(score.all, value))):
            label = plain(f"{score.name} [{getattr(score.all, value):.3f}]") if rank < MAX_LEGEND else None
            style = line_style(scored.index(score))
            axes.plot(thresholds, getattr(score.all, curve), label=label, zorder=3 - rank / 100, **style)
        ylabel = "share of frames" if curve == "success" else ""
        axes.set(xlabel=xlabel, ylabel=ylabel, title=plain(f"{scores.dataset.name}: {title}{arithmetic}"), ylim=(0, 1))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower left" if curve == "success" else "lower right", handlelength=3.2)
    return save(figure, path)


def plot_runs(scores: Scores, axes_names: str, path: str | os.PathLike) -> Path:
    """Plot the curve of each tracker.

    `axes_names` is "<y> by <x>", such as "precision by recall", or only <y> for a curve by overlap, such as "share of
    frames above an overlap".
    """
    scored = scored_as(scores, RunScore)
    figure = new_figure(scored, (9, 4.8))
    axes = figure.subplots()
    most = 1
    for index, score in enumerate(scored):
        assert score.curve_x is not None and score.curve is not None  # scored trackers have a curve
        label = plain(f"{score.name} [{score.rank_by:.3f}]")
        axes.plot(score.curve_x, score.curve, label=label, zorder=3 - index / 100, **line_style(index))
        most = max(most, score.curve_x.max())
    ylabel, _, xlabel = axes_names.partition(" by ")
    axes.set(
        xlabel=xlabel or "overlap",
        ylabel=ylabel,
        title=plain(scores.dataset.name),
        ylim=(0, 1),
        xlim=(0, most),
    )
    axes.grid(alpha=0.3)
    legend_beside(figure, axes)
    return save(figure, path)


def plot_expected_overlap(
    curves: dict[str, np.ndarray],
    settings: VotSettings,
    path: str | os.PathLike,
    title: str = "",
    official: bool = False,
) -> Path:
    """Plot the expected overlap (L,) of each tracker by sequence length 0..L - 1.

    EAO, in the legend and as a horizontal line, is the mean over the shaded lengths, with `official` in the official
    arithmetic.
    """
    figure = new_figure(curves, (9, 4.8))
    axes = figure.subplots()
    axes.axvspan(settings.low, settings.high, color="#5b6570", alpha=0.12, linewidth=0)
    average_of = official_average if official else average
    values = {name: average_of(curve, settings) for name, curve in curves.items()}
    for index, (name, curve) in enumerate(curves.items()):
        label = plain(f"{name} [{values[name]:.3f}]")
        axes.plot(np.arange(len(curve)), curve, label=label, zorder=3 - index / 100, **line_style(index))
        axes.hlines(values[name], settings.low, settings.high, color=colour_of(index), linewidth=0.7, alpha=0.8)
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
    """Plot a radar of {tracker: {tag: value from 0}}.

    The centre is 0, the best value of a tag is at the rim, and its label gives the range of the values. A tag without
    any value is left out; a tracker without a value has a gap. Raises ValueError for fewer than three tags with values.
    """
    tags = list(dict.fromkeys(tag for row in values.values() for tag in row))
    columns = {tag: np.array([row.get(tag, np.nan) for row in values.values()], np.float64) for tag in tags}
    columns = {tag: column for tag, column in columns.items() if np.isfinite(column).any()}
    enough = len(columns) >= MIN_TAGS
    needs = f"a radar needs {MIN_TAGS} or more tags with values, got {len(columns)}"
    figure = new_figure(values if enough else (), (9, 6), needs)
    axes = figure.add_subplot(projection="polar", theta_offset=np.pi / 2, theta_direction=-1)
    angles = np.linspace(0, 2 * np.pi, len(columns), endpoint=False)
    scaled = np.stack([column / (np.nanmax(column) or 1) for column in columns.values()])
    for index, name in enumerate(values):
        style = line_style(index) | marker_style(index)
        closed = [*scaled[:, index], scaled[0, index]]
        axes.plot([*angles, angles[0]], closed, label=plain(name), markersize=4, **style)
    for angle, (tag, column) in zip(angles, columns.items(), strict=True):
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
    """Plot the overlap (N,) of each tracker by frame of the sequence `name`; NaN leaves a gap.

    Below it, every tracker that lost the target has a row of marks at its `losses`, which are frames from 0. Frames are
    shown from 1, as in file names.
    """
    trackers_with_loss = [tracker for tracker in overlaps if len(losses[tracker])]
    rows_height = 0.17 * len(trackers_with_loss)
    figure = new_figure(overlaps, (11, 3.6 + rows_height), "no tracker was given")
    heights = [3, rows_height] if trackers_with_loss else [1]
    upper, *lower = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    indices = {tracker: index for index, tracker in enumerate(overlaps)}
    for tracker, overlap in overlaps.items():
        count, index = len(losses[tracker]), indices[tracker]
        upper.plot(
            np.arange(1, len(overlap) + 1),
            overlap,
            linewidth=1.2,
            label=plain(f"{tracker} [{count} loss{'' if count == 1 else 'es'}]"),
            zorder=3 - index / 100,
            markevery=[],  # no marker on the curve, only in the legend
            markersize=6,
            **line_style(index) | marker_style(index),
        )
    for axes in lower:
        for row, tracker in enumerate(trackers_with_loss):
            frames = np.asarray(losses[tracker]) + 1
            style = marker_style(indices[tracker])
            axes.plot(frames, np.full(len(frames), row), linestyle="none", markersize=6, **style)
        axes.set(ylim=(len(trackers_with_loss) - 0.4, -0.6), yticks=[])
        axes.set_ylabel("losses", rotation=0, ha="right", va="center")
        axes.grid(alpha=0.3, axis="x")
    upper.set(ylabel="overlap", title=plain(name), ylim=(-0.02, 1.02), xlim=(0, max(map(len, overlaps.values())) + 1))
    upper.grid(alpha=0.3)
    (*lower, upper)[0].set_xlabel("frame")
    legend_beside(figure, upper)
    return save(figure, path, dpi=110)


def _ticks(count: int) -> range:
    return range(1, count + 1, max(1, count // 10))
