"""Scores of any protocol as text and as rows for files."""

from pysot.toolkit.evaluate import Scores
from pysot.toolkit.evaluate_ope import OpeScores
from pysot.toolkit.evaluate_runs import RunScores
from pysot.toolkit.report import Rows, both_rows, both_table, notes_of, official_rows, official_table, score_rows, score_table, table, tag_rows, video_rows
from pysot.toolkit.report_ope import attribute_rows, ope_rows, ope_table, ope_video_rows
from pysot.toolkit.report_runs import DIFFERENCE, run_rows, run_video_rows
from pysot.toolkit.scoring import AnyScores


def score_text(scores: AnyScores, mode: str = "pysot", spread: bool = False) -> str:
    """The table of all trackers, with notes on those that are not scored in full; `spread` adds mean and spread of several trackers of a VOT set."""
    if isinstance(scores, OpeScores):
        return ope_table(scores)
    if isinstance(scores, RunScores):
        differ = mode == "both" and any(score.official for score in scores.trackers)
        return table(run_rows(scores, mode)) + notes_of(scores.trackers) + f"\n{DIFFERENCE}" * differ
    return {"pysot": lambda: score_table(scores, spread), "vot": lambda: official_table(scores), "both": lambda: both_table(scores)}[mode]()


def rows_of(scores: AnyScores, mode: str) -> dict[str, Rows]:
    """The tables of a set: "" is that of the trackers; "attributes" and "videos", where there are any."""
    if isinstance(scores, OpeScores):
        tables = {"": ope_rows(scores), "attributes": attribute_rows(scores), "videos": ope_video_rows(scores)}
    elif isinstance(scores, RunScores):
        tables = {"": run_rows(scores, mode), "videos": run_video_rows(scores)}
    else:
        main = {"pysot": score_rows, "vot": official_rows, "both": both_rows}[mode](scores)
        tables = {"": main, "attributes": tag_rows(scores) if mode != "vot" else [], "videos": video_rows(scores, mode == "vot")}
    return {name: rows for name, rows in tables.items() if not name or len(rows) > 1}


def full_text(scores: AnyScores, mode: str, videos: bool) -> str:
    """What eval.py prints: the table of trackers, that of attributes, and with `videos` that of videos."""
    names = {"attributes": "Success by attribute" if isinstance(scores, OpeScores) else "EAO by tag",
             "videos": "Per video" + " (Acc accuracy, LN lost number)" * isinstance(scores, Scores)}
    parts = [f"{names[name]}\n{table(rows)}" for name, rows in rows_of(scores, mode).items() if name == "attributes" or videos and name == "videos"]
    return "\n\n".join([score_text(scores, mode), *parts])
