"""TrackingNet: `TRAIN_0/frames/<video>/*.jpg` and `TRAIN_0/anno/<video>.txt`, in one or more parts TRAIN_0, ..."""

from collections import Counter
from pathlib import Path

from pysot.datasets.raw.sequences import SequenceSet, read_lines, single_track, xywh_to_xyxy
from pysot.datasets.raw.video import RawFrame
from pysot.utils.names import list_images


def _find_folders(root: Path) -> list[Path]:
    """Return the image folders of all parts; `root` may be one part."""
    parts = [root, *sorted(root.iterdir())] if root.is_dir() else []
    return [part / "frames" / anno.stem for part in parts for anno in sorted((part / "anno").glob("*.txt"))]


def _read_frames(folder: Path, counts: Counter) -> list[RawFrame]:
    rows = read_lines(folder.parents[1] / "anno" / f"{folder.name}.txt")
    return single_track(list_images(folder), rows, xywh_to_xyxy, counts)


TRACKINGNET = SequenceSet(
    "trackingnet", _find_folders, _read_frames, "TRAIN_0/frames/<video>/*.jpg and TRAIN_0/anno/<video>.txt"
)
