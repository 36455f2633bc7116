"""Scores of masks of objects as text tables."""

from dataclasses import replace

from pysot.toolkit.evaluation.objects import MaskScore, ObjectsScore
from pysot.toolkit.protocol import Rows, Scores
from pysot.toolkit.report.score_types import scored_as, trackers_as
from pysot.toolkit.report.text_tables import label, notes_of, number, per_video, table

TITLES = {"videos": "Per video (means over its objects)", "objects": "Per object (means over its frames)"}
STATISTICS = ("J mean", "J recall", "J decay", "F mean", "F recall", "F decay")


def objects_text(scores: Scores, mode: str, spread: bool) -> str:
    """Return the table of trackers, with notes on them and remarks on the set; `mode` and `spread` have no effect."""
    remarks = [f"Note: {remark}" for remark in scores.dataset.remarks]
    return "\n".join([table(objects_rows(scores)) + notes_of(scores.trackers), *remarks])


def objects_tables(scores: Scores, mode: str) -> dict[str, Rows]:
    """Return the rows of each table by name; `mode` has no effect."""
    scored = scored_as(scores, ObjectsScore)
    by_object = [replace(score, videos=score.objects) for score in scored]
    return {
        "": objects_rows(scores),
        "videos": per_video(
            scored, ("J&F", "J", "F"), (3,) * 3, lambda video: (video.j_and_f, video.j.mean, video.f.mean)
        ),
        "objects": per_video(by_object, ("J", "F"), (3, 3), lambda score: (score.j.mean, score.f.mean), "Object"),
    }


def by_attribute(score: ObjectsScore) -> dict[str, float]:
    """Return no values: DAVIS has no scores by attribute."""
    return {}


def objects_rows(scores: Scores) -> Rows:
    """Return J&F, and mean, recall and decay of J and F, of every tracker, best first."""
    rows = [["Tracker Name", "J&F", *STATISTICS]]
    for score in trackers_as(scores, ObjectsScore):
        rows.append([label(score), *(number(value, 3) for value in (score.all.j_and_f, *statistics_of(score.all)))])
    return rows


def statistics_of(score: MaskScore) -> tuple[float, ...]:
    """Return the values of the columns STATISTICS."""
    return tuple(value for side in (score.j, score.f) for value in (side.mean, side.recall, side.decay))
