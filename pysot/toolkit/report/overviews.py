"""First part of an HTML report: ranking and curves, by kind of scores."""

from collections.abc import Callable

import numpy as np

from pysot.toolkit.evaluation.official import DIFFERENCE
from pysot.toolkit.evaluation.one_pass import OnePassScore
from pysot.toolkit.evaluation.ope import DISTANCES, NORMALISED, OVERLAPS
from pysot.toolkit.evaluation.ope_official import official_rule
from pysot.toolkit.evaluation.runs import RunScore
from pysot.toolkit.evaluation.supervised import SupervisedScore
from pysot.toolkit.protocol import NAN, Scores
from pysot.toolkit.report import html_parts as parts
from pysot.toolkit.report.one_pass_tables import FIELDS, NAMES, official_fields, remarks_of
from pysot.toolkit.report.run_tables import ABOVE_ONE, HEADERS
from pysot.toolkit.report.run_tables import DIFFERENCE as RUNS_DIFFERENCE
from pysot.toolkit.report.score_types import scored_as
from pysot.toolkit.report.summary import tag_values


def supervised_overview(scores: Scores, colours: dict[str, str]) -> str:
    """Return ranking, expected overlap, accuracy against robustness, and tables by tag."""
    scored = scored_as(scores, SupervisedScore)
    accuracies = {score.name: {tag: accuracy for tag, (accuracy, _) in score.tags.items()} for score in scored}
    losses = {score.name: {tag: lost for tag, (_, lost) in score.tags.items()} for score in scored}
    tags = (
        _attributes(scores, colours)
        + _by_name("Accuracy by tag", accuracies, colours)
        + _by_name("Losses by tag", losses, colours, count_cell)
    )
    return (
        f"{_supervised_ranking(scored, colours)}"
        f"<h2>Expected overlap</h2>{parts.keys(colours.items())}{_expected_overlap(scores, scored, colours)}"
        f"<h2>Accuracy and robustness</h2>{_accuracy_robustness(scored, colours)}{tags}"
    )


def _supervised_ranking(scored: list[SupervisedScore], colours: dict[str, str]) -> str:
    header = ["tracker", "EAO", "accuracy", "robustness", "losses"]
    official = any(score.official for score in scored)
    if official:
        header += ["EAO vot", "accuracy vot", "robustness vot"]
    rows = []
    for score in scored:
        row: list[object] = [named_cell(score.name, colours), score.rank_by, score.accuracy, score.robustness]
        row.append(count_cell(score.lost))
        if score.official:
            row += [score.official.eao, score.official.accuracy, score.official.robustness]
        rows.append(row)
    note = f"<p class=faint>{parts.text(DIFFERENCE)}.</p>" if official else ""
    return f"<h2>Ranking</h2>{parts.table(header, rows)}{note}"


def _expected_overlap(scores: Scores, scored: list[SupervisedScore], colours: dict[str, str]) -> str:
    settings = scores.dataset.settings
    assert settings is not None  # supervised sets have them
    low, high = settings.low, settings.high
    label = f"expected overlap by length in frames; EAO is the mean from {low} to {high}, marked below"
    lines = []
    for score in scored:
        assert score.curve is not None  # scored trackers have one
        lines.append((np.arange(len(score.curve)), score.curve, colours[score.name]))
    return parts.chart(lines, label, [(low, "#5b6570"), (high, "#5b6570")], 240)


def _accuracy_robustness(scored: list[SupervisedScore], colours: dict[str, str]) -> str:
    """Draw each tracker that has an accuracy as a dot: accuracy upwards, losses per 100 frames to the right."""
    width, height = parts.WIDTH, 220
    most = max(score.robustness for score in scored) * 1.1 or 1.0
    axes = f'<path fill=none stroke="#d5dae0" d="M0 0V{height}H{width}"/>'
    dots = "".join(
        f'<circle cx="{score.robustness / most * width:.1f}" cy="{(1 - score.accuracy) * height:.1f}" r=6 '
        f'fill="{colours[score.name]}"><title>{parts.text(score.name)}</title></circle>'
        for score in scored
        if score.accuracy == score.accuracy
    )
    label = "accuracy from 0 to 1 upwards, losses per 100 frames to the right up to:"
    return parts.keys(colours.items()) + parts.drawing(axes + dots, height, label, f"{most:.2f}")


