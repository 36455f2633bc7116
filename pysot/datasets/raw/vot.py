"""VOT: `<sequence>/color/*.jpg`, or the images beside it, and `groundtruth.txt` with boxes, polygons or masks."""

from collections import Counter
from pathlib import Path

import numpy as np

from pysot.datasets.raw.sequences import SequenceSet, folders_with, read_lines, single_track
from pysot.datasets.raw.video import Box, RawFrame
from pysot.utils.bbox import get_axis_aligned_bbox
from pysot.utils.masks import region_lines
from pysot.utils.names import list_images

GROUND_TRUTH = "groundtruth.txt"


def _find_folders(root: Path) -> list[Path]:
    return folders_with(root, GROUND_TRUTH)


def _read_frames(folder: Path, counts: Counter) -> list[RawFrame]:
    rows = read_lines(folder / GROUND_TRUTH, lambda path: region_lines(path)[0])
    return single_track(list_images(folder / "color") or list_images(folder), rows, _region_to_xyxy, counts)


def _region_to_xyxy(row: np.ndarray) -> Box | None:
    if not np.isfinite(row).all():
        return None
    x, y, w, h = map(float, get_axis_aligned_bbox(row))
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


VOT = SequenceSet("vot", _find_folders, _read_frames, "<sequence>/color/*.jpg and groundtruth.txt")
