"""Raw data sets as videos of annotated frames.

The record of a raw layout (`RawSet`, or `SequenceSet` in `sequences`) yields `RawVideo`s. The crops and the json are
both made from them, so they agree.
"""

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pysot.datasets.raw.masks import Mask
from pysot.utils.names import check_video_name

Box = tuple[float, float, float, float]
CROP, EXEMPLAR, MASK = ".x.jpg", ".z.jpg", ".m.png"  # ends of the names of a box's files
_LAST_BYTES = {".jpg": b"\xff\xd9", ".png": b"IEND\xaeB`\x82"}  # of a complete file


@dataclass(frozen=True)
class RawFrame:
    """One image with the boxes of its tracks; number and track name the crop `{number:06d}.{track}.x.jpg`.

    `masks` has the masks of tracks that have one. It is None if masks were not read.
    """

    image: Path
    number: int
    boxes: dict[str, Box]  # track "00" -> xyxy in pixels
    masks: dict[str, Mask] | None = None

    def __post_init__(self) -> None:
        for track, box in self.boxes.items():
            if not is_valid_box(box):
                raise ValueError(
                    f"{self.image}, track {track}: a box needs finite numbers with x1 < x2 and y1 < y2, got {box}"
                )


@dataclass(frozen=True)
class RawVideo:
    """Frames in their order; the name, which may have slashes, is the folder below crop511 and the key in the json."""

    name: str
    frames: tuple[RawFrame, ...]

    def __post_init__(self) -> None:
        check_video_name(self.name, folders=True)


@dataclass(frozen=True)
class RawSet:
    """Raw data set that can be prepared.

    `splits(root)` lists the available splits, or raises an error that says what is expected. `iterate(root, split,
    counts)` yields the videos; if the set `has_masks`, `iterate(root, split, counts, with_masks=True)` yields them with
    masks. `layout` describes the files below a root. `frame_range` is FRAME_RANGE of the config.
    """

    name: str
    splits: Callable[[Path], list[str]]
    iterate: Callable[..., Iterator[RawVideo]]
    layout: str
    frame_range: int = 100
    has_masks: bool = False

    def videos(
        self,
        root: Path,
        split: str,
        counts: Counter,
        only: Collection[str] = (),
        excluded: Collection[str] = (),
        with_masks: bool = False,
    ) -> Iterator[RawVideo]:
        """Yield the videos of a split: all, or those named in `only`; never those named in `excluded`.

        A video is named by its full name or by the last part of it. Names that match no video are counted.
        `with_masks` is only for a set that has masks. Raises ValueError for two videos with the same name.
        """
        seen: set[str] = set()
        first_images: dict[str, Path] = {}
        options = {"with_masks": True} if with_masks else {}
        for video in self.iterate(root, split, counts, **options):
            image = video.frames[0].image
            first_image = first_images.setdefault(video.name, image)
            if first_image is not image:
                raise ValueError(
                    f"two videos are called {video.name}: that of {first_image} and that of {image}; "
                    "rename a folder or file of one"
                )
            names = {video.name, video.name.rpartition("/")[2]}
            seen |= names
            if not names & set(excluded) and (not only or names & set(only)):
                yield video
        unknown = sorted({*only, *excluded} - seen)
        if unknown:
            counts[f"names that no {split} video has ({', '.join(unknown)})"] += len(unknown)


def is_valid_box(box: Sequence[float]) -> bool:
    """Return whether the xyxy numbers are finite and the box has a positive width and height."""
    return all(map(math.isfinite, box)) and box[2] > box[0] and box[3] > box[1]


_VALIDATION = re.compile(r"(val|valid|validation|test|testing)\d*")
SECOND_BOX = "second boxes of a track in a frame"  # key of `counts`


def add_box(boxes: dict[str, Box], track: str, box: Box) -> bool:
    """Add the box of a track to those of a frame, unless the track has one; return whether it was added."""
    if track in boxes:
        return False
    boxes[track] = box
    return True


def track_name(index: int) -> str:
    """Return a track number as crop names have it: two digits or more."""
    return f"{index:02d}"


def split_of(name: str) -> str:
    """Return "val" for the name of a validation or test part, else "train".

    Examples are instances_val2017, Validation and valid. A word that only contains such a name does not count.
    """
    return "val" if any(_VALIDATION.fullmatch(word) for word in re.split(r"[^a-z0-9]+", name.lower())) else "train"


def find_image(root: Path, parts: tuple[str, ...], name: str) -> Path:
    """Return the path of the image that an export calls `name`.

    The image is looked for below the folders of the `parts` of the set, in their order, then below `images`, then below
    the root. If it does not exist, return its path directly below the root.
    """
    folders = [
        *(folder for part in parts for folder in (f"images/{part}", f"{part}/JPEGImages", f"{part}/images", part)),
        "images",
        "JPEGImages",
        ".",
    ]
    return next((path for folder in folders if (path := root / folder / name).is_file()), root / name)


def crop_name(number: int, track: str, kind: str = CROP) -> str:
    """Return the file name of the crop of one box, or of its EXEMPLAR or MASK."""
    return f"{number:06d}.{track}{kind}"


def annotation_json(videos: Iterable[RawVideo], crop_root: Path | None, counts: Counter) -> dict:
    """Return the training annotation `{video: {track: {frame: [x1, y1, x2, y2]}}}`.

    With `crop_root`, boxes without a crop (unreadable images) are left out and counted as "no crop". The others are
    counted as "boxes".
    """
    result: dict[str, dict[str, dict[str, list[float]]]] = {}
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


def present_crops(folder: Path, kind: str = CROP) -> Iterator[str]:
    """Yield the names of the complete crops of one video, or of its exemplars or masks.

    There are none if the folder does not exist.
    """
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(kind) and not entry.name.startswith(".") and is_complete_image(entry.path):
                    yield entry.name
    except (FileNotFoundError, NotADirectoryError):
        return


def is_complete_image(path: str | os.PathLike) -> bool:
    """Return whether a file ends as a complete JPEG or PNG does, as its name says."""
    end = _LAST_BYTES[os.path.splitext(path)[1]]
    with open(path, "rb") as stream:
        if stream.seek(0, os.SEEK_END) < len(end):
            return False
        stream.seek(-len(end), os.SEEK_END)
        return stream.read() == end


def format_counts(counts: Counter) -> str:
    """Format counts as one line, such as "12 crowd, 3 degenerate"; "nothing" without any."""
    return ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items()) if number) or "nothing"
