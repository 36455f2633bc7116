"""LaSOT: `<class>/<sequence>/img/*.jpg` with a line per image in `groundtruth.txt`.

Two more files, of one line each, mark the images in which the target is fully occluded or out of view.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from pysot.datasets.raw.sequences import SequenceSet, read_lines, single_track, xywh_to_xyxy
from pysot.datasets.raw.video import RawFrame
from pysot.utils.names import list_images

ABSENCE_FILES = ("full_occlusion.txt", "out_of_view.txt")


def _find_folders(root: Path) -> list[Path]:
    """Return the sequences below the root, or below the folders of their classes."""
    folders = (path.parent for pattern in ("*/groundtruth.txt", "*/*/groundtruth.txt") for path in root.glob(pattern))
    return sorted(folder for folder in folders if (folder / "img").is_dir())


def _read_frames(folder: Path, counts: Counter) -> list[RawFrame]:
    rows = read_lines(folder / "groundtruth.txt")
    absent: set[int] = set()
    for path in (folder / name for name in ABSENCE_FILES if (folder / name).is_file()):
        flags = np.concatenate(read_lines(path))
        if len(flags) != len(rows):
            raise ValueError(
                f"{path} has {len(flags)} flags for {len(rows)} lines of ground truth; copy the sequence again"
            )
        absent |= set(np.flatnonzero(flags).tolist())
    return single_track(list_images(folder / "img"), rows, xywh_to_xyxy, counts, absent)


LASOT = SequenceSet("lasot", _find_folders, _read_frames, "<class>/<sequence>/img/*.jpg and groundtruth.txt")
