"""The first part of an HTML report: ranking and curves, by kind of scores."""

from collections.abc import Callable

import numpy as np

from pysot.toolkit.evaluation.official import DIFFERENCE
from pysot.toolkit.evaluation.ope import DISTANCES, NORMALISED, OVERLAPS
from pysot.toolkit.evaluation.ope_official import rule_of
from pysot.toolkit.protocol import NAN, Scores
from pysot.toolkit.report import html_parts as parts
from pysot.toolkit.report.one_pass_tables import FIELDS, NAMES, official_fields, remarks_of
from pysot.toolkit.report.run_tables import ABOVE_ONE, HEADS
from pysot.toolkit.report.run_tables import DIFFERENCE as RUNS_DIFFERENCE
from pysot.toolkit.report.summary import tag_values


def supervised_overview(scores: Scores, colours: dict[str, str]) -> str:
    """Ranking, expected overlap, accuracy against robustness, and tables by tag."""
    scored, settings = scores.scored, scores.dataset.settings
    official = any(score.official for score in scored)
    head = [
        "tracker",
        "EAO",
        "accuracy",
        "robustness",
        "losses",
        *(["EAO vot", "accuracy vot", "robustness vot"] if official else []),
    ]
    rows = [
        [
            named_cell(score.name, colours),
            score.rank_by,
            score.accuracy,
            score.robustness,
            count_cell(score.lost),
            *([score.official.eao, score.official.accuracy, score.official.robustness] if score.official else []),
        ]
        for score in scored
    ]
    accuracies, losses = (
        {score.name: {tag: pair[place] for tag, pair in score.tags.items()} for score in scored} for place in (0, 1)
    )
    tags = (
        _attributes(scores, colours)
        + _by_name("Accuracy by tag", accuracies, colours)
        + _by_name("Losses by tag", losses, colours, count_cell)
    )
    lines = [(np.arange(len(score.curve)), score.curve, colours[score.name]) for score in scored]
    low, high = settings.low, settings.high
    label = f"expected overlap by length in frames; EAO is the mean from {low} to {high}, marked below"
    chart = parts.chart(lines, label, [(low, "#5b6570"), (high, "#5b6570")], 240)
    note = f"<p class=faint>{parts.text(DIFFERENCE)}.</p>" if official else ""
    return (
        f"<h2>Ranking</h2>{parts.table(head, rows)}{note}<h2>Expected overlap</h2>{parts.keys(colours.items())}{chart}"
        f"<h2>Accuracy and robustness</h2>{_accuracy_robustness(scored, colours)}{tags}"
    )


def _accuracy_robustness(scored: list, colours: dict[str, str]) -> str:
    """Each tracker that has an accuracy as a dot: accuracy upwards, losses per 100 frames to the right."""
    width, height, most = parts.WIDTH, 220, max(score.robustness for score in scored) * 1.1 or 1.0
    axes = f'<path fill=none stroke="#d5dae0" d="M0 0V{height}H{width}"/>'
    dots = "".join(
        f'<circle cx="{score.robustness / most * width:.1f}" cy="{(1 - score.accuracy) * height:.1f}" r=6 fill="{colours[score.name]}"><title>'
        f"{parts.text(score.name)}</title></circle>"
        for score in scored
        if score.accuracy == score.accuracy
    )
    label = "accuracy from 0 to 1 upwards, losses per 100 frames to the right up to:"
    return parts.keys(colours.items()) + parts.drawing(axes + dots, height, label, f"{most:.2f}")


def one_pass_overview(scores: Scores, colours: dict[str, str]) -> str:
    """Ranking, the curves of success and precision, and a table by attribute."""
    scored, theirs = scores.scored, official_fields(scores)
    head = ["tracker", *(NAMES[what] for what in FIELDS), *(f"{NAMES[what]} official" for what in theirs)]
    rows = [
        [
            named_cell(score.name, colours),
            *(getattr(score.all, what) for what in FIELDS),
            *(score.official.numbers[what] for what in theirs),
        ]
        for score in scored
    ]
    remarks = [*remarks_of(scores), *([rule_of(scores.dataset).difference] if theirs else [])]
    notes = "".join(f"<p class=faint>{parts.text(remark)}.</p>" for remark in remarks)
    curves = (
        ("success", OVERLAPS, "success: share of frames above an overlap"),
        ("precision", DISTANCES, "precision: share of frames within pixels"),
        ("norm_precision", NORMALISED, "normalised precision: share of frames within a part of the target's size"),
    )
    charts = "".join(
        parts.chart([(axis, getattr(score.all, what), colours[score.name]) for score in scored], label, height=200)
        for what, axis, label in curves
    )
    told = "<p class=faint>In the arithmetic of pysot.</p>" if theirs else ""
    return f"<h2>Ranking</h2>{parts.table(head, rows)}{notes}<h2>Curves</h2>{told}{parts.keys(colours.items())}{charts}{_attributes(scores, colours)}"


def _attributes(scores: Scores, colours: dict[str, str]) -> str:
    """What is told of the trackers by tag or attribute."""
    return _by_name(scores.protocol.report.titles["attributes"], tag_values(scores), colours)


def _by_name(title: str, values: dict[str, dict[str, float]], colours: dict[str, str], cell: Callable = float) -> str:
    """A table of {tracker: {name: value}}, nothing without names."""
    names = list(dict.fromkeys(name for row in values.values() for name in row))
    rows = [
        [named_cell(tracker, colours), *(cell(row.get(name, NAN)) for name in names)] for tracker, row in values.items()
    ]
    return f"<h2>{title}</h2>{parts.table(['tracker', *names], rows)}" if names else ""


def run_overview(axes: str, scores: Scores, colours: dict[str, str]) -> str:
    """Ranking, the curves, whose axes are told, and a table by attribute."""
    scored = scores.scored
    names = list(scored[0].numbers)
    official = any(score.official for score in scored)
    head = ["tracker", *(HEADS[name] for name in names), *(f"{HEADS[name]} vot" for name in names if official)]
    rows = [[named_cell(score.name, colours), *score.numbers.values(), *score.official.values()] for score in scored]
    chart = parts.chart([(score.at, score.curve, colours[score.name]) for score in scored], axes, height=240, least=1.0)
    note = "".join(f"<p class=faint>{parts.text(told)}.</p>" for told in (RUNS_DIFFERENCE, ABOVE_ONE) if official)
    return f"<h2>Ranking</h2>{parts.table(head, rows)}{note}<h2>Curves</h2>{parts.keys(colours.items())}{chart}{_attributes(scores, colours)}"


def count_cell(number: float) -> tuple[str, float]:
    """A number that is most often whole, as a cell."""
    return f"{number:g}", number


def named_cell(name: str, colours: dict[str, str]) -> tuple[str, str]:
    """A tracker's name with its colour, as a cell."""
    return f'<i class=key style="background:{colours[name]}"></i>{parts.text(name)}', name
