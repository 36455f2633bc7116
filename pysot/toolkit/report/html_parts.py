"""Pieces of a self-contained HTML page: escaped text, tables that sort, line charts as SVG, pictures.

No piece loads anything from elsewhere.
"""

import base64
import html
import re
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

WIDTH, HEIGHT = 900, 110
_PICTURE = 110  # height that the style gives pictures
_POINTS = 900

STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --faint: #5b6570; --line: #d5dae0; --paper: #ffffff; --band: #f4f6f8; \
--link: #0b57a4; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1100px; \
margin: 0 auto; padding: 16px; }
h1 { font-size: 1.5rem; margin: 0 0 4px; } h2 { font-size: 1.15rem; margin: 28px 0 8px; } h3 { font-size: 1rem; \
margin: 20px 0 6px; }
a { color: var(--link); } .faint { color: var(--faint); } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; } td, th { padding: 4px 10px; \
border-bottom: 1px solid var(--line); text-align: right;
white-space: nowrap; }
td:first-child, th:first-child { text-align: left; } tbody tr:nth-child(even) { background: var(--band); }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible, a:focus-visible, summary:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " \\25B2"; } \
th[aria-sort=descending] button::after { content: " \\25BC"; }
svg { display: block; width: 100%; height: auto; min-height: 90px; } .axis { display: flex; \
justify-content: space-between; gap: 16px; margin: 0;
font-size: 12px; color: var(--faint); }
.key { display: inline-block; width: 22px; height: 3px; vertical-align: middle; margin-right: 6px; } \
.keys span { margin-right: 16px; white-space: nowrap; }
.strip { display: flex; gap: 4px; overflow-x: auto; margin: 6px 0; } .strip figure { margin: 0; } \
.strip img { height: 110px; display: block; }
figcaption { font-size: 12px; color: var(--faint); }
details { border-top: 1px solid var(--line); padding: 8px 0; } summary { cursor: pointer; font-weight: 600; }
"""

SCRIPT = """
for (const button of document.querySelectorAll('th button')) button.addEventListener('click', () => {
  const head = button.closest('th'), table = head.closest('table'), column = head.cellIndex, body = table.tBodies[0];
  const up = head.getAttribute('aria-sort') === 'descending' || (!head.hasAttribute('aria-sort') && column === 0);
  for (const other of table.querySelectorAll('th')) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const rows = [...body.rows].sort((a, b) => {
    const x = value(a), y = value(b), p = parseFloat(x), q = parseFloat(y);
    if (isNaN(p) || isNaN(q)) return isNaN(p) && isNaN(q) ? x.localeCompare(y) * (up ? 1 : -1) : isNaN(p) - isNaN(q);
    return (p - q) * (up ? 1 : -1);
  });
  body.append(...rows);
});
const reveal = () => { const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
if (target) { const box = target.closest('details'); if (box) box.open = true; target.scrollIntoView(); } };
addEventListener('hashchange', reveal); reveal();
"""


def text(value: object) -> str:
    """Text as HTML, whatever it holds."""
    return html.escape(str(value), quote=True)


def anchor(kind: str, name: str) -> str:
    """An id for a link's end: letters, digits and hyphens, unlike those of other names."""
    number = sum(ord(letter) * 31**place for place, letter in enumerate(name)) % 99991
    return f"{kind}-{re.sub(r'[^A-Za-z0-9]+', '-', name)}-{number}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table that sorts by a click, or by Enter, on a head.

    Numbers are shown with three digits, NaN as a dash; a cell may be (HTML, value to sort by).
    """
    heads = "".join(f"<th scope=col><button type=button>{text(name)}</button></th>" for name in head)
    body = "".join(map(_row, rows))
    return f"<div class=scroll><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"


def _row(cells: Sequence[object]) -> str:
    return f"<tr>{''.join(map(_cell, cells))}</tr>"


def _cell(cell: object) -> str:
    if isinstance(cell, tuple):
        shown, value = cell
        return f'<td data-value="{text(value)}">{shown}</td>'
    if isinstance(cell, float):
        return f'<td data-value="{cell!r}">{f"{cell:.3f}" if cell == cell else "–"}</td>'
    return f"<td>{text(cell)}</td>"


def chart(
    lines: Sequence[tuple[np.ndarray, np.ndarray, str]],
    label: str,
    marks: Sequence[tuple[float, str]] = (),
    height: int = HEIGHT,
    least: float = 0.0,
) -> str:
    """Lines (x, y from 0 to 1, colour) as SVG, NaN leaves a gap; marks are (x, colour) on the lower edge.

    `label` tells what is on the axes; the level one ends at the largest x, or at `least` where that is more.
    """
    longest = max((float(x[-1]) for x, _, _ in lines if len(x)), default=1.0) or 1.0
    longest = max(longest, least)
    parts = [
        f'<line x1=0 x2={WIDTH} y1="{height * (1 - level):g}" y2="{height * (1 - level):g}" stroke="#d5dae0"/>'
        for level in (0, 0.5, 1)
    ]
    for x, y, colour in lines:
        parts.append(
            f'<path fill=none stroke="{colour}" stroke-width=1.6 d="{_path(x / longest * WIDTH, (1 - y) * height)}"/>'
        )
    parts += [f'<path d="M{at / longest * WIDTH:.1f} {height}l-4 9h8z" fill="{colour}"/>' for at, colour in marks]
    return drawing("".join(parts), height + 12, f"{label}; from 0 to 1 upwards, to the right up to:", f"{longest:g}")


def drawing(shapes: str, height: int, label: str, end: str = "") -> str:
    """Shapes as SVG, WIDTH units wide, with what is on its axes below and, at the right, where the level one ends."""
    return (
        f'<svg viewBox="-8 -8 {WIDTH + 16} {height + 16}" role=img aria-label="{text(label)}">{shapes}</svg>'
        f"<p class=axis><span>{text(label)}</span><span>{text(end)}</span></p>"
    )


def _path(x: np.ndarray, y: np.ndarray) -> str:
    step = max(1, len(x) // _POINTS)
    points, pen = [], "M"
    for column, row in zip(x[::step], y[::step], strict=True):
        if np.isfinite(row):
            points.append(f"{pen}{column:.1f} {row:.1f}")
        pen = "L" if np.isfinite(row) else "M"
    return "".join(points)


def keys(names_and_colours: Iterable[tuple[str, str]]) -> str:
    """What the colours of a chart mean."""
    return (
        "<p class=keys>"
        + "".join(
            f'<span><i class=key style="background:{colour}"></i>{text(name)}</span>'
            for name, colour in names_and_colours
        )
        + "</p>"
    )


def picture(image: np.ndarray, caption: str, height: int = _PICTURE) -> str:
    """An image (h, w, 3) uint8 BGR inside the page, shown with `height` pixels."""
    small = cv2.resize(
        image, (max(1, round(image.shape[1] * height / image.shape[0])), height), interpolation=cv2.INTER_AREA
    )
    data = base64.b64encode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes()).decode()
    style = "" if height == _PICTURE else f' style="height:{height}px"'
    return (
        f'<figure><img{style} alt="{text(caption)}" src="data:image/jpeg;base64,{data}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def page(title: str, body: str) -> str:
    """The whole document. Its policy forbids to load anything."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f'<meta http-equiv=Content-Security-Policy content="{policy}"><title>{text(title)}</title>'
        f"<style>{STYLE}</style></head><body>{body}"
        f"<script>{SCRIPT}</script></body></html>"
    )
