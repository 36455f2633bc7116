"""Colours, dashes and markers of trackers, in the words of matplotlib and of Plotly.

The colours differ with any colour vision, and the marker or the dashes say the same as the colour.
"""

from dataclasses import dataclass

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")  # Okabe and Ito
LONGEST = 60  # letters of a name, beyond which it would leave no room for the axes
# of matplotlib, of Plotly
_MARKERS = (
    ("o", "circle"), ("s", "square"), ("^", "triangle-up"), ("D", "diamond"), ("v", "triangle-down"), ("P", "cross"),
    ("X", "x"), ("*", "star"), ("<", "triangle-left"), (">", "triangle-right"),
)  # fmt: skip
_DASHES = (
    (),
    (6, 3),
    (1.5, 2.5),
    (6, 2.5, 1.5, 2.5),
    (6, 1, 1, 1, 1, 1),
    (9, 3),
)  # on, off, ...; in widths of the line


@dataclass(frozen=True)
class Style:
    """Style of a tracker: colour #rrggbb, dashes (on, off, ... in widths of a line, none for a solid line), marker."""

    colour: str
    dashes: tuple[float, ...]
    marker: str
    plotly_marker: str


def style_of(place: int) -> Style:
    """Return the style of the tracker at a place, from 0. Markers repeat after 70 trackers, dashes after 42."""
    dashes = _DASHES[place // len(COLOURS) % len(_DASHES)]
    return Style(COLOURS[place % len(COLOURS)], dashes, *_MARKERS[place % len(_MARKERS)])


def shortened(text: str) -> str:
    """Return a name that is not too long for a legend: long ones are cut in the middle."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 :]}"
