"""Describe the plots of scores: ranks, curves, scores by tag, overlap by frame.

Each function raises ValueError if there is nothing to plot.
"""

from collections.abc import Mapping, Sequence, Sized

import numpy as np

from pysot.toolkit.content.plot import BOTH, MARKED, POINTS, RADAR, ROWS, Panel, Plot, Series
from pysot.toolkit.datasets.sequence import VotSettings
from pysot.toolkit.evaluation.eao import average
from pysot.toolkit.evaluation.official import OfficialScore
from pysot.toolkit.evaluation.official import average as official_average
from pysot.toolkit.evaluation.one_pass import OnePassScore
from pysot.toolkit.evaluation.ope import DISTANCES, NORMALISED, OVERLAPS
from pysot.toolkit.evaluation.runs import RunScore
from pysot.toolkit.evaluation.supervised import SupervisedScore
from pysot.toolkit.protocol import Scores
from pysot.toolkit.report.score_types import scored_as
from pysot.toolkit.report.summary import tag_values

MAX_LEGEND = 12  # trackers that fit into the legend inside a panel
MIN_TAGS = 3  # of a radar: with fewer it has no area
_WIDE, _MIDDLE = (15, 4.8), (9, 4.8)


def plots_of(scores: Scores, official: bool) -> list[Plot]:
    """Return the plots of scores with timelines, without those of single sequences.

    With `official`, accuracy, robustness, EAO and expected overlap are in the official arithmetic. The attributes have
    a plot if three or more of them have values. Raises ValueError if no tracker was scored.
    """
    report = scores.protocol.report
    plots = report.plots(scores, official)
    values = tag_values(scores)
    tags = {tag for row in values.values() for tag, value in row.items() if value == value}
    if len(tags) >= MIN_TAGS:
        plots.append(tags_plot(values, f"{scores.dataset.name}: {report.titles['attributes']}"))
    return plots


def sequence_plot(scores: Scores, sequence: str) -> Plot:
    """Return the overlap by frame of the trackers with a timeline on a sequence. Raises ValueError if none has."""
    timelines = scores.timelines(sequence)
    return timeline_plot(
        sequence,
        {name: timeline.overlap for name, timeline in timelines.items()},
        {name: timeline.losses for name, timeline in timelines.items()},
        {score.name: place for place, score in enumerate(scores.scored)},
    )


def supervised_plots(scores: Scores, official: bool) -> list[Plot]:
    """Return accuracy against robustness with EAO by rank, and expected overlap."""
    curves = {score.name: _curve(score, official) for score in scored_as(scores, SupervisedScore)}
    settings = scores.dataset.settings
    assert settings is not None  # supervised sets have them
    title = f"{scores.dataset.name}: expected overlap"
    return [rank_plot(scores, official), expected_overlap_plot(curves, settings, title, official)]


def _curve(score: SupervisedScore, official: bool) -> np.ndarray:
    curve = _official_score(score).curve if official else score.curve
    assert curve is not None  # scored trackers have one
    return curve


def _official_score(score: SupervisedScore) -> OfficialScore:
    assert score.official is not None  # the trackers were scored with mode "official" or "both"
    return score.official


def rank_plot(scores: Scores, official: bool = False) -> Plot:
    """Return accuracy against robustness, and EAO by rank, side by side; with `official` in the official arithmetic.

    A tracker without a value has no dot.
    """
    scored = scored_as(scores, SupervisedScore)
    places = {score.name: place for place, score in enumerate(scored)}
    values = [(score.name, *_values(score, official)) for score in scored]
    check_some(values)
    values.sort(key=lambda row: -np.nan_to_num(row[3], nan=-1))
    dots, ranks = [], []
    for rank, (name, accuracy, robustness, eao) in enumerate(values, 1):
        dots.append(Series(name, places[name], np.array([robustness]), np.array([accuracy]), way=POINTS))
        label = f"{name} [{eao:.3f}]"
        ranks.append(Series(name, places[name], np.array([float(rank)]), np.array([eao]), label, POINTS))
    name = scores.dataset.name
    losses = f"losses per {'video' if official else '100 frames'} (less is better)"
    left = Panel(f"{name}: accuracy, robustness", losses, "accuracy: mean overlap", tuple(dots), y_range=(None, None))
    right = Panel(f"{name}: EAO", "rank", "expected average overlap", tuple(ranks), y_range=(0.0, None), is_ranks=True)
    return Plot("scores", (left, right), (11, 4.8))


def _values(score: SupervisedScore, official: bool) -> tuple[float, float, float]:
    """Return accuracy, robustness and EAO."""
    if official:
        official_score = _official_score(score)
        return official_score.accuracy, official_score.robustness, official_score.eao
    return score.accuracy, score.robustness, score.rank_by


