"""Scores of the supervised protocol as text tables."""

from dataclasses import replace

import numpy as np

from pysot.toolkit.evaluation.accuracy_robustness import nanmean
from pysot.toolkit.evaluation.official import DIFFERENCE
from pysot.toolkit.evaluation.supervised import SupervisedScore
from pysot.toolkit.protocol import NAN, Rows, Scores
from pysot.toolkit.report.text_tables import label, notes_of, number, per_video, table

TITLES = {
    "attributes": "EAO by tag",
    "tags": "Per tag (Acc accuracy, LN lost number)",
    "videos": "Per video (Acc accuracy, LN lost number)",
}


def supervised_text(scores: Scores, mode: str, spread: bool) -> str:
    """The table of trackers in one arithmetic or both; `spread` adds mean and spread of several in pysot's."""
    if mode == "both":
        return both_table(scores)
    return official_table(scores) if mode == "official" else score_table(scores, spread)


def supervised_tables(scores: Scores, mode: str) -> dict[str, Rows]:
    """The rows of each table; the official toolkit has no scores by tag."""
    vot, rows = mode == "official", {"pysot": score_rows, "official": official_rows, "both": both_rows}[mode]
    return {
        "": rows(scores),
        "attributes": [] if vot else tag_rows(scores),
        "tags": [] if vot else per_tag(scores),
        "videos": video_rows(scores, vot),
    }


def by_tag(score: SupervisedScore) -> dict[str, float]:
    """EAO by tag."""
    return score.eao


def official_table(scores: Scores) -> str:
    """`official_rows` as text, with the reasons why a tracker has no numbers."""
    return table(official_rows(scores)) + _notes(scores)


def official_rows(scores: Scores) -> Rows:
    """The official toolkit's scores, best EAO first."""
    rows = [["Tracker Name", "Accuracy", "Robustness", "Lost Number", "EAO"]]
    ranked = sorted(
        scores.trackers, key=lambda score: -np.nan_to_num(score.official.eao, nan=-1) if score.official else 2
    )
    numbers = [
        (score.official.accuracy, score.official.robustness, score.official.lost, score.official.eao)
        if score.official
        else (NAN,) * 4
        for score in ranked
    ]
    return rows + [
        [label(score), *map(number, values, (3, 3, 1, 3))] for score, values in zip(ranked, numbers, strict=True)
    ]


def both_table(scores: Scores) -> str:
    """`both_rows` as text, and why the numbers differ."""
    return f"{table(both_rows(scores))}{_notes(scores)}\n{DIFFERENCE}"


def both_rows(scores: Scores) -> Rows:
    """Both arithmetics side by side."""
    names = ("Accuracy", "Robustness", "EAO")
    rows = [["Tracker Name", *(f"{name} {mode}" for name in names for mode in ("pysot", "vot"))]]
    for score in scores.trackers:
        ours, theirs = (score.accuracy, score.robustness, score.rank_by), (NAN,) * 3
        if score.official:
            theirs = score.official.accuracy, score.official.robustness, score.official.eao
        rows.append([label(score), *(number(value, 3) for pair in zip(ours, theirs, strict=True) for value in pair)])
    return rows


def score_table(scores: Scores, summary: bool = False) -> str:
    """`score_rows` as text, with the reasons why a tracker has no numbers."""
    return table(score_rows(scores, summary)) + _notes(scores)


def score_rows(scores: Scores, summary: bool = False) -> Rows:
    """Accuracy, Robustness, Lost Number and EAO, best EAO first. `summary` adds mean and spread (standard deviation) of several trackers."""
    numbers = [
        (label(score), (score.accuracy, score.robustness, score.lost, score.rank_by)) for score in scores.trackers
    ]
    scored = np.array(
        [values for (_, values), score in zip(numbers, scores.trackers, strict=True) if not score.problems]
    )
    if summary and len(scored) > 1:
        mean = nanmean(scored, axis=0)
        numbers += [(f"mean of {len(scored)}", mean), ("spread", np.sqrt(nanmean((scored - mean) ** 2, axis=0)))]
    rows = [["Tracker Name", "Accuracy", "Robustness", "Lost Number", "EAO"]]
    rows += [
        [name, *(number(value, digits) for value, digits in zip(values, (3, 3, 1, 3), strict=True))]
        for name, values in numbers
    ]
    return rows


def tag_rows(scores: Scores) -> Rows:
    """EAO per tag."""
    tags = list(scores.scored[0].eao) if scores.scored else []
    rows = [["Tracker Name", *tags]]
    return rows + [[label(score), *(number(score.eao.get(tag, NAN), 3) for tag in tags)] for score in scores.trackers]


def per_tag(scores: Scores) -> Rows:
    """Accuracy and lost number of every tracker in the frames with each tag."""
    return per_video(
        [replace(score, videos=score.tags) for score in scores.scored], ("Acc", "LN"), (3, 1), lambda tag: tag, "Tag"
    )


def video_rows(scores: Scores, vot: bool = False) -> Rows:
    """Accuracy and lost number of every tracker on every video, with `vot` the official toolkit's."""
    trackers = [
        replace(score, videos=score.official.videos) if vot and score.official else score for score in scores.scored
    ]
    return per_video(trackers, ("Acc", "LN"), (3, 1), lambda video: video)


def _notes(scores: Scores) -> str:
    notes = notes_of(scores.trackers)
    for score in scores.scored:
        if score.rank_by != score.rank_by:
            notes += f"\nNote: {score.name} has no EAO: the tracked videos are shorter than the lengths that {scores.dataset.name} averages over"
    return notes
