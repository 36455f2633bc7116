"""MOT: `<sequence>/img1/*.jpg` and `gt/gt.txt`, lines `frame, id, x, y, width, height, considered, ...` with frames
counted from 1; boxes that are not considered are left out.
"""

import functools
from collections import Counter
from pathlib import Path

import numpy as np

from pysot.datasets.raw.sequences import SequenceSet, folders_with, read_filled, xywh_to_xyxy
from pysot.datasets.raw.video import SECOND_BOX, RawFrame, add_box, track_name, usable
from pysot.utils.names import frame_numbers, list_images
from pysot.utils.numbers import number_lines


def _folders(root: Path) -> list[Path]:
    return folders_with(root, "gt/gt.txt")


def _read(folder: Path, counts: Counter) -> list[RawFrame]:
    """Raises ValueError for images whose names do not number them."""
    found = list_images(folder / "img1")
    numbers = frame_numbers(found)
    if found and numbers is None:
        raise ValueError(
            f"the names of the images in {folder / 'img1'} have no numbers that tell them apart, such as 000001.jpg"
        )
    images = dict(zip(numbers or (), found, strict=True))
    boxes: dict[int, dict[str, tuple]] = {}
    rows = read_filled(folder / "gt" / "gt.txt", functools.partial(number_lines, blank=True))
    for row in (row for row in rows if len(row)):
        if len(row) < 6 or not np.isfinite(row[:2]).all():
            raise ValueError(f"gt.txt: expected frame, id, x, y, width, height, got {row.tolist()}")
        frame, box = int(row[0]), xywh_to_xyxy(row[2:6])
        if len(row) > 6 and row[6] == 0:
            counts["not considered"] += 1
        elif frame not in images:
            counts["without an image"] += 1
        elif not usable(box):
            counts["degenerate"] += 1
        elif not add_box(boxes.setdefault(frame, {}), track_name(int(row[1])), box):
            counts[SECOND_BOX] += 1
    return [RawFrame(images[frame], frame, boxes[frame]) for frame in sorted(boxes)]


MOT = SequenceSet("mot", _folders, _read, "<sequence>/img1/*.jpg and gt/gt.txt")
