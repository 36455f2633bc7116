"""VOT: `<sequence>/color/*.jpg`, or the images beside it, and `groundtruth.txt` with boxes, polygons or masks."""

from collections import Counter
from pathlib import Path

import numpy as np

from pysot.datasets.raw.sequences import SequenceSet, folders_with, read_filled, single_track
from pysot.datasets.raw.video import RawFrame
from pysot.utils.bbox import get_axis_aligned_bbox
from pysot.utils.masks import region_lines
from pysot.utils.names import list_images

TRUTH = "groundtruth.txt"


def _folders(root: Path) -> list[Path]:
    return folders_with(root, TRUTH)


def _read(folder: Path, counts: Counter) -> list[RawFrame]:
    rows = read_filled(folder / TRUTH, lambda path: region_lines(path)[0])
    return single_track(list_images(folder / "color") or list_images(folder), rows, _region_to_xyxy, counts)


def _region_to_xyxy(row: np.ndarray) -> tuple[float, float, float, float] | None:
    if not np.isfinite(row).all():
        return None
    x, y, w, h = map(float, get_axis_aligned_bbox(row))
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


VOT = SequenceSet("vot", _folders, _read, "<sequence>/color/*.jpg and groundtruth.txt")
