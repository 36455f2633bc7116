"""Scores of runs without restarts as text tables."""

from dataclasses import replace

from pysot.toolkit.evaluation.runs import RunScore
from pysot.toolkit.protocol import NAN, Paint, Rows, Scores
from pysot.toolkit.report.score_types import scored_as, trackers_as
from pysot.toolkit.report.text_tables import attribute_table, label, notes_of, number, painted_table, per_video

HEADERS = {
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "eao": "EAO",
    "accuracy": "Accuracy",
    "robustness": "Robustness",
}
DIFFERENCE = (
    "Why they differ: pysot rasterises boxes with one row and column more, reads the first confidence of a video as "
    "none, counts frames of a positive confidence only, and takes other places of the sorted confidences as thresholds"
)
ABOVE_ONE = (
    "Note: official recall, and with it F1, can be above 1, a known fault of the official toolkit: frames that rightly "
    "have no region are added as overlaps of 1, and the sum is divided by the frames that show the target alone"
)

TITLES = {"attributes": "By attribute", "videos": "Per video"}


def run_text(scores: Scores, mode: str, spread: bool, paint: Paint) -> str:
    """Return `run_table`; `spread` has no effect."""
    return run_table(scores, mode, paint)


def run_tables(scores: Scores, mode: str) -> dict[str, Rows]:
    """Return the rows of each table by name."""
    return {
        "": run_rows(scores, mode),
        "attributes": run_attribute_rows(scores, mode),
        "videos": run_video_rows(scores, mode),
    }


def by_attribute(score: RunScore) -> dict[str, float]:
    """Return the value that ranks, by attribute."""
    return score.attributes


def run_table(scores: Scores, mode: str, paint: Paint) -> str:
    """Return `run_rows` as text, with notes on trackers that are not scored and on how the two arithmetics differ."""
    # only long-term scores have official values
    official = mode != "pysot" and any(score.official for score in scored_as(scores, RunScore))
    notes = []
    if official:
        notes.append(paint(ABOVE_ONE, "warning"))
    if official and mode == "both":
        notes.append(DIFFERENCE)
    text = painted_table(scores, run_rows(scores, mode), paint) + notes_of(scores.trackers, paint)
    return "\n".join([text, *notes])


def run_rows(scores: Scores, mode: str = "pysot") -> Rows:
    """Return the values of every tracker, best first.

    Mode "official" gives the official toolkit's values, "both" gives both, for scores where the two differ.
    """
    scored = scored_as(scores, RunScore)
    names = list(scored[0].numbers) if scored else []
    has_official = mode != "pysot" and any(score.official for score in scored)
    arithmetics = ["pysot"]
    if has_official:
        arithmetics = ["vot"] if mode == "official" else ["pysot", "vot"]
    columns = [(name, arithmetic) for name in names for arithmetic in arithmetics]
    if len(arithmetics) > 1:
        rows = [["Tracker Name", *(f"{HEADERS[name]} {arithmetic}" for name, arithmetic in columns)]]
    else:
        rows = [["Tracker Name", *(HEADERS[name] for name in names)]]
    for score in trackers_as(scores, RunScore):
        values = {"pysot": score.numbers, "vot": score.official}
        rows.append([label(score), *(number(values[arithmetic].get(name, NAN), 3) for name, arithmetic in columns)])
    return rows


def run_attribute_rows(scores: Scores, mode: str = "pysot") -> Rows:
    """Return the value that ranks, of every tracker on the videos with each attribute; no rows without attributes.

    `mode` is as in `run_video_rows`.
    """
    return attribute_table([(score, score.attributes) for score in _scored_in_mode(scores, mode)])


def run_video_rows(scores: Scores, mode: str = "pysot") -> Rows:
    """Return the values of every tracker on every video.

    With mode "official" they are those of the official toolkit where the two differ.
    """
    scored = _scored_in_mode(scores, mode)
    names = list(next(iter(scored[0].videos.values()))) if scored else []
    headers = tuple(HEADERS[name] for name in names)
    return per_video(scored, headers, (3,) * len(names), lambda video: tuple(video[name] for name in names))


def _scored_in_mode(scores: Scores, mode: str) -> list[RunScore]:
    """Return the scored trackers, with videos and attributes in the arithmetic of `mode`."""
    return [
        replace(score, videos=score.official_videos, attributes=score.official_attributes)
        if mode == "official" and score.official
        else score
        for score in scored_as(scores, RunScore)
    ]