def one_pass_overview(scores: Scores, colours: dict[str, str]) -> str:
    """Return ranking, the curves of success and precision, and a table by attribute."""
    scored = scored_as(scores, OnePassScore)
    official = official_fields(scores)
    header = ["tracker", *(NAMES[field] for field in FIELDS), *(f"{NAMES[field]} official" for field in official)]
    rows = []
    for score in scored:
        row: list[object] = [named_cell(score.name, colours), *(getattr(score.all, field) for field in FIELDS)]
        if official:
            assert score.official is not None  # all scored trackers have official scores, or none
            row += [score.official.numbers[field] for field in official]
        rows.append(row)
    remarks = [*remarks_of(scores)]
    if official:
        remarks.append(official_rule(scores.dataset).difference)
    notes = "".join(f"<p class=faint>{parts.text(remark)}.</p>" for remark in remarks)
    curves = (
        ("success", OVERLAPS, "success: share of frames above an overlap"),
        ("precision", DISTANCES, "precision: share of frames within pixels"),
        ("norm_precision", NORMALISED, "normalised precision: share of frames within a part of the target's size"),
    )
    charts = "".join(
        parts.chart([(x, getattr(score.all, field), colours[score.name]) for score in scored], label, height=200)
        for field, x, label in curves
    )
    caption = "<p class=faint>In the arithmetic of pysot.</p>" if official else ""
    return (
        f"<h2>Ranking</h2>{parts.table(header, rows)}{notes}"
        f"<h2>Curves</h2>{caption}{parts.keys(colours.items())}{charts}{_attributes(scores, colours)}"
    )


def _attributes(scores: Scores, colours: dict[str, str]) -> str:
    """Return the table of the protocol's values by tag or attribute."""
    return _by_name(scores.protocol.report.titles["attributes"], tag_values(scores), colours)


def _by_name(
    title: str,
    values: dict[str, dict[str, float]],
    colours: dict[str, str],
    cell: Callable[[float], object] = float,
) -> str:
    """Return a table of {tracker: {name: value}}, "" without names."""
    names = list(dict.fromkeys(name for row in values.values() for name in row))
    if not names:
        return ""
    rows = [
        [named_cell(tracker, colours), *(cell(row.get(name, NAN)) for name in names)] for tracker, row in values.items()
    ]
    return f"<h2>{title}</h2>{parts.table(['tracker', *names], rows)}"


def run_overview(axes: str, scores: Scores, colours: dict[str, str]) -> str:
    """Return ranking, the curves, and a table by attribute. `axes` is the label of the chart."""
    scored = scored_as(scores, RunScore)
    names = list(scored[0].numbers)
    official = any(score.official for score in scored)
    header = ["tracker", *(HEADERS[name] for name in names)]
    if official:
        header += [f"{HEADERS[name]} vot" for name in names]
    rows = [[named_cell(score.name, colours), *score.numbers.values(), *score.official.values()] for score in scored]
    lines = []
    for score in scored:
        assert score.curve_x is not None and score.curve is not None  # scored trackers have a curve
        lines.append((score.curve_x, score.curve, colours[score.name]))
    chart = parts.chart(lines, axes, height=240, least=1.0)
    notes = (RUNS_DIFFERENCE, ABOVE_ONE) if official else ()
    note = "".join(f"<p class=faint>{parts.text(sentence)}.</p>" for sentence in notes)
    return (
        f"<h2>Ranking</h2>{parts.table(header, rows)}{note}"
        f"<h2>Curves</h2>{parts.keys(colours.items())}{chart}{_attributes(scores, colours)}"
    )


def count_cell(number: float) -> tuple[str, float]:
    """Return a number that is usually an integer, as a cell."""
    return f"{number:g}", number


def named_cell(name: str, colours: dict[str, str]) -> tuple[str, str]:
    """Return a tracker's name with its colour, as a cell."""
    return f'<i class=key style="background:{colours[name]}"></i>{parts.text(name)}', name
