"""MOT: `<sequence>/img1/*.jpg` and `gt/gt.txt`, lines `frame, id, x, y, width, height, considered, ...`.

Frames are counted from 1. Boxes whose `considered` is 0 are left out.
"""

import functools
from collections import Counter
from pathlib import Path

import numpy as np

from pysot.datasets.raw.sequences import SequenceSet, folders_with, read_lines, xywh_to_xyxy
from pysot.datasets.raw.video import SECOND_BOX, Box, RawFrame, add_box, is_valid_box, track_name
from pysot.utils.names import frame_numbers, list_images
from pysot.utils.numbers import number_lines


def _find_folders(root: Path) -> list[Path]:
    return folders_with(root, "gt/gt.txt")


def _read_frames(folder: Path, counts: Counter) -> list[RawFrame]:
    """Read a sequence. Raises ValueError for images whose names do not number them."""
    paths = list_images(folder / "img1")
    numbers = frame_numbers(paths)
    if paths and numbers is None:
        raise ValueError(
            f"the names of the images in {folder / 'img1'} have no numbers that identify the frames, such as 000001.jpg"
        )
    images = dict(zip(numbers or (), paths, strict=True))
    boxes: dict[int, dict[str, Box]] = {}
    rows = read_lines(folder / "gt" / "gt.txt", functools.partial(number_lines, allow_blank=True))
    for row in (row for row in rows if len(row)):
        if len(row) < 6 or not np.isfinite(row[:2]).all():
            raise ValueError(f"gt.txt: expected frame, id, x, y, width, height, got {row.tolist()}")
        frame, box = int(row[0]), xywh_to_xyxy(row[2:6])
        if len(row) > 6 and row[6] == 0:
            counts["not considered"] += 1
        elif frame not in images:
            counts["without an image"] += 1
        elif not is_valid_box(box):
            counts["degenerate"] += 1
        elif not add_box(boxes.setdefault(frame, {}), track_name(int(row[1])), box):
            counts[SECOND_BOX] += 1
    return [RawFrame(images[frame], frame, boxes[frame]) for frame in sorted(boxes)]


MOT = SequenceSet("mot", _find_folders, _read_frames, "<sequence>/img1/*.jpg and gt/gt.txt")
