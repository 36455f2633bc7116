"""ILSVRC DET and VID: an xml beside every image, `Annotations/<task>/<split>/<...>/<stem>.xml` for `Data/<task>/<split>/<...>/<stem>.JPEG`.

The splits are the plain folders (train, val), or the short names a, b, c ... that are links to their parts, as the original pysot asks for. A link to
`val` counts as validation wherever it lies, and a part that has a short name is read under that name only.
"""

import logging
import os
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pysot.datasets.raw.video import SECOND_BOX, RawFrame, RawSet, RawVideo, add_box, track_name, usable
from pysot.utils.names import natural_key

logger = logging.getLogger(__name__)
FOLDERS = ("", "ILSVRC", "ILSVRC2015", "ILSVRC2013", "ILSVRC2014", "ILSVRC2017")
SPLITS = ("train", "val")


@dataclass(frozen=True)
class XmlObject:
    """One object of an xml: its place among all of the file, its track where it has one, its box xyxy."""

    index: int
    track: int | None
    box: tuple[float, float, float, float]


def read_xml(path: Path, counts: Counter) -> list[XmlObject]:
    """The objects of a VOC-style xml with usable boxes; others are counted. Raises ValueError for a file that is no such xml."""
    try:
        tree = ET.parse(path)
    except (ET.ParseError, UnicodeDecodeError, LookupError, ValueError) as error:
        raise ValueError(f"{path} is not whole XML ({error}); copy it again") from None
    objects = []
    for index, item in enumerate(tree.iter("object")):
        try:
            box = tuple(float(item.find("bndbox").findtext(key)) for key in ("xmin", "ymin", "xmax", "ymax"))
        except (AttributeError, TypeError, ValueError):
            counts["without a box"] += 1
            continue
        track = (item.findtext("trackid") or "").strip()
        if not usable(box):
            counts["degenerate"] += 1
        elif track and not track.isdecimal():
            counts["without a track number"] += 1
        else:
            objects.append(XmlObject(index, int(track) if track else None, box))
    return objects


def imagenet_root(root: Path, task: str) -> Path:
    """The folder that holds Annotations/<task> and Data/<task>, `root` or one of the usual names in it. Raises FileNotFoundError."""
    for name in FOLDERS:
        if (Path(root) / name / "Annotations" / task).is_dir():
            return Path(root) / name
    raise FileNotFoundError(
        f"no ILSVRC {task} in {root}: looked for Annotations/{task} there and in {', '.join(FOLDERS[1:])}. Unpack or link it there, or "
        "name the folder that holds it"
    )


def imagenet_splits(root: Path, task: str) -> list[str]:
    """The splits that are there."""
    parts = _parts(imagenet_root(root, task) / "Annotations" / task)
    return [split for split in reversed(SPLITS) if parts[split]]


def det_splits(root: Path) -> list[str]:
    """As `imagenet_splits`."""
    return imagenet_splits(root, "DET")


def vid_splits(root: Path) -> list[str]:
    """As `imagenet_splits`."""
    return imagenet_splits(root, "VID")


def iter_det(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Images of DET, each a video of one frame `<part>/<stem>`; a track is the place of an object in its xml.

    An xml that can't be read is named in the log and counted. Raises FileNotFoundError as `imagenet_root`.
    """
    root = imagenet_root(root, "DET")
    for name, folder in _parts(root / "Annotations" / "DET")[split]:
        for path in _xmls(folder):
            objects = _read_or_count(path, counts)
            boxes = {track_name(thing.index): thing.box for thing in objects}
            if boxes:
                yield RawVideo(
                    f"{name}/{path.stem}", (RawFrame(_image(path, root, "DET"), 0, boxes),)
                )  # stems are unique in DET, `RawSet` looks


def iter_vid(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Videos of VID, `<part>/<video>`. A track that disappears and comes back becomes a track per segment: the first keeps its number, the others get
    numbers behind the largest of the video. Errors as `iter_det`.
    """
    root = imagenet_root(root, "VID")
    for name, folder in _parts(root / "Annotations" / "VID")[split]:
        for video in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
            frames = _vid_frames(video, root, counts)
            if frames:
                yield RawVideo(f"{name}/{video.name}", frames)


def _vid_frames(video: Path, root: Path, counts: Counter) -> tuple[RawFrame, ...]:
    found = []
    for path in sorted(video.glob("*.xml"), key=lambda path: natural_key(path.name)):
        if not path.stem.isdecimal():
            counts["xml files without a number"] += 1
            continue
        found.append((path, _read_or_count(path, counts)))
    free = 1 + max((thing.track for _, objects in found for thing in objects if thing.track is not None), default=-1)
    last: dict[int, tuple[int, int]] = {}  # track -> frame in which it was last seen, number of its segment
    frames = []
    for place, (path, objects) in enumerate(found):
        boxes = {}
        for thing in objects:
            if thing.track is None:
                counts["without a track number"] += 1
                continue
            seen, segment = last.get(thing.track, (place - 1, thing.track))
            if place - seen > 1:
                segment, free = free, free + 1
                counts["further segments"] += 1
            last[thing.track] = place, segment
            if not add_box(boxes, track_name(segment), thing.box):
                counts[SECOND_BOX] += 1
        if boxes:
            frames.append(RawFrame(_image(path, root, "VID"), int(path.stem), boxes))
    return tuple(frames)


def _read_or_count(path: Path, counts: Counter) -> list[XmlObject]:
    try:
        return read_xml(path, counts)
    except (OSError, ValueError) as error:
        logger.warning("left out: %s", error)
        counts["unreadable xml"] += 1
        return []


def _image(path: Path, root: Path, task: str) -> Path:
    return (root / "Data" / task / path.relative_to(root / "Annotations" / task)).with_suffix(".JPEG")


def _parts(base: Path) -> dict[str, list[tuple[str, Path]]]:
    """The annotation folders of each split, with the names under which their crops lie."""
    validation, found = base / "val", {split: [] for split in SPLITS}
    training = (
        sorted(entry for entry in (base / "train").iterdir() if entry.is_dir()) if (base / "train").is_dir() else []
    )
    named = {entry.resolve() for entry in training if len(entry.name) == 1}
    for entry in training:
        if len(entry.name) == 1 or entry.resolve() not in named:
            found["val" if entry.resolve() == validation.resolve() else "train"].append((entry.name, entry))
    if validation.is_dir() and validation.resolve() not in named:
        found["val"].append(("val", validation))
    return found


def _xmls(folder: Path) -> Iterator[Path]:
    """All xml files below a folder, in order. Links are followed once: a loop ends."""
    seen = set()
    for path, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(path)
        folders[:] = [] if real in seen else sorted(folders)
        if real not in seen:
            yield from (
                Path(path) / name for name in sorted(files) if name.endswith(".xml") and not name.startswith(".")
            )
        seen.add(real)


DET = RawSet("det", det_splits, iter_det, "Annotations/DET/train/<...>/*.xml and Data/DET/train/<...>/*.JPEG", reach=1)
VID = RawSet("vid", vid_splits, iter_vid, "Annotations/VID/train/<part>/<video>/*.xml and Data/VID/...")
