"""Scores of one-pass sets as text tables."""

from pysot.toolkit.evaluate_ope import OpeScore, OpeScores
from pysot.toolkit.report import Rows, number, problem_notes, table

COLUMNS = ("Success", "Norm Precision", "Precision", "AO", "SR 0.50", "SR 0.75")
_FIELDS = ("auc", "norm_precision20", "precision20", "ao", "sr50", "sr75")


def ope_table(scores: OpeScores) -> str:
    """`ope_rows` as text, with the reasons why a tracker has no numbers."""
    return table(ope_rows(scores)) + "".join(problem_notes(score.name, score.problems) for score in scores.trackers if score.problems)


def ope_rows(scores: OpeScores) -> Rows:
    """Success (area under the curve), normalised precision at 0.2, precision at 20 pixels, and GOT-10k's average overlap and success rates, best success
    first.
    """
    rows = [["Tracker Name", *COLUMNS]]
    rows += [[_name(score), *(number(getattr(score.all, name) if score.all else float("nan"), 3) for name in _FIELDS)] for score in scores.trackers]
    return rows


def attribute_table(scores: OpeScores) -> str:
    """Success of every tracker on the videos with each attribute; nothing if the set has none."""
    scored = [score for score in scores.trackers if score.all]
    if not scored or not scored[0].attributes:
        return ""
    rows = [["Tracker Name", *scored[0].attributes]]
    return table(rows + [[score.name, *(number(curves.auc, 3) for curves in score.attributes.values())] for score in scored])


def ope_video_table(scores: OpeScores) -> str:
    """Success and precision of every tracker on every video."""
    scored = [score for score in scores.trackers if score.all]
    if not scored:
        return "no tracker could be scored"
    rows = [["Video", *(f"{score.name} {what}" for score in scored for what in ("Success", "Precision"))]]
    for video in scored[0].videos:
        rows.append([video, *(number(value, 3) for score in scored for value in (score.videos[video].auc, score.videos[video].precision20))])
    return table(rows)


def _name(score: OpeScore) -> str:
    return f"{score.name} [not scored]" if score.problems else score.name
