"""YouTube-BoundingBoxes: a csv of boxes per split, `yt_bb_detection_<split>.csv`, and the extracted images.

The images are `yt_bb_detection_<split>/<class>/<video>_<ms>_<class>_<object>.jpg`. Rows of the csv, which has no
header, are `youtube_id, timestamp_ms, class_id, class_name, object_id, object_presence, xmin, xmax, ymin, ymax`. Their
boxes are fractions of the image size; boxes of this module are in pixels. A frame's number is its second, a track's
number its object.
"""

import csv
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from pysot.datasets.raw.video import Box, RawFrame, RawSet, RawVideo, is_valid_box, track_name
from pysot.utils.image import image_size

logger = logging.getLogger(__name__)
SPLITS = {"val": "yt_bb_detection_validation", "train": "yt_bb_detection_train"}
COLUMNS = 10


def youtube_splits(root: Path) -> list[str]:
    """Return the splits that have a csv. Raises FileNotFoundError if there is none."""
    splits = [split for split, name in SPLITS.items() if (Path(root) / f"{name}.csv").is_file()]
    if not splits:
        expected = " and ".join(f"{name}.csv" for name in SPLITS.values())
        raise FileNotFoundError(
            f"no YouTube-BB annotation in {root}: looked for {expected}. Unpack the csv files there, or name the "
            "folder that holds them"
        )
    return splits


def iter_youtube(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Yield the videos of a split, `yt_bb_detection_<split>/<class>/<video>`.

    They have the boxes of objects that are present and whose image has been extracted. Rows without such an image are
    counted; malformed rows are logged and counted. Raises ValueError if no row has this layout.
    """
    root, name = Path(root), SPLITS[split]
    path, valid_groups = root / f"{name}.csv", 0
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as stream:
        for (video, class_id), rows in groupby(_rows(path, stream, counts), key=lambda row: (row[0], row[2])):
            frames = _frames(root / name / class_id, list(rows), counts)
            valid_groups += 1
            if frames:
                yield RawVideo(f"{name}/{class_id}/{video}", frames)
    if not valid_groups:
        raise ValueError(
            f"{path} has no row of {COLUMNS} columns (youtube_id, timestamp_ms, class_id, ...); download it again"
        )


def _rows(path: Path, stream: Iterable[str], counts: Counter) -> Iterator[list[str]]:
    """Yield the rows of boxes.

    All rows of a video and class are adjacent in the csv; they may be in any order of object and time.
    """
    # Python 3.10 refuses NUL; this character makes the row malformed as well.
    lines = (line.replace("\0", "\ufffd") for line in stream)
    for number, row in enumerate(csv.reader(lines), 1):
        if len(row) == COLUMNS and row[1].isdecimal() and row[2].isdecimal() and row[4].isdecimal():
            if row[5].strip() == "absent":
                counts["absent"] += 1
            else:
                yield row
        elif row:
            counts["malformed rows"] += 1
            if counts["malformed rows"] <= 10:
                logger.warning(
                    "left out: %s, line %d: expected %d columns, whole numbers for time, class and object; got %.80r",
                    path,
                    number,
                    COLUMNS,
                    row,
                )


def _frames(folder: Path, rows: list[list[str]], counts: Counter) -> tuple[RawFrame, ...]:
    """Return the frames of a video.

    Each object has its own image file of a second. The files of several objects show the same picture, so one is
    enough.
    """
    frames: dict[int, RawFrame] = {}
    for video, milliseconds, class_id, _, object_id, _, x1, x2, y1, y2 in rows:
        image = folder / f"{video}_{milliseconds}_{class_id}_{object_id}.jpg"
        size = _size_or_count(image, counts)
        if size is None:
            continue
        box = _to_pixels((x1, y1, x2, y2), size)
        second = int(milliseconds) // 1000
        track = track_name(int(object_id))
        earlier = frames.get(second)
        if box is None:
            counts["degenerate"] += 1
        elif earlier is None:
            frames[second] = RawFrame(image, second, {track: box})
        elif track in earlier.boxes:
            counts["repeated rows"] += 1
        else:
            frames[second] = RawFrame(earlier.image, second, {**earlier.boxes, track: box})
    return tuple(frames[second] for second in sorted(frames))


def _to_pixels(texts: tuple[str, str, str, str], size: tuple[int, int]) -> Box | None:
    """Return an xyxy box in pixels; None for a degenerate box, or one whose numbers are not from 0 to 1."""
    try:
        fractions = [float(text) for text in texts]
    except ValueError:
        return None
    if not all(math.isfinite(value) and 0 <= value <= 1.001 for value in fractions) or not is_valid_box(fractions):
        return None
    x1, y1, x2, y2 = fractions
    width, height = size
    return x1 * width, y1 * height, x2 * width, y2 * height


def _size_or_count(path: Path, counts: Counter) -> tuple[int, int] | None:
    """Return width and height. A missing or unreadable image is counted and gives None."""
    try:
        return image_size(path)
    except FileNotFoundError:
        counts["without an image"] += 1
    except ValueError as error:
        logger.warning("left out: %s", error)
        counts["unreadable images"] += 1
    return None


YT_BB = RawSet(
    "yt_bb",
    youtube_splits,
    iter_youtube,
    "yt_bb_detection_train.csv and yt_bb_detection_train/<class>/*.jpg",
    frame_range=3,
)
