"""Tables of an HTML page as values; the templates make markup of them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """Cell of a table: its text, the value that it is sorted by, the place of the tracker that it names, a link."""

    text: str
    value: float | str
    place: int | None = None
    link: str = ""


@dataclass(frozen=True)
class PageTable:
    """Table with a title and sentences below it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


def page_table(
    title: str, head: Sequence[str], rows: Iterable[Sequence[object]], notes: Sequence[str] = ()
) -> PageTable:
    """Return a table of texts, numbers and cells. Numbers are shown with three digits, NaN as a dash."""
    return PageTable(title, tuple(head), tuple(tuple(map(_cell, row)) for row in rows), tuple(notes))


def _cell(value: object) -> Cell:
    if isinstance(value, Cell):
        return value
    if isinstance(value, float):
        return Cell(f"{value:.3f}" if value == value else "–", value)
    if isinstance(value, int):
        return Cell(str(value), float(value))
    return Cell(str(value), str(value))


def count_cell(number: float) -> Cell:
    """Return a number that is usually an integer."""
    return Cell(f"{number:g}" if number == number else "–", number)


def value_cell(name: str, value: float) -> Cell:
    """Return a value of a sequence by its name: losses are counted, other values have three digits."""
    return count_cell(value) if name == "losses" else _cell(float(value))


def tracker_cell(name: str, place: int) -> Cell:
    """Return a tracker's name, which is shown with its colour."""
    return Cell(name, name, place)


def by_name(
    title: str,
    values: Mapping[str, Mapping[str, float]],
    cell: Callable[[float], object] = float,
) -> list[PageTable]:
    """Return the table of {tracker: {name: value}}, without names none. Trackers are in the order of their places."""
    names = list(dict.fromkeys(name for row in values.values() for name in row))
    if not names:
        return []
    rows = [
        [tracker_cell(tracker, place), *(cell(row.get(name, math.nan)) for name in names)]
        for place, (tracker, row) in enumerate(values.items())
    ]
    return [page_table(title, ["tracker", *names], rows)]
