"""GOT-10k: `<sequence>/*.jpg`, `groundtruth.txt`, and `absence.label`, whose lines are 1 where there is no target."""

from collections import Counter
from pathlib import Path

from pysot.datasets.raw.sequences import SequenceSet, folders_with, read_filled, single_track, xywh_to_xyxy
from pysot.datasets.raw.video import RawFrame
from pysot.utils.names import list_images

TRUTH = "groundtruth.txt"


def _folders(root: Path) -> list[Path]:
    return folders_with(root, TRUTH)


def _read(folder: Path, counts: Counter) -> list[RawFrame]:
    rows, label = read_filled(folder / TRUTH), folder / "absence.label"
    flags = read_filled(label) if label.is_file() else []
    if flags and len(flags) != len(rows):
        raise ValueError(
            f"{label} has {len(flags)} lines for {len(rows)} lines of ground truth; copy the sequence again"
        )
    absent = {number for number, row in enumerate(flags) if row.any()}
    return single_track(list_images(folder), rows, xywh_to_xyxy, counts, absent)


GOT10K = SequenceSet("got10k", _folders, _read, "<sequence>/*.jpg and groundtruth.txt")
