"""Scores of any protocol as text and as rows for files."""

from pysot.toolkit.protocol import Rows, Scores, mode_of
from pysot.toolkit.report.text_tables import table


def score_text(scores: Scores, mode: str = "pysot", spread: bool = False) -> str:
    """The table of all trackers, with notes on those that are not scored in full; `spread` adds mean and spread of several trackers of a VOT set."""
    return scores.protocol.report.text(scores, mode_of(mode), spread)


def rows_of(scores: Scores, mode: str, details: bool = True) -> dict[str, Rows]:
    """The tables of a set: "" is that of the trackers; "attributes", and with `details` "tags" and "videos", where there are any."""
    tables = scores.protocol.report.tables(scores, mode_of(mode))
    return {
        name: rows for name, rows in tables.items() if not name or len(rows) > 1 and (name == "attributes" or details)
    }


def tag_values(scores: Scores) -> dict[str, dict[str, float]]:
    """{tracker: {tag or attribute: EAO, success, or the number that ranks}} of the trackers that could be scored."""
    return {score.name: scores.protocol.report.by_tag(score) for score in scores.scored}


def full_text(scores: Scores, mode: str, details: bool) -> str:
    """What eval.py prints: the table of trackers, that of attributes, and with `details` those of tags and videos."""
    titles = scores.protocol.report.titles
    parts = [f"{titles[name]}\n{table(rows)}" for name, rows in rows_of(scores, mode, details).items() if name]
    return "\n\n".join([score_text(scores, mode), *parts])
