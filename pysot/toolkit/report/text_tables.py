"""Scores as text tables: what those of all protocols have in common."""

from collections.abc import Callable

from pysot.toolkit.protocol import NAN, Rows, TrackerScore

_SHOWN_PROBLEMS = 5


def per_video(
    scored: list, names: tuple[str, ...], digits: tuple[int, ...], values: Callable, head: str = "Video"
) -> Rows:
    """A row for every video that a tracker was scored on, with `values` of its score there, dashes where it was not."""
    rows = [[head, *(f"{score.name} {name}" for score in scored for name in names)]]
    for video in dict.fromkeys(video for score in scored for video in score.videos):
        known = [values(score.videos[video]) if video in score.videos else (NAN,) * len(names) for score in scored]
        rows.append(
            [video, *(number(value, places) for row in known for value, places in zip(row, digits, strict=True))]
        )
    return rows


def attribute_table(scored: list, value: Callable) -> Rows:
    """A row for every tracker, with the `value` of its score on the videos with each attribute; nothing if there are no attributes."""
    names = list(dict.fromkeys(name for score in scored for name in score.attributes))
    known = [[value(score.attributes[name]) if name in score.attributes else NAN for name in names] for score in scored]
    return (
        [
            ["Tracker Name", *names],
            *([label(score), *(number(cell, 3) for cell in row)] for score, row in zip(scored, known, strict=True)),
        ]
        if names
        else []
    )


def label(score: TrackerScore) -> str:
    """A tracker's name in tables: with what it does not cover."""
    told = "not scored" if score.problems else score.covers
    return f"{score.name} [{told}]" if told else score.name


def number(value: float, digits: int) -> str:
    """A number with so many digits, or a dash for NaN."""
    return "-" if value != value else f"{value:.{digits}f}"


def table(rows: list[list[str]]) -> str:
    """Rows of cells, the first one the head, with lines around them."""
    widths = [max(len(row[column]) for row in rows) + 2 for column in range(len(rows[0]))]
    lines = ["|" + "|".join(cell.center(width) for cell, width in zip(row, widths, strict=True)) + "|" for row in rows]
    bar = "-" * len(lines[0])
    return "\n".join([bar, lines[0], bar, *lines[1:], bar])


def notes_of(trackers: list[TrackerScore]) -> str:
    """Why trackers are not scored, and what was left out, repaired or simulated of others."""
    text = ""
    for score in trackers:
        if score.problems:
            text += f"\nWarning: {score.name} is not scored, {len(score.problems)} of its results can't be used:{_listed(score.problems)}"
        elif score.notes:
            text += f"\nNote: {score.name}:{_listed(score.notes)}"
    return text


def _listed(sentences: tuple[str, ...]) -> str:
    more = len(sentences) - _SHOWN_PROBLEMS
    return "".join(f"\n  - {sentence}" for sentence in sentences[:_SHOWN_PROBLEMS]) + (
        f"\n  - and {more} more" if more > 0 else ""
    )
