"""OTB: `<sequence>/img/*.jpg` and a file of boxes per target: `groundtruth_rect.txt`, or `.1.txt` and `.2.txt`."""

from collections import Counter
from pathlib import Path

from pysot.datasets.raw.sequences import SequenceSet, folders_with, read_lines, single_track, xywh_to_xyxy
from pysot.datasets.raw.video import RawFrame, track_name
from pysot.utils.names import list_images
from pysot.utils.otb import drop_empty_files, pair_images_with_lines

GROUND_TRUTH = "groundtruth_rect*.txt"


def _find_folders(root: Path) -> list[Path]:
    return folders_with(root, GROUND_TRUTH)


def _read_frames(folder: Path, counts: Counter) -> list[RawFrame]:
    merged: dict[int, RawFrame] = {}
    for track, path in enumerate(drop_empty_files(folder.glob(GROUND_TRUTH))):
        images, rows = pair_images_with_lines(folder.name, list_images(folder / "img"), read_lines(path))
        for frame in single_track(images, rows, xywh_to_xyxy, counts):
            earlier = merged[frame.number].boxes if frame.number in merged else {}
            boxes = {**earlier, track_name(track): frame.boxes[track_name(0)]}
            merged[frame.number] = RawFrame(frame.image, frame.number, boxes)
    return [merged[number] for number in sorted(merged)]


OTB = SequenceSet("otb", _find_folders, _read_frames, "<sequence>/img/*.jpg and groundtruth_rect.txt")
