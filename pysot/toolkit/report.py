"""Scores as text tables."""

from dataclasses import astuple

import numpy as np

from pysot.toolkit.evaluate import NAN, Scores, TrackerScore
from pysot.toolkit.metrics import nanmean
from pysot.toolkit.official import DIFFERENCE

_SHOWN_PROBLEMS = 5
Rows = list[list[str]]  # cells; the first row is the head


def official_table(scores: Scores) -> str:
    """`official_rows` as text, with the reasons why a tracker has no numbers."""
    return table(official_rows(scores)) + _notes(scores)


def official_rows(scores: Scores) -> Rows:
    """The official toolkit's scores, best EAO first."""
    rows = [["Tracker Name", "Accuracy", "Robustness", "Lost Number", "EAO"]]
    ranked = sorted((score for score in scores.trackers if score.official), key=lambda score: -np.nan_to_num(score.official.eao, nan=-1))
    rows += [[score.name, *(number(value, digits) for value, digits in zip(astuple(score.official), (3, 3, 1, 3), strict=True))] for score in ranked]
    return rows


def both_table(scores: Scores) -> str:
    """`both_rows` as text, and why the numbers differ."""
    return f"{table(both_rows(scores))}{_notes(scores)}\n{DIFFERENCE}"


def both_rows(scores: Scores) -> Rows:
    """Both arithmetics side by side."""
    names = ("Accuracy", "Robustness", "EAO")
    rows = [["Tracker Name", *(f"{name} {mode}" for name in names for mode in ("pysot", "vot"))]]
    for score in scores.trackers:
        ours, theirs = (score.accuracy, score.robustness, score.eao["all"]), (NAN,) * 3
        if score.official:
            theirs = score.official.accuracy, score.official.robustness, score.official.eao
        rows.append([_name(score), *(number(value, 3) for pair in zip(ours, theirs, strict=True) for value in pair)])
    return rows


def score_table(scores: Scores, summary: bool = False) -> str:
    """`score_rows` as text, with the reasons why a tracker has no numbers."""
    return table(score_rows(scores, summary)) + _notes(scores)


def score_rows(scores: Scores, summary: bool = False) -> Rows:
    """Accuracy, Robustness, Lost Number and EAO, best EAO first. `summary` adds mean and spread (standard deviation) of several trackers."""
    numbers = [(_name(score), (score.accuracy, score.robustness, score.lost, score.eao["all"])) for score in scores.trackers]
    scored = np.array([values for (_, values), score in zip(numbers, scores.trackers, strict=True) if not score.problems])
    if summary and len(scored) > 1:
        mean = nanmean(scored, axis=0)
        numbers += [(f"mean of {len(scored)}", mean), ("spread", np.sqrt(nanmean((scored - mean) ** 2, axis=0)))]
    rows = [["Tracker Name", "Accuracy", "Robustness", "Lost Number", "EAO"]]
    rows += [[name, *(number(value, digits) for value, digits in zip(values, (3, 3, 1, 3), strict=True))] for name, values in numbers]
    return rows


def tag_table(scores: Scores) -> str:
    """EAO per tag."""
    tags = list(scores.trackers[0].eao) if scores.trackers else []
    rows = [["Tracker Name", *tags]]
    rows += [[_name(score), *(number(score.eao[tag], 3) for tag in tags)] for score in scores.trackers]
    return table(rows)


def video_table(scores: Scores) -> str:
    """Accuracy and lost number of every tracker on every video."""
    scored = [score for score in scores.trackers if not score.problems]
    if not scored:
        return "no tracker could be scored"
    rows = [["Video", *(f"{score.name} {what}" for score in scored for what in ("Acc", "LN"))]]
    for video in scored[0].videos:
        rows.append([video, *(number(value, digits) for score in scored for value, digits in zip(score.videos[video], (3, 1), strict=True))])
    return table(rows)


def _name(score: TrackerScore) -> str:
    return f"{score.name} [not scored]" if score.problems else score.name


def number(value: float, digits: int) -> str:
    """A number with so many digits, or a dash for NaN."""
    return "-" if value != value else f"{value:.{digits}f}"


def table(rows: list[list[str]]) -> str:
    """Rows of cells, the first one the head, with lines around them."""
    widths = [max(len(row[column]) for row in rows) + 2 for column in range(len(rows[0]))]
    lines = ["|" + "|".join(cell.center(width) for cell, width in zip(row, widths, strict=True)) + "|" for row in rows]
    bar = "-" * len(lines[0])
    return "\n".join([bar, lines[0], bar, *lines[1:], bar])


def _notes(scores: Scores) -> str:
    notes = ""
    for score in scores.trackers:
        if score.problems:
            notes += problem_notes(score.name, score.problems)
        elif score.eao["all"] != score.eao["all"]:
            notes += f"\nNote: {score.name} has no EAO: the tracked videos are shorter than the lengths that {scores.dataset} averages over"
    return notes


def problem_notes(name: str, problems: tuple[str, ...]) -> str:
    """Why a tracker is not scored."""
    more = len(problems) - _SHOWN_PROBLEMS
    shown = [f"\n  - {problem}" for problem in problems[:_SHOWN_PROBLEMS]] + ([f"\n  - and {more} more"] if more > 0 else [])
    return f"\nWarning: {name} is not scored, {len(problems)} of its results can't be used:{''.join(shown)}"
