"""Make HTML of the values of a report with the templates: one page, or a folder of pages."""

import base64
import functools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pysot.toolkit.report.page_parts import PageReport, Picture, Player, SequencePart, picture
from pysot.toolkit.report.styles import style_of
from pysot.utils.files import write_bytes
from pysot.utils.image import read_image

if TYPE_CHECKING:
    from jinja2 import Environment

SCRIPT, STYLE, PLOTLY = "report.js", "style.css", "plotly.min.js"
PAGES, PICTURES, INDEX = "sequences", "pictures", "index.html"
NAMES = {SCRIPT, STYLE, PLOTLY, PAGES, PICTURES, INDEX}  # in the folder of a report
TEMPLATES = Path(__file__).with_name("templates")
TRUTH_COLOUR = "#00c800"
_FRAME_HEIGHT = 270  # pixels of the frames inside a page
# A page loads nothing but its own files, whose address has no host where it is opened from a disk.
_INLINE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_FILES = (
    "default-src 'none'; img-src 'self' file: data:; style-src 'self' file: 'unsafe-inline'; script-src 'self' file:"
)


def single_page(report: PageReport, parts: Iterable[SequencePart]) -> Iterator[str]:
    """Yield the text of a report in one page; the parts are made while it is written."""
    yield from (
        environment()
        .get_template(INDEX)
        .generate(
            report=report,
            sequences=parts,
            policy=_INLINE,
            files="",
            style=read_template(STYLE),
            script=read_template(SCRIPT),
            plotly=_plotly(),
            url_of_picture=lambda picture: _data_url(picture.jpeg),
            url_of_frame=_embedded_frame,
        )
    )


class FolderWriter:
    """Writer of a report with a page for each sequence.

    The pages are written to `part`, which is moved to `folder` when all are written: the frames to play, which stay
    where they are, have links that hold from there.
    """

    def __init__(self, part: Path, folder: Path, report: PageReport) -> None:
        self._part, self._folder, self._report = part, folder, report
        for name in (PAGES, PICTURES):
            (part / name).mkdir()
        for name, content in ((STYLE, read_template(STYLE)), (SCRIPT, read_template(SCRIPT)), (PLOTLY, _plotly())):
            write_bytes(part / name, content.encode())
        self._write(INDEX, INDEX, files="./", sequences=(), url_of_picture=None, url_of_frame=None)

    def write(self, part: SequencePart) -> None:
        """Write the page of a sequence, and its pictures."""
        number = 0

        def url_of_picture(picture: Picture) -> str:
            nonlocal number
            number += 1
            name = f"{part.key}-{number}.jpg"
            write_bytes(self._part / PICTURES / name, picture.jpeg)
            return f"../{PICTURES}/{name}"

        self._write(
            "sequence.html",
            f"{PAGES}/{part.key}.html",
            files="../",
            part=part,
            url_of_picture=url_of_picture,
            url_of_frame=self._frame_url,
        )

    def _frame_url(self, path: str) -> str:
        """Return the link from the page of a sequence to a frame on the disk; "" if there is none."""
        if not os.path.isfile(path):
            return ""
        relative = os.path.relpath(os.path.abspath(path), self._folder / PAGES)
        return quote(relative.replace(os.sep, "/"))

    def _write(self, template: str, name: str, **values: Any) -> None:
        text = environment().get_template(template).render(report=self._report, policy=_FILES, **values)
        write_bytes(self._part / name, text.encode())


@functools.cache
def environment() -> "Environment":
    """Return the templates, which escape all values. Raises ImportError without Jinja2."""
    try:
        import jinja2
    except ImportError:
        raise ImportError("a report needs Jinja2: pip install jinja2") from None
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    templates.filters["json"] = _json
    templates.filters["multiply"] = lambda number, factor: number * factor
    templates.globals.update(style_of=style_of, player_values=_player_values)
    return templates


def _json(value: object) -> Any:
    """Return a value as JSON that a page can have in a script element."""
    from markupsafe import Markup

    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _player_values(player: Player, url_of_frame: Callable[[str], str]) -> dict[str, Any]:
    outlines = [
        {"place": place, "colour": TRUTH_COLOUR if place < 0 else style_of(place).colour, "outlines": points}
        for place, points in player.outlines.items()
    ]
    return {
        "numbers": player.numbers,
        "size": player.size,
        "frames": [url_of_frame(path) for path in player.paths],
        "outlines": outlines,
    }


def _embedded_frame(path: str) -> str:
    """Return a small copy of a frame as the address of an image, "" if it is missing or damaged."""
    try:
        image = read_image(path)
    except (OSError, ValueError):
        return ""
    return _data_url(picture(image, "", min(image.shape[0], _FRAME_HEIGHT)).jpeg)


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def read_template(name: str) -> str:
    """Return the text of a template's file."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Return the script of Plotly."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ImportError("the plots of a report need Plotly: pip install plotly") from None
    return get_plotlyjs()
