"""Text and table rows of the scores of any protocol."""

from pysot.toolkit.protocol import Paint, Rows, Scores, mode_of, plain
from pysot.toolkit.report.text_tables import painted_table


def score_text(scores: Scores, mode: str = "pysot", spread: bool = False, paint: Paint = plain) -> str:
    """Return the table of all trackers, with notes on those that are not completely scored.

    `spread` adds mean and spread of several trackers of a VOT set. `paint` colours the text.
    """
    return scores.protocol.report.text(scores, mode_of(mode), spread, paint)


def rows_of(scores: Scores, mode: str, details: bool = True) -> dict[str, Rows]:
    """Return the tables of a set by name.

    "" is the table of trackers. "attributes", and with `details` the others, are included if they have rows.
    """
    tables = scores.protocol.report.tables(scores, mode_of(mode))
    return {
        name: rows for name, rows in tables.items() if not name or (len(rows) > 1 and (name == "attributes" or details))
    }


def tag_values(scores: Scores) -> dict[str, dict[str, float]]:
    """Return {tracker: {tag or attribute: EAO, success, or the value that ranks}} of the scored trackers."""
    return {score.name: scores.protocol.report.by_tag(score) for score in scores.scored}


def full_text(scores: Scores, mode: str, details: bool, paint: Paint = plain) -> str:
    """Return the text of eval.py: tables of trackers and attributes, with `details` also the others."""
    titles = scores.protocol.report.titles
    tables = rows_of(scores, mode, details).items()
    parts = [f"{titles[name]}\n{painted_table(scores, rows, paint, name)}" for name, rows in tables if name]
    return "\n\n".join([score_text(scores, mode, paint=paint), *parts])
