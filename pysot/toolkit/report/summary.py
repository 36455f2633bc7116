"""Scores of any protocol as text and as rows for files."""

from collections.abc import Callable
from dataclasses import dataclass

from pysot.toolkit.evaluation.evaluate_runs import RunScores
from pysot.toolkit.evaluation.one_pass import OpeScores
from pysot.toolkit.evaluation.scoring import AnyScores, mode_of
from pysot.toolkit.evaluation.supervised import Scores
from pysot.toolkit.report.report_ope import attribute_rows, attribute_values, ope_rows, ope_table, ope_video_rows
from pysot.toolkit.report.report_runs import run_attribute_rows, run_rows, run_table, run_video_rows
from pysot.toolkit.report.text_tables import (
    Rows,
    both_rows,
    both_table,
    official_rows,
    official_table,
    per_tag,
    score_rows,
    score_table,
    table,
    tag_rows,
    video_rows,
)


@dataclass(frozen=True)
class Telling:
    """How scores of one kind are told: text(scores, mode, spread) is what is printed of the trackers, tables(scores, mode) are rows by name, see `rows_of`,
    `titles` tell what these show, and by_tag(score) is {tag or attribute: value} of one tracker.
    """

    text: Callable[[AnyScores, str, bool], str]
    tables: Callable[[AnyScores, str], dict[str, Rows]]
    titles: dict[str, str]
    by_tag: Callable[[object], dict[str, float]]


_SUPERVISED_TEXT = {"pysot": score_table, "official": lambda scores, spread: official_table(scores), "both": lambda scores, spread: both_table(scores)}
_SUPERVISED_ROWS = {"pysot": score_rows, "official": official_rows, "both": both_rows}


def _supervised_tables(scores: Scores, mode: str) -> dict[str, Rows]:
    vot = mode == "official"  # the official toolkit has no scores by tag
    return {"": _SUPERVISED_ROWS[mode](scores), "attributes": [] if vot else tag_rows(scores), "tags": [] if vot else per_tag(scores),
            "videos": video_rows(scores, vot)}


TELLINGS: dict[type, Telling] = {
    Scores: Telling(lambda scores, mode, spread: _SUPERVISED_TEXT[mode](scores, spread), _supervised_tables,
                    {"attributes": "EAO by tag", "tags": "Per tag (Acc accuracy, LN lost number)", "videos": "Per video (Acc accuracy, LN lost number)"},
                    lambda score: score.eao),
    OpeScores: Telling(lambda scores, mode, spread: ope_table(scores, mode), lambda scores, mode: {
                           "": ope_rows(scores, mode), "attributes": attribute_rows(scores, mode), "videos": ope_video_rows(scores, mode)},
                       {"attributes": "Success by attribute", "videos": "Per video"}, attribute_values),
    RunScores: Telling(lambda scores, mode, spread: run_table(scores, mode),
                       lambda scores, mode: {
                           "": run_rows(scores, mode), "attributes": run_attribute_rows(scores, mode), "videos": run_video_rows(scores, mode)},
                       {"attributes": "By attribute", "videos": "Per video"}, lambda score: score.attributes),
}


def score_text(scores: AnyScores, mode: str = "pysot", spread: bool = False) -> str:
    """The table of all trackers, with notes on those that are not scored in full; `spread` adds mean and spread of several trackers of a VOT set."""
    return TELLINGS[type(scores)].text(scores, mode_of(mode), spread)


def rows_of(scores: AnyScores, mode: str, details: bool = True) -> dict[str, Rows]:
    """The tables of a set: "" is that of the trackers; "attributes", and with `details` "tags" and "videos", where there are any."""
    tables = TELLINGS[type(scores)].tables(scores, mode_of(mode))
    return {name: rows for name, rows in tables.items() if not name or len(rows) > 1 and (name == "attributes" or details)}


def tag_values(scores: AnyScores) -> dict[str, dict[str, float]]:
    """{tracker: {tag or attribute: EAO, success, or the number that ranks}} of the trackers that could be scored."""
    return {score.name: TELLINGS[type(scores)].by_tag(score) for score in scores.trackers if not score.problems}


def full_text(scores: AnyScores, mode: str, details: bool) -> str:
    """What eval.py prints: the table of trackers, that of attributes, and with `details` those of tags and videos."""
    titles = TELLINGS[type(scores)].titles
    parts = [f"{titles[name]}\n{table(rows)}" for name, rows in rows_of(scores, mode, details).items() if name]
    return "\n\n".join([score_text(scores, mode), *parts])
