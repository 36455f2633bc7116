"""Scores of the supervised protocol as text tables."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from pysot.toolkit.evaluation.accuracy_robustness import nanmean
from pysot.toolkit.evaluation.official import DIFFERENCE
from pysot.toolkit.evaluation.supervised import SupervisedScore
from pysot.toolkit.protocol import NAN, Paint, Rows, Scores, plain
from pysot.toolkit.report.score_types import scored_as, trackers_as
from pysot.toolkit.report.text_tables import label, notes_of, number, painted_table, per_video

TITLES = {
    "attributes": "EAO by tag",
    "tags": "Per tag (Acc accuracy, LN lost number)",
    "videos": "Per video (Acc accuracy, LN lost number)",
}


def supervised_text(scores: Scores, mode: str, spread: bool, paint: Paint) -> str:
    """Return the table of trackers in one arithmetic or both.

    In pysot's arithmetic, `spread` adds mean and spread of several trackers.
    """
    if mode == "both":
        return both_table(scores, paint)
    return official_table(scores, paint) if mode == "official" else score_table(scores, spread, paint)


def supervised_tables(scores: Scores, mode: str) -> dict[str, Rows]:
    """Return the rows of each table by name. The official toolkit has no scores by tag."""
    official = mode == "official"
    tracker_rows = {"pysot": score_rows, "official": official_rows, "both": both_rows}[mode]
    return {
        "": tracker_rows(scores),
        "attributes": [] if official else tag_rows(scores),
        "tags": [] if official else tag_detail_rows(scores),
        "videos": video_rows(scores, official),
    }


def by_tag(score: SupervisedScore) -> dict[str, float]:
    """Return EAO by tag."""
    return score.eao


def official_table(scores: Scores, paint: Paint) -> str:
    """Return `official_rows` as text, with notes on the trackers that are not scored."""
    return painted_table(scores, official_rows(scores), paint) + _notes(scores, paint)


def official_rows(scores: Scores) -> Rows:
    """Return the official toolkit's scores, best EAO first."""

    def order(score: SupervisedScore) -> float:
        return -np.nan_to_num(score.official.eao, nan=-1) if score.official else 2

    rows = [["Tracker Name", "Accuracy", "Robustness", "Lost Number", "EAO"]]
    for score in sorted(trackers_as(scores, SupervisedScore), key=order):
        values = (NAN,) * 4
        if score.official:
            values = score.official.accuracy, score.official.robustness, score.official.lost, score.official.eao
        rows.append([label(score), *map(number, values, (3, 3, 1, 3))])
    return rows


def both_table(scores: Scores, paint: Paint) -> str:
    """Return `both_rows` as text, and why the values differ."""
    return f"{painted_table(scores, both_rows(scores), paint)}{_notes(scores, paint)}\n{DIFFERENCE}"


def both_rows(scores: Scores) -> Rows:
    """Return the scores of both arithmetics side by side."""
    names = ("Accuracy", "Robustness", "EAO")
    rows = [["Tracker Name", *(f"{name} {mode}" for name in names for mode in ("pysot", "vot"))]]
    for score in trackers_as(scores, SupervisedScore):
        pysot = (score.accuracy, score.robustness, score.rank_by)
        official = (NAN,) * 3
        if score.official:
            official = score.official.accuracy, score.official.robustness, score.official.eao
        rows.append([label(score), *(number(value, 3) for pair in zip(pysot, official, strict=True) for value in pair)])
    return rows


def score_table(scores: Scores, summary: bool = False, paint: Paint = plain) -> str:
    """Return `score_rows` as text, with notes on the trackers that are not scored."""
    return painted_table(scores, score_rows(scores, summary), paint) + _notes(scores, paint)


def score_rows(scores: Scores, summary: bool = False) -> Rows:
    """Return Accuracy, Robustness, Lost Number and EAO, best EAO first.

    `summary` adds mean and spread (standard deviation) of several trackers.
    """
    trackers = trackers_as(scores, SupervisedScore)
    by_label: list[tuple[str, Iterable[float]]] = [(label(score), _values(score)) for score in trackers]
    scored = np.array([_values(score) for score in trackers if not score.problems])
    if summary and len(scored) > 1:
        mean = nanmean(scored, axis=0)
        spread = np.sqrt(nanmean((scored - mean) ** 2, axis=0))
        by_label += [(f"mean of {len(scored)}", mean), ("spread", spread)]
    rows = [["Tracker Name", "Accuracy", "Robustness", "Lost Number", "EAO"]]
    for name, values in by_label:
        rows.append([name, *(number(value, digits) for value, digits in zip(values, (3, 3, 1, 3), strict=True))])
    return rows


def _values(score: SupervisedScore) -> tuple[float, float, float, float]:
    return score.accuracy, score.robustness, score.lost, score.rank_by


def tag_rows(scores: Scores) -> Rows:
    """Return EAO per tag."""
    scored = scored_as(scores, SupervisedScore)
    tags = list(scored[0].eao) if scored else []
    rows = [["Tracker Name", *tags]]
    for score in trackers_as(scores, SupervisedScore):
        rows.append([label(score), *(number(score.eao.get(tag, NAN), 3) for tag in tags)])
    return rows


def tag_detail_rows(scores: Scores) -> Rows:
    """Return accuracy and lost number of every tracker in the frames with each tag."""
    by_tag = [replace(score, videos=score.tags) for score in scored_as(scores, SupervisedScore)]
    return per_video(by_tag, ("Acc", "LN"), (3, 1), lambda tag: tag, "Tag")


def video_rows(scores: Scores, official: bool = False) -> Rows:
    """Return accuracy and lost number of every tracker on every video, with `official` in the official arithmetic."""
    trackers = [
        replace(score, videos=score.official.videos) if official and score.official else score
        for score in scored_as(scores, SupervisedScore)
    ]
    return per_video(trackers, ("Acc", "LN"), (3, 1), lambda video: video)


def eao_notes(scores: Scores) -> list[str]:
    """Return a sentence on each tracker without EAO."""
    reason = f"the tracked videos are shorter than the lengths that {scores.dataset.name} averages over"
    return [f"{score.name} has no EAO: {reason}" for score in scores.scored if score.rank_by != score.rank_by]


def _notes(scores: Scores, paint: Paint) -> str:
    notes = (paint(f"Note: {note}", "warning") for note in eao_notes(scores))
    return "\n".join([notes_of(scores.trackers, paint), *notes])
