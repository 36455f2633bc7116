"""Text tables of scores: parts that all protocols have in common."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pysot.toolkit.protocol import NAN, Paint, Rows, Scores, TrackerScore, plain
from pysot.toolkit.report.measures import less_is_better

_MAX_SENTENCES = 5  # shown per tracker
Cell = tuple[int, int]  # row and column


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


def table(rows: Rows, roles: Mapping[Cell, str] | None = None, paint: Paint = plain) -> str:
    """Format rows of cells with lines around them; the first row is the header.

    `paint` colours the cells that have a role; their widths are those of the text.
    """
    roles = roles or {}
    widths = [max(len(row[column]) for row in rows) + 2 for column in range(len(rows[0]))]
    lines = []
    for index, row in enumerate(rows):
        cells = [cell.center(width) for cell, width in zip(row, widths, strict=True)]
        cells = [paint(cell, roles[index, at]) if (index, at) in roles else cell for at, cell in enumerate(cells)]
        lines.append(f"|{'|'.join(cells)}|")
    bar = "-" * (sum(widths) + len(widths) + 1)
    return "\n".join([bar, lines[0], bar, *lines[1:], bar])


def painted_table(scores: Scores, rows: Rows, paint: Paint, name: str = "") -> str:
    """Format the rows of a protocol's table with the colours of `cell_roles`; `name` is as in `Report.tables`."""
    return table(rows, cell_roles(scores, rows, name), paint)


def cell_roles(scores: Scores, rows: Rows, name: str = "") -> dict[Cell, str]:
    """Return the cells of a protocol's table that are "best", "second" or "unscored".

    Trackers are compared with each other, in each measure: in a column if they are rows, else on each video.
    """
    unscored = {label(score) for score in scores.trackers if score.problems}
    roles = {
        (index, column): "unscored"
        for index, row in enumerate(rows[1:], 1)
        for column, cell in enumerate(row)
        if cell == "-" or row[0] in unscored
    }
    for cells, less in _compared_cells(scores, rows, name):
        ranks = best_and_second([_value(rows[index][column]) for index, column in cells], less)
        roles |= {cell: rank for cell, rank in zip(cells, ranks, strict=True) if rank}
    return roles


def _compared_cells(scores: Scores, rows: Rows, name: str) -> Iterator[tuple[list[Cell], bool]]:
    """Yield the cells of all trackers in one measure, and whether less of it is better."""
    score_class = scores.protocol.score_class
    if name in ("", "attributes"):  # below the trackers may be their mean
        trackers = range(1, min(len(rows), len(scores.trackers) + 1))
        for column in range(1, len(rows[0])):
            less = not name and less_is_better(score_class, rows[0][column])
            yield [(index, column) for index in trackers], less
    elif scores.scored:
        first, count = scores.scored[0], (len(rows[0]) - 1) // len(scores.scored)
        for offset in range(1, count + 1):
            less = less_is_better(score_class, rows[0][offset].removeprefix(f"{first.name} "))
            for index in range(1, len(rows)):
                yield [(index, column) for column in range(offset, len(rows[0]), count)], less


def best_and_second(values: Sequence[float], less: bool = False) -> list[str]:
    """Return the role of each value, "best", "second" or none; equal values share it, NaN has none.

    With fewer than two values nothing is compared, so none has a role. `less`: the least value is the best.
    """
    numbers = [value for value in values if value == value]
    ranked = sorted(set(numbers), reverse=not less) if len(numbers) > 1 else []
    roles = dict(zip(ranked, ("best", "second"), strict=False))
    return [roles.get(value, "") for value in values]


def _value(cell: str) -> float:
    """Return the number in a cell, NaN for a dash or a text."""
    try:
        return float(cell)
    except ValueError:
        return NAN


def notes_of(trackers: list[TrackerScore], paint: Paint = plain) -> str:
    """Return the reasons why trackers are not scored, and the notes of those that are."""
    text = ""
    for score in trackers:
        if score.problems:
            warning = f"Warning: {score.name} is not scored:"
            text += f"\n{paint(warning + _bullet_list(score.problems), 'warning')}"
        elif score.notes:
            text += f"\n{paint(f'Note: {score.name}:{_bullet_list(score.notes)}', 'warning')}"
    return text


def _bullet_list(sentences: tuple[str, ...]) -> str:
    shown = [*sentences[:_MAX_SENTENCES]]
    if len(sentences) > _MAX_SENTENCES:
        shown.append(f"and {len(sentences) - _MAX_SENTENCES} more")
    return "".join(f"\n  - {sentence}" for sentence in shown)