def one_pass_plots(scores: Scores, official: bool) -> list[Plot]:
    """Return success, precision and normalised precision side by side.

    The curves are always in pysot's arithmetic; beside `official` scores, the titles say so. Each legend names the best
    twelve trackers.
    """
    arithmetic = ", pysot's arithmetic" if official else ""
    scored = scored_as(scores, OnePassScore)
    check_some(scored)
    # curve and value are fields of the scores; the latter is in the legend
    kinds = (
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
    panels = []
    for curve, value, thresholds, title, x_label in kinds:
        series = []
        for rank, score in enumerate(sorted(scored, key=lambda score: -getattr(score.all, value))):
            label = f"{score.name} [{getattr(score.all, value):.3f}]" if rank < MAX_LEGEND else ""
            series.append(Series(score.name, scored.index(score), thresholds, getattr(score.all, curve), label))
        panels.append(
            Panel(
                f"{scores.dataset.name}: {title}{arithmetic}",
                x_label,
                "share of frames" if curve == "success" else "",
                tuple(series),
                legend="lower left" if curve == "success" else "lower right",
            )
        )
    return [Plot("scores", tuple(panels), _WIDE)]


def run_plots(axes_names: str, scores: Scores, official: bool) -> list[Plot]:
    """Return the curve of each tracker.

    `axes_names` is "<y> by <x>", such as "precision by recall", or only <y> for a curve by overlap, such as "share of
    frames above an overlap".
    """
    scored = scored_as(scores, RunScore)
    check_some(scored)
    series, most = [], 1.0
    for place, score in enumerate(scored):
        assert score.curve_x is not None and score.curve is not None  # scored trackers have a curve
        series.append(Series(score.name, place, score.curve_x, score.curve, f"{score.name} [{score.rank_by:.3f}]"))
        most = max(most, float(score.curve_x.max()))
    y_label, _, x_label = axes_names.partition(" by ")
    panel = Panel(scores.dataset.name, x_label or "overlap", y_label, tuple(series), x_range=(0.0, most))
    return [Plot("scores", (panel,), _MIDDLE)]


def expected_overlap_plot(
    curves: Mapping[str, np.ndarray], settings: VotSettings, title: str = "", official: bool = False
) -> Plot:
    """Return the expected overlap (L,) of each tracker by sequence length 0..L - 1.

    EAO, in the legend and as a horizontal line, is the mean over the shaded lengths, with `official` in the official
    arithmetic.
    """
    check_some(curves)
    average_of = official_average if official else average
    values = {name: average_of(curve, settings) for name, curve in curves.items()}
    series = [
        Series(name, place, np.arange(len(curve)), curve, f"{name} [{values[name]:.3f}]")
        for place, (name, curve) in enumerate(curves.items())
    ]
    panel = Panel(
        title,
        f"sequence length, frames (EAO: {settings.low} to {settings.high}, shaded)",
        "expected overlap",
        tuple(series),
        x_range=(0.0, float(max(map(len, curves.values())))),
        band=(settings.low, settings.high),
        levels=tuple(enumerate(values.values())),
    )
    return Plot("expected_overlap", (panel,), _MIDDLE)


def tags_plot(values: Mapping[str, Mapping[str, float]], title: str = "") -> Plot:
    """Return a radar of {tracker: {tag: value from 0}}.

    The centre is 0, the best value of a tag is at the rim, and its label gives the range of the values. A tag without
    any value is left out; a tracker without a value has a gap. Raises ValueError for fewer than three tags with values.
    """
    tags = list(dict.fromkeys(tag for row in values.values() for tag in row))
    columns = {tag: np.array([row.get(tag, np.nan) for row in values.values()], np.float64) for tag in tags}
    columns = {tag: column for tag, column in columns.items() if np.isfinite(column).any()}
    if len(columns) < MIN_TAGS:
        raise ValueError(f"nothing to plot: a radar needs {MIN_TAGS} or more tags with values, got {len(columns)}")
    scaled = np.stack([column / (np.nanmax(column) or 1) for column in columns.values()])
    series = tuple(
        Series(
            name,
            place,
            np.arange(len(columns)),
            scaled[:, place],
            name,
            BOTH,
            tuple(f"{tag}: {column[place]:.3f}" for tag, column in columns.items()),
        )
        for place, name in enumerate(values)
    )
    spokes = tuple(f"{tag.replace('_', ' ')}\n({_span(column)})" for tag, column in columns.items())
    return Plot("attributes", (Panel(title, "", "", series, spokes=spokes, kind=RADAR),), (9, 6))


def _span(column: np.ndarray) -> str:
    return "–".join(sorted({f"{np.nanmin(column):.3f}", f"{np.nanmax(column):.3f}"}))


def timeline_plot(
    name: str,
    overlaps: Mapping[str, np.ndarray],
    losses: Mapping[str, Sequence[int]],
    places: Mapping[str, int],
) -> Plot:
    """Return the overlap (N,) of each tracker by frame of the sequence `name`; NaN leaves a gap.

    Below it, every tracker that lost the target has a row of marks at its `losses`, which are frames from 0. Frames are
    shown from 1, as in file names. `places` give the styles: those of the trackers in the other plots.
    """
    check_some(overlaps, "no tracker was given")
    losers = [tracker for tracker in overlaps if len(losses[tracker])]
    x_range = (0.0, float(max(map(len, overlaps.values())) + 1))
    series = []
    for tracker, overlap in overlaps.items():
        count = len(losses[tracker])
        label = f"{tracker} [{count} loss{'' if count == 1 else 'es'}]"
        series.append(Series(tracker, places[tracker], np.arange(1, len(overlap) + 1), overlap, label, MARKED))
    upper = Panel(name, "" if losers else "frame", "overlap", tuple(series), x_range, (-0.02, 1.02))
    if not losers:
        return Plot("timeline", (upper,), (11, 3.6))
    rows = []
    for row, tracker in enumerate(losers):
        frames = np.asarray(losses[tracker]) + 1
        rows.append(Series(tracker, places[tracker], frames, np.full(len(frames), float(row)), way=POINTS))
    lower = Panel("", "frame", "losses", tuple(rows), x_range, (len(losers) - 0.4, -0.6), kind=ROWS)
    height = 0.17 * len(losers)
    return Plot("timeline", (upper, lower), (11, 3.6 + height), (3, height))


def check_some(trackers: Sized, needs: str = "no tracker could be scored") -> None:
    """Raise ValueError if there are no trackers."""
    if not len(trackers):
        raise ValueError(f"nothing to plot: {needs}")
