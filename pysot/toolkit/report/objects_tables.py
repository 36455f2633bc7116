"""Scores of masks of objects as text tables."""

from dataclasses import replace

from pysot.toolkit.evaluation.objects import MaskScore, ObjectsScore
from pysot.toolkit.protocol import Paint, Rows, Scores
from pysot.toolkit.report.score_types import scored_as, trackers_as
from pysot.toolkit.report.text_tables import label, notes_of, number, painted_table, per_video

TITLES = {"videos": "Per video (means over its objects)", "objects": "Per object (means over its frames)"}
COLUMNS = ("J&F", "J mean", "J recall", "J decay", "F mean", "F recall", "F decay")


def objects_text(scores: Scores, mode: str, spread: bool, paint: Paint) -> str:
    """Return the table of trackers, with notes on them and remarks on the set; `mode` and `spread` have no effect."""
    text = painted_table(scores, objects_rows(scores), paint) + notes_of(scores.trackers, paint)
    return "\n".join([text, *(paint(f"Note: {remark}", "warning") for remark in scores.dataset.remarks)])


def objects_tables(scores: Scores, mode: str) -> dict[str, Rows]:
    """Return the rows of each table by name; `mode` has no effect."""
    scored = scored_as(scores, ObjectsScore)
    by_object = [replace(score, videos=score.objects) for score in scored]
    return {
        "": objects_rows(scores),
        "videos": per_video(scored, COLUMNS, (3,) * len(COLUMNS), values_of),
        "objects": per_video(by_object, COLUMNS, (3,) * len(COLUMNS), values_of, "Object"),
    }


def by_attribute(score: ObjectsScore) -> dict[str, float]:
    """Return no values: DAVIS has no scores by attribute."""
    return {}


def objects_rows(scores: Scores) -> Rows:
    """Return J&F, and mean, recall and decay of J and F, of every tracker, best first."""
    rows = [["Tracker Name", *COLUMNS]]
    for score in trackers_as(scores, ObjectsScore):
        rows.append([label(score), *(number(value, 3) for value in values_of(score.all))])
    return rows


def values_of(score: MaskScore) -> tuple[float, ...]:
    """Return the values of the columns COLUMNS."""
    statistics = (value for side in (score.j, score.f) for value in (side.mean, side.recall, side.decay))
    return score.j_and_f, *statistics
