"""Raw data sets as videos of annotated frames.

The record of a raw layout (`RawSet`, or `SequenceSet` in `sequences`) gives `RawVideo`s; both the crops and the json
are made from them, so they agree.
"""

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pysot.utils.names import check_video_name


@dataclass(frozen=True)
class RawFrame:
    """One image with the boxes of its tracks; number and track name the crop `{number:06d}.{track}.x.jpg`."""

    image: Path
    number: int
    boxes: dict[str, tuple[float, float, float, float]]  # track "00" -> xyxy in pixels

    def __post_init__(self):
        for track, box in self.boxes.items():
            if not usable(box):
                raise ValueError(
                    f"{self.image}, track {track}: a box needs finite numbers with x1 < x2 and y1 < y2, got {box}"
                )


@dataclass(frozen=True)
class RawVideo:
    """Frames in their order; the name, which may have slashes, is the folder below crop511 and the key in the json."""

    name: str
    frames: tuple[RawFrame, ...]

    def __post_init__(self):
        check_video_name(self.name, folders=True)


@dataclass(frozen=True)
class RawSet:
    """A raw data set that can be prepared. splits: root -> the splits that are there, or an error that says what is
    expected; iterate: root, split, counts -> videos; shape: what a root looks like; reach: FRAME_RANGE of the config.
    """

    name: str
    splits: Callable[[Path], list[str]]
    iterate: Callable[..., Iterator[RawVideo]]
    shape: str
    reach: int = 100

    def videos(
        self, root: Path, split: str, counts: Counter, only: Collection[str] = (), excluded: Collection[str] = ()
    ) -> Iterator[RawVideo]:
        """The videos of a split, all or those named in `only`, without those in `excluded`; a name is that of the video
        or the last part of it. Raises ValueError for two videos of one name.
        """
        seen, images = set(), {}
        for video in self.iterate(root, split, counts):
            first = images.setdefault(video.name, video.frames[0].image)
            if first is not video.frames[0].image:
                raise ValueError(
                    f"two videos are called {video.name}: that of {first} and that of "
                    f"{video.frames[0].image}; rename a folder or file of one"
                )
            names = {video.name, video.name.rpartition("/")[2]}
            seen |= names
            if not names & set(excluded) and (not only or names & set(only)):
                yield video
        unknown = sorted({*only, *excluded} - seen)
        if unknown:
            counts[f"names that no {split} video has ({', '.join(unknown)})"] += len(unknown)


def usable(box) -> bool:
    """Whether xyxy numbers are finite and have an inside."""
    return all(map(math.isfinite, box)) and box[2] > box[0] and box[3] > box[1]


_VALIDATION = re.compile(r"(val|valid|validation|test|testing)\d*")
SECOND_BOX = "second boxes of a track in a frame"  # what such are counted as


def add_box(boxes: dict[str, tuple], track: str, box: tuple) -> bool:
    """Add the box of a track to those of a frame, unless the track has one; whether it was added."""
    if track in boxes:
        return False
    boxes[track] = box
    return True


def track_name(index: int) -> str:
    """Track number as in crop names: two digits or more."""
    return f"{index:02d}"


def split_of(name: str) -> str:
    """ "val" for the name of a validation or test part, such as instances_val2017, Validation or valid, else "train"; a word that only contains it is none."""
    return "val" if any(_VALIDATION.fullmatch(word) for word in re.split(r"[^a-z0-9]+", name.lower())) else "train"


def find_image(root: Path, parts: tuple[str, ...], name: str) -> Path:
    """The image that an export calls `name`: below a folder of one of the `parts` of the set, the first one first, below `images`, or below the root; where it
    would be below the root, if there is none.
    """
    places = [
        *(folder for part in parts for folder in (f"images/{part}", f"{part}/JPEGImages", f"{part}/images", part)),
        "images",
        "JPEGImages",
        ".",
    ]
    return next((path for place in places if (path := root / place / name).is_file()), root / name)


def crop_name(number: int, track: str) -> str:
    """File name of the crop of one box."""
    return f"{number:06d}.{track}.x.jpg"


def annotation_json(videos: Iterable[RawVideo], crop_root: Path | None, counts: Counter) -> dict:
    """The training annotation `{video: {track: {frame: [x1, y1, x2, y2]}}}`.

    With crop_root, boxes whose crop is not there (unreadable images) are left out and counted as "no crop"; the others as "boxes".
    """
    result = {}
    for video in videos:
        present = None if crop_root is None else set(present_crops(crop_root / video.name))
        tracks = result.setdefault(video.name, {})
        for frame in video.frames:
            for track, box in frame.boxes.items():
                if present is not None and crop_name(frame.number, track) not in present:
                    counts["no crop"] += 1
                    continue
                counts["boxes"] += 1
                tracks.setdefault(track, {})[f"{frame.number:06d}"] = [round(float(value), 3) for value in box]
        if not tracks:
            del result[video.name]
    return result


def present_crops(folder: Path, suffix: str = ".x.jpg") -> Iterator[str]:
    """Names of the whole crops of one video, those with a JPEG's end; none if the folder does not exist."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(suffix) and not entry.name.startswith(".") and is_whole(entry.path):
                    yield entry.name
    except (FileNotFoundError, NotADirectoryError):
        return


def is_whole(path: str | os.PathLike) -> bool:
    """Whether a file ends as a JPEG does."""
    with open(path, "rb") as stream:
        if stream.seek(0, os.SEEK_END) < 2:
            return False
        stream.seek(-2, os.SEEK_END)
        return stream.read() == b"\xff\xd9"


def describe(counts: Counter) -> str:
    """Counts as one line, as in "12 crowd, 3 degenerate"; "nothing" without any."""
    return ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items()) if number) or "nothing"
