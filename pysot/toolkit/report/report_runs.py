"""Scores of runs without restarts as text tables."""

from dataclasses import replace

from pysot.toolkit.evaluation.evaluate_runs import RunScore, RunScores
from pysot.toolkit.report.text_tables import Rows, attribute_table, label, notes_of, number, per_video, table

HEADS = {"f1": "F1", "precision": "Precision", "recall": "Recall", "eao": "EAO", "accuracy": "Accuracy", "robustness": "Robustness"}
DIFFERENCE = ("Why they differ: pysot rasterises boxes with one row and column more, reads the first confidence of a video as none, counts frames of a "
              "positive confidence only, and takes other places of the sorted confidences as thresholds")
ABOVE_ONE = ("Note: official recall, and with it F1, can be above 1, a known fault of the official toolkit: frames that rightly have no region are added as "
             "overlaps of 1, and the sum is divided by the frames that show the target alone")


def run_table(scores: RunScores, mode: str) -> str:
    """`run_rows` as text, with the reasons why a tracker has no numbers, and why the two arithmetics differ."""
    official = mode != "pysot" and any(score.official for score in scores.trackers)  # which long-term scores have
    told = [ABOVE_ONE] * official + [DIFFERENCE] * (official and mode == "both")
    return "\n".join([table(run_rows(scores, mode)) + notes_of(scores.trackers), *told])


def run_rows(scores: RunScores, mode: str = "pysot") -> Rows:
    """The numbers of every tracker, best first; the official toolkit's with mode "official", and both with "both", where the two differ."""
    scored = [score for score in scores.trackers if not score.problems]
    names = list(scored[0].numbers) if scored else []
    two = mode != "pysot" and any(score.official for score in scored)
    modes = ([] if two and mode == "official" else ["pysot"]) + (["vot"] if two else [])
    rows = [["Tracker Name", *(HEADS[name] + f" {which}" * (len(modes) > 1) for name in names for which in modes)]]
    for score in scores.trackers:
        values = {"pysot": score.numbers, "vot": score.official}
        rows.append([label(score), *(number(values[which].get(name, float("nan")), 3) for name in names for which in modes)])
    return rows


def run_attribute_rows(scores: RunScores, mode: str = "pysot") -> Rows:
    """The number that ranks, of every tracker on the videos with each attribute; nothing if the set has none. `mode` as `run_video_rows`."""
    return attribute_table(_told(scores, mode), lambda value: value)


def run_video_rows(scores: RunScores, mode: str = "pysot") -> Rows:
    """The numbers of every tracker on every video, with mode "official" those of the official toolkit where the two differ."""
    trackers = _told(scores, mode)
    scored = [score for score in trackers if not score.problems]
    names = list(next(iter(scored[0].videos.values()))) if scored else []
    return per_video(trackers, tuple(HEADS[name] for name in names), (3,) * len(names), lambda video: tuple(video[name] for name in names))


def _told(scores: RunScores, mode: str) -> list[RunScore]:
    """The trackers, their videos and attributes in the arithmetic that is asked for."""
    return [replace(score, videos=score.official_videos, attributes=score.official_attributes) if mode == "official" and score.official else score
            for score in scores.trackers]
