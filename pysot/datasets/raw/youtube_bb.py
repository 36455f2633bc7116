"""YouTube-BoundingBoxes: `yt_bb_detection_<split>.csv` and the extracted images `yt_bb_detection_<split>/<class>/<video>_<ms>_<class>_<object>.jpg`.

The boxes of the csv are shares of the image; here they become pixels. Rows are `youtube_id, timestamp_ms, class_id, class_name, object_id,
object_presence, xmin, xmax, ymin, ymax`, without a header. A frame's number is its second, a track's its object.
"""

import csv
import logging
import math
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from pysot.datasets.raw.video import RawFrame, RawSet, RawVideo, track_name, usable
from pysot.utils.image import image_size

logger = logging.getLogger(__name__)
SPLITS = {"val": "yt_bb_detection_validation", "train": "yt_bb_detection_train"}
COLUMNS = 10


def youtube_splits(root: Path) -> list[str]:
    """Splits whose csv is there. Raises FileNotFoundError if there is none."""
    found = [split for split, name in SPLITS.items() if (Path(root) / f"{name}.csv").is_file()]
    if not found:
        raise FileNotFoundError(
            f"no YouTube-BB annotation in {root}: looked for {' and '.join(f'{name}.csv' for name in SPLITS.values())}. Unpack the csv "
            "files there, or name the folder that holds them"
        )
    return found


def iter_youtube(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Videos of a split, `yt_bb_detection_<split>/<class>/<video>`, with the boxes of objects that are present and whose image has been extracted.

    Rows that have no such image are counted, rows that are malformed are named in the log and counted. Raises ValueError if no row is of this layout.
    """
    root, name = Path(root), SPLITS[split]
    path, good = root / f"{name}.csv", 0
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as stream:
        for (video, kind), rows in groupby(_rows(path, stream, counts), key=lambda row: (row[0], row[2])):
            frames = _frames(root / name / kind, list(rows), counts)
            good += 1
            if frames:
                yield RawVideo(f"{name}/{kind}/{video}", frames)
    if not good:
        raise ValueError(
            f"{path} has no row of {COLUMNS} columns (youtube_id, timestamp_ms, class_id, ...); download it again"
        )


def _rows(path: Path, stream, counts: Counter) -> Iterator[list[str]]:
    """The rows of boxes. All rows of a video and class lie together in the csv, ordered or not by object and time."""
    for number, row in enumerate(csv.reader(stream), 1):
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
    """Frames of a video. Each object has its own image of a second: frames of several objects have the same picture, so one is enough."""
    frames: dict[int, RawFrame] = {}
    for video, milliseconds, kind, _, thing, _, x1, x2, y1, y2 in rows:
        image = folder / f"{video}_{milliseconds}_{kind}_{thing}.jpg"
        size = _size_or_count(image, counts)
        if size is None:
            continue
        box, second, track = _pixels((x1, y1, x2, y2), size), int(milliseconds) // 1000, track_name(int(thing))
        earlier = frames.get(second)
        if box is None:
            counts["degenerate"] += 1
        elif earlier is not None and track in earlier.boxes:
            counts["repeated rows"] += 1
        else:
            frames[second] = RawFrame(
                earlier.image if earlier else image, second, {**(earlier.boxes if earlier else {}), track: box}
            )
    return tuple(frames[second] for second in sorted(frames))


def _pixels(shares, size: tuple[int, int]) -> tuple[float, float, float, float] | None:
    """xyxy in pixels; None for a box that is negative, has no inside, or is no box of shares."""
    try:
        values = [float(share) for share in shares]
    except ValueError:
        return None
    if not all(math.isfinite(value) and 0 <= value <= 1.001 for value in values) or not usable(values):
        return None
    return tuple(value * side for value, side in zip(values, (*size, *size), strict=True))


def _size_or_count(path: Path, counts: Counter) -> tuple[int, int] | None:
    """Width and height; None, counted, if the image is not there or cannot be read."""
    try:
        return image_size(path)
    except FileNotFoundError:
        counts["without an image"] += 1
    except ValueError as error:
        logger.warning("left out: %s", error)
        counts["unreadable images"] += 1
    return None


YT_BB = RawSet(
    "yt_bb", youtube_splits, iter_youtube, "yt_bb_detection_train.csv and yt_bb_detection_train/<class>/*.jpg", reach=3
)
