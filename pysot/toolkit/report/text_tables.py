"""Scores as text tables."""

from collections.abc import Callable
from dataclasses import astuple, replace

import numpy as np

from pysot.toolkit.evaluation.accuracy_robustness import nanmean
from pysot.toolkit.evaluation.official import DIFFERENCE
from pysot.toolkit.evaluation.supervised import NAN, Scores

_SHOWN_PROBLEMS = 5
Rows = list[list[str]]  # cells; the first row is the head


def official_table(scores: Scores) -> str:
    """`official_rows` as text, with the reasons why a tracker has no numbers."""
    return table(official_rows(scores)) + _notes(scores)


def official_rows(scores: Scores) -> Rows:
    """The official toolkit's scores, best EAO first."""
    rows = [["Tracker Name", "Accuracy", "Robustness", "Lost Number", "EAO"]]
    ranked = sorted(scores.trackers, key=lambda score: -np.nan_to_num(score.official.eao, nan=-1) if score.official else 2)
    numbers = [astuple(score.official)[:4] if score.official else (NAN,) * 4 for score in ranked]
    return rows + [[label(score), *map(number, values, (3, 3, 1, 3))] for score, values in zip(ranked, numbers, strict=True)]


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
        rows.append([label(score), *(number(value, 3) for pair in zip(ours, theirs, strict=True) for value in pair)])
    return rows


def score_table(scores: Scores, summary: bool = False) -> str:
    """`score_rows` as text, with the reasons why a tracker has no numbers."""
    return table(score_rows(scores, summary)) + _notes(scores)


def score_rows(scores: Scores, summary: bool = False) -> Rows:
    """Accuracy, Robustness, Lost Number and EAO, best EAO first. `summary` adds mean and spread (standard deviation) of several trackers."""
    numbers = [(label(score), (score.accuracy, score.robustness, score.lost, score.eao["all"])) for score in scores.trackers]
    scored = np.array([values for (_, values), score in zip(numbers, scores.trackers, strict=True) if not score.problems])
    if summary and len(scored) > 1:
        mean = nanmean(scored, axis=0)
        numbers += [(f"mean of {len(scored)}", mean), ("spread", np.sqrt(nanmean((scored - mean) ** 2, axis=0)))]
    rows = [["Tracker Name", "Accuracy", "Robustness", "Lost Number", "EAO"]]
    rows += [[name, *(number(value, digits) for value, digits in zip(values, (3, 3, 1, 3), strict=True))] for name, values in numbers]
    return rows


def tag_rows(scores: Scores) -> Rows:
    """EAO per tag."""
    tags = list(scores.trackers[0].eao) if scores.trackers else []
    rows = [["Tracker Name", *tags]]
    return rows + [[label(score), *(number(score.eao[tag], 3) for tag in tags)] for score in scores.trackers]


def per_tag(scores: Scores) -> Rows:
    """Accuracy and lost number of every tracker in the frames with each tag."""
    return per_video([replace(score, videos=score.tags) for score in scores.trackers], ("Acc", "LN"), (3, 1), lambda tag: tag, "Tag")


def video_rows(scores: Scores, vot: bool = False) -> Rows:
    """Accuracy and lost number of every tracker on every video, with `vot` the official toolkit's."""
    trackers = [replace(score, videos=score.official.videos) if vot and score.official else score for score in scores.trackers]
    return per_video(trackers, ("Acc", "LN"), (3, 1), lambda video: video)


def per_video(trackers: list, names: tuple[str, ...], digits: tuple[int, ...], values: Callable, head: str = "Video") -> Rows:
    """A row for every video that a tracker was scored on, with `values` of its score there, dashes where it was not."""
    scored = [score for score in trackers if not score.problems]
    rows = [[head, *(f"{score.name} {name}" for score in scored for name in names)]]
    for video in dict.fromkeys(video for score in scored for video in score.videos):
        known = [values(score.videos[video]) if video in score.videos else (NAN,) * len(names) for score in scored]
        rows.append([video, *(number(value, places) for row in known for value, places in zip(row, digits, strict=True))])
    return rows


def attribute_table(trackers: list, value: Callable) -> Rows:
    """A row for every tracker that is scored, with the `value` of its score on the videos with each attribute; nothing if there are no attributes."""
    scored = [score for score in trackers if not score.problems]
    names = list(dict.fromkeys(name for score in scored for name in score.attributes))
    known = [[value(score.attributes[name]) if name in score.attributes else NAN for name in names] for score in scored]
    return [["Tracker Name", *names], *([label(score), *(number(cell, 3) for cell in row)] for score, row in zip(scored, known, strict=True))] if names else []


def label(score) -> str:
    """A tracker's name in tables: with what it does not cover."""
    told = "not scored" if score.problems else score.covers
    return f"{score.name} [{told}]" if told else score.name


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
    notes = notes_of(scores.trackers)
    for score in scores.trackers:
        if not score.problems and score.eao["all"] != score.eao["all"]:
            notes += f"\nNote: {score.name} has no EAO: the tracked videos are shorter than the lengths that {scores.dataset} averages over"
    return notes


def notes_of(trackers: list) -> str:
    """Why trackers are not scored, and what was left out, repaired or simulated of others."""
    text = ""
    for score in trackers:
        if score.problems:
            text += f"\nWarning: {score.name} is not scored, {len(score.problems)} of its results can't be used:{_listed(score.problems)}"
        elif score.notes:
            text += f"\nNote: {score.name}:{_listed(score.notes)}"
    return text


def _listed(sentences: tuple[str, ...]) -> str:
    more = len(sentences) - _SHOWN_PROBLEMS
    return "".join(f"\n  - {sentence}" for sentence in sentences[:_SHOWN_PROBLEMS]) + (f"\n  - and {more} more" if more > 0 else "")
