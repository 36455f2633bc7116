"""TrackingNet: `TRAIN_0/frames/<video>/*.jpg` and `TRAIN_0/anno/<video>.txt`, in one or more parts TRAIN_0, ..."""

from collections import Counter
from pathlib import Path

from pysot.datasets.raw.sequences import SequenceSet, read_filled, single_track, xywh_to_xyxy
from pysot.datasets.raw.video import RawFrame
from pysot.utils.names import list_images


def _folders(root: Path) -> list[Path]:
    """The image folders of all parts, or of the one that `root` is."""
    parts = [root, *sorted(root.iterdir())] if root.is_dir() else []
    return [part / "frames" / anno.stem for part in parts for anno in sorted((part / "anno").glob("*.txt"))]


def _read(folder: Path, counts: Counter) -> list[RawFrame]:
    rows = read_filled(folder.parents[1] / "anno" / f"{folder.name}.txt")
    return single_track(list_images(folder), rows, xywh_to_xyxy, counts)


TRACKINGNET = SequenceSet("trackingnet", _folders, _read, "TRAIN_0/frames/<video>/*.jpg and TRAIN_0/anno/<video>.txt")
