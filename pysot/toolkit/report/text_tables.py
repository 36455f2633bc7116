"""Text tables of scores: parts that all protocols have in common."""

from collections.abc import Callable, Sequence
from typing import Any

from pysot.toolkit.protocol import NAN, Rows, TrackerScore

_MAX_SENTENCES = 5  # shown per tracker


def per_video(
    scored: Sequence[Any],
    names: tuple[str, ...],
    digits: tuple[int, ...],
    values: Callable[[Any], tuple[float, ...]],
    header: str = "Video",
) -> Rows:
    """Return one row for every video that any tracker was scored on, with dashes for trackers that were not.

    A score has a `name` and `videos`. values(score.videos[video]) returns its columns `names`, shown with `digits`.
    """
    rows = [[header, *(f"{score.name} {name}" for score in scored for name in names)]]
    for video in dict.fromkeys(video for score in scored for video in score.videos):
        cells = [video]
        for score in scored:
            columns = values(score.videos[video]) if video in score.videos else (NAN,) * len(names)
            cells += [number(value, places) for value, places in zip(columns, digits, strict=True)]
        rows.append(cells)
    return rows


def attribute_table(scored: Sequence[tuple[TrackerScore, dict[str, float]]]) -> Rows:
    """Return one row for every (tracker, {attribute: value}), no rows without attributes."""
    names = list(dict.fromkeys(name for _, values in scored for name in values))
    if not names:
        return []
    rows = [["Tracker Name", *names]]
    for score, values in scored:
        rows.append([label(score), *(number(values.get(name, NAN), 3) for name in names)])
    return rows


def label(score: TrackerScore) -> str:
    """Return a tracker's name for tables, with a note if it is not completely scored."""
    note = "not scored" if score.problems else score.coverage
    return f"{score.name} [{note}]" if note else score.name


def number(value: float, digits: int) -> str:
    """Format a number with the given digits, NaN as a dash."""
    return "-" if value != value else f"{value:.{digits}f}"


def table(rows: list[list[str]]) -> str:
    """Format rows of cells with lines around them; the first row is the header."""
    widths = [max(len(row[column]) for row in rows) + 2 for column in range(len(rows[0]))]
    lines = ["|" + "|".join(cell.center(width) for cell, width in zip(row, widths, strict=True)) + "|" for row in rows]
    bar = "-" * len(lines[0])
    return "\n".join([bar, lines[0], bar, *lines[1:], bar])


def notes_of(trackers: list[TrackerScore]) -> str:
    """Return the reasons why trackers are not scored, and the notes of those that are."""
    text = ""
    for score in trackers:
        if score.problems:
            text += (
                f"\nWarning: {score.name} is not scored, {len(score.problems)} of its results can't be used:"
                f"{_bullet_list(score.problems)}"
            )
        elif score.notes:
            text += f"\nNote: {score.name}:{_bullet_list(score.notes)}"
    return text


def _bullet_list(sentences: tuple[str, ...]) -> str:
    shown = [*sentences[:_MAX_SENTENCES]]
    if len(sentences) > _MAX_SENTENCES:
        shown.append(f"and {len(sentences) - _MAX_SENTENCES} more")
    return "".join(f"\n  - {sentence}" for sentence in shown)
