"""Content of an HTML report as values; the templates make markup of them."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from pysot.toolkit.content.page_tables import PageTable
from pysot.toolkit.report.draw_page import Figure

PICTURE_HEIGHT = 110  # pixels
_QUALITY = 82


@dataclass(frozen=True)
class PageReport:
    """What the first page shows beside the sequences. `remarks` are (tracker, sentences)."""

    dataset: str
    title: str
    heading: str
    summary: str
    names: tuple[str, ...]
    tables: tuple[PageTable, ...]
    figures: tuple[Figure, ...]
    remarks: tuple[tuple[str, str], ...]
    settings: PageTable


@dataclass(frozen=True)
class Picture:
    """Image of a page, a JPEG of (width, height) pixels, with its caption."""

    jpeg: bytes = field(repr=False)
    size: tuple[int, int]
    caption: str


@dataclass(frozen=True)
class Strip:
    """Row of pictures with a title, and a sentence instead of pictures that there are not."""

    title: str = ""
    pictures: tuple[Picture, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Player:
    """Frames of a sequence with the outlines of ground truth and trackers.

    `paths` are the files of the frames `numbers`, which count from 1, of `size` (width, height). Outlines are the
    polygons x1, y1, x2, y2, ... in pixels, by place of the tracker (-1: ground truth), for each of `numbers`.
    """

    paths: tuple[str, ...] = field(repr=False)
    numbers: tuple[int, ...]
    size: tuple[int, int]
    outlines: dict[int, list[list[list[float]]]]


@dataclass(frozen=True)
class SequencePart:
    """Part of a report about a sequence. `key` is its id in the page, and the name of its own page."""

    key: str
    name: str
    frames: int
    table: PageTable
    figure: Figure
    strips: tuple[Strip, ...]
    legend: tuple[tuple[str, str], ...] = ()  # objects of masks and their colours
    player: Player | None = None


def picture(image: np.ndarray, caption: str, height: int = PICTURE_HEIGHT) -> Picture:
    """Return an image (h, w, 3) uint8 BGR as a picture of `height` pixels."""
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    return Picture(jpeg, (width, height), caption)
