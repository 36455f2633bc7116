"""Scores of runs without restarts as text tables."""

from dataclasses import replace

from pysot.toolkit.evaluation.runs import RunScore
from pysot.toolkit.protocol import NAN, Rows, Scores
from pysot.toolkit.report.text_tables import attribute_table, label, notes_of, number, per_video, table

HEADS = {
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "eao": "EAO",
    "accuracy": "Accuracy",
    "robustness": "Robustness",
}
DIFFERENCE = (
    "Why they differ: pysot rasterises boxes with one row and column more, reads the first confidence of a video as none, counts frames of a "
    "positive confidence only, and takes other places of the sorted confidences as thresholds"
)
ABOVE_ONE = (
    "Note: official recall, and with it F1, can be above 1, a known fault of the official toolkit: frames that rightly have no region are added as "
    "overlaps of 1, and the sum is divided by the frames that show the target alone"
)


TITLES = {"attributes": "By attribute", "videos": "Per video"}


def run_text(scores: Scores, mode: str, spread: bool) -> str:
    """`run_table`; there is no spread of several trackers."""
    return run_table(scores, mode)


def run_tables(scores: Scores, mode: str) -> dict[str, Rows]:
    """The rows of each table."""
    return {
        "": run_rows(scores, mode),
        "attributes": run_attribute_rows(scores, mode),
        "videos": run_video_rows(scores, mode),
    }


def by_attribute(score: RunScore) -> dict[str, float]:
    """The number that ranks, by attribute."""
    return score.attributes


def run_table(scores: Scores, mode: str) -> str:
    """`run_rows` as text, with the reasons why a tracker has no numbers, and why the two arithmetics differ."""
    official = mode != "pysot" and any(score.official for score in scores.scored)  # which long-term scores have
    told = [ABOVE_ONE] * official + [DIFFERENCE] * (official and mode == "both")
    return "\n".join([table(run_rows(scores, mode)) + notes_of(scores.trackers), *told])


def run_rows(scores: Scores, mode: str = "pysot") -> Rows:
    """The numbers of every tracker, best first; the official toolkit's with mode "official", and both with "both", where the two differ."""
    names = list(scores.scored[0].numbers) if scores.scored else []
    two = mode != "pysot" and any(score.official for score in scores.scored)
    modes = ([] if two and mode == "official" else ["pysot"]) + (["vot"] if two else [])
    rows = [["Tracker Name", *(HEADS[name] + f" {which}" * (len(modes) > 1) for name in names for which in modes)]]
    for score in scores.trackers:
        values = {"pysot": score.numbers, "vot": score.official}
        rows.append([label(score), *(number(values[which].get(name, NAN), 3) for name in names for which in modes)])
    return rows


def run_attribute_rows(scores: Scores, mode: str = "pysot") -> Rows:
    """The number that ranks, of every tracker on the videos with each attribute; nothing if the set has none. `mode` as `run_video_rows`."""
    return attribute_table(_told(scores, mode), lambda value: value)


def run_video_rows(scores: Scores, mode: str = "pysot") -> Rows:
    """The numbers of every tracker on every video, with mode "official" those of the official toolkit where the two differ."""
    scored = _told(scores, mode)
    names = list(next(iter(scored[0].videos.values()))) if scored else []
    return per_video(
        scored,
        tuple(HEADS[name] for name in names),
        (3,) * len(names),
        lambda video: tuple(video[name] for name in names),
    )


def _told(scores: Scores, mode: str) -> list[RunScore]:
    """The trackers that could be scored, their videos and attributes in the arithmetic that is asked for."""
    return [
        replace(score, videos=score.official_videos, attributes=score.official_attributes)
        if mode == "official" and score.official
        else score
        for score in scores.scored
    ]
