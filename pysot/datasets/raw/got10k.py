"""GOT-10k: `<sequence>/*.jpg`, `groundtruth.txt`, and `absence.label`, whose lines are 1 where the target is absent."""

from collections import Counter
from pathlib import Path

from pysot.datasets.raw.sequences import SequenceSet, folders_with, read_lines, single_track, xywh_to_xyxy
from pysot.datasets.raw.video import RawFrame
from pysot.utils.names import list_images

GROUND_TRUTH = "groundtruth.txt"


def _find_folders(root: Path) -> list[Path]:
    return folders_with(root, GROUND_TRUTH)


def _read_frames(folder: Path, counts: Counter) -> list[RawFrame]:
    rows, label = read_lines(folder / GROUND_TRUTH), folder / "absence.label"
    flags = read_lines(label) if label.is_file() else []
    if flags and len(flags) != len(rows):
        raise ValueError(
            f"{label} has {len(flags)} lines for {len(rows)} lines of ground truth; copy the sequence again"
        )
    absent = {number for number, row in enumerate(flags) if row.any()}
    return single_track(list_images(folder), rows, xywh_to_xyxy, counts, absent)


GOT10K = SequenceSet("got10k", _find_folders, _read_frames, "<sequence>/*.jpg and groundtruth.txt")
