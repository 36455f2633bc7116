"""Scores of one-pass sets as text tables."""

from pysot.toolkit.evaluate_ope import OpeScores
from pysot.toolkit.report import Rows, attribute_table, label, notes_of, number, per_video, table

COLUMNS = ("Success", "Norm Precision", "Norm Precision AUC", "Precision", "AO", "SR 0.50", "SR 0.75")
FIELDS = ("auc", "norm_precision20", "norm_precision_auc", "precision20", "ao", "sr50", "sr75")


def ope_table(scores: OpeScores) -> str:
    """`ope_rows` as text, with the reasons why a tracker has no numbers."""
    return table(ope_rows(scores)) + notes_of(scores.trackers)


def ope_rows(scores: OpeScores) -> Rows:
    """Success (area under the curve), normalised precision at 0.2 (LaSOT) and its area (TrackingNet), precision at 20 pixels, and GOT-10k's average overlap and
    success rates, best success first.
    """
    rows = [["Tracker Name", *COLUMNS]]
    rows += [[label(score), *(number(getattr(score.all, name) if score.all else float("nan"), 3) for name in FIELDS)] for score in scores.trackers]
    return rows


def attribute_rows(scores: OpeScores) -> Rows:
    """Success of every tracker on the videos with each attribute; nothing if the set has none."""
    return attribute_table(scores.trackers, lambda curves: curves.auc)


def ope_video_rows(scores: OpeScores) -> Rows:
    """Success and precision of every tracker on every video."""
    return per_video(scores.trackers, ("Success", "Precision"), (3, 3), lambda curves: (curves.auc, curves.precision20))
