"""LaSOT: `<class>/<sequence>/img/*.jpg` with a line per image in `groundtruth.txt`, and one line each in two files that
mark images with the target hidden or out of view.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from pysot.datasets.raw.sequences import SequenceSet, read_filled, single_track, xywh_to_xyxy
from pysot.datasets.raw.video import RawFrame
from pysot.utils.names import list_images

ABSENT = ("full_occlusion.txt", "out_of_view.txt")


def _folders(root: Path) -> list[Path]:
    """Sequences below the root or below the folders of their classes."""
    found = (path.parent for pattern in ("*/groundtruth.txt", "*/*/groundtruth.txt") for path in root.glob(pattern))
    return sorted(folder for folder in found if (folder / "img").is_dir())


def _read(folder: Path, counts: Counter) -> list[RawFrame]:
    absent, rows = set(), read_filled(folder / "groundtruth.txt")
    for path in (folder / name for name in ABSENT if (folder / name).is_file()):
        flags = np.concatenate(read_filled(path))
        if len(flags) != len(rows):
            raise ValueError(
                f"{path} has {len(flags)} flags for {len(rows)} lines of ground truth; copy the sequence again"
            )
        absent |= set(np.flatnonzero(flags).tolist())
    return single_track(list_images(folder / "img"), rows, xywh_to_xyxy, counts, absent)


LASOT = SequenceSet("lasot", _folders, _read, "<class>/<sequence>/img/*.jpg and groundtruth.txt")
