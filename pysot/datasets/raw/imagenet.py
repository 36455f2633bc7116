"""ILSVRC DET and VID: one xml per image.

`Annotations/<task>/<split>/<...>/<stem>.xml` annotates `Data/<task>/<split>/<...>/<stem>.JPEG`.

The splits are the plain folders (train, val), or the short names a, b, c, ... that are links to their parts, as the
original pysot expects. A link to `val` counts as validation wherever it lies. A part that has a short name is read
under that name only.
"""

import logging
import os
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pysot.datasets.raw.video import SECOND_BOX, Box, RawFrame, RawSet, RawVideo, add_box, is_valid_box, track_name
from pysot.utils.names import natural_key

logger = logging.getLogger(__name__)
ROOT_FOLDERS = ("", "ILSVRC", "ILSVRC2015", "ILSVRC2013", "ILSVRC2014", "ILSVRC2017")
SPLITS = ("train", "val")


@dataclass(frozen=True)
class XmlObject:
    """One object of an xml: its index among all objects of the file, its track if it has one, its box xyxy."""

    index: int
    track: int | None
    box: Box


def read_xml(path: Path, counts: Counter) -> list[XmlObject]:
    """Return the objects of a VOC-style xml that have valid boxes; others are counted.

    Raises ValueError for a file that is not such an xml.
    """
    try:
        tree = ET.parse(path)
    except (ET.ParseError, UnicodeDecodeError, LookupError, ValueError) as error:
        raise ValueError(f"{path} is not complete XML ({error}); copy it again") from None
    objects = []
    for index, item in enumerate(tree.iter("object")):
        box = _xml_box(item)
        if box is None:
            counts["without a box"] += 1
            continue
        track = (item.findtext("trackid") or "").strip()
        if not is_valid_box(box):
            counts["degenerate"] += 1
        elif track and not track.isdecimal():
            counts["without a track number"] += 1
        else:
            objects.append(XmlObject(index, int(track) if track else None, box))
    return objects


def _xml_box(item: ET.Element) -> Box | None:
    """Return the xyxy box of an object; None without four numbers."""
    bounds = item.find("bndbox")
    if bounds is None:
        return None
    try:
        x1, y1, x2, y2 = (float(bounds.findtext(key) or "") for key in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        return None
    return x1, y1, x2, y2


def imagenet_root(root: Path, task: str) -> Path:
    """Return the folder that holds Annotations/<task> and Data/<task>: `root`, or a folder of a usual name in it.

    Raises FileNotFoundError.
    """
    for name in ROOT_FOLDERS:
        if (Path(root) / name / "Annotations" / task).is_dir():
            return Path(root) / name
    raise FileNotFoundError(
        f"no ILSVRC {task} in {root}: looked for Annotations/{task} there and in {', '.join(ROOT_FOLDERS[1:])}. Unpack "
        "or link it there, or name the folder that holds it"
    )


def imagenet_splits(root: Path, task: str) -> list[str]:
    """Return the available splits."""
    parts = _part_folders(imagenet_root(root, task) / "Annotations" / task)
    return [split for split in reversed(SPLITS) if parts[split]]


def det_splits(root: Path) -> list[str]:
    """Return the available splits of DET."""
    return imagenet_splits(root, "DET")


def vid_splits(root: Path) -> list[str]:
    """Return the available splits of VID."""
    return imagenet_splits(root, "VID")


def iter_det(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Yield the images of DET, each a video of one frame `<part>/<stem>`; a track is the index of an object in its xml.

    An unreadable xml is logged and counted. Raises FileNotFoundError as in `imagenet_root`.
    """
    root = imagenet_root(root, "DET")
    for name, folder in _part_folders(root / "Annotations" / "DET")[split]:
        for path in _iter_xml_files(folder):
            objects = _read_or_count(path, counts)
            boxes = {track_name(item.index): item.box for item in objects}
            if boxes:
                # Stems are unique in DET; `RawSet.videos` checks it.
                yield RawVideo(f"{name}/{path.stem}", (RawFrame(_image_path(path, root, "DET"), 0, boxes),))


def iter_vid(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Yield the videos of VID, `<part>/<video>`.

    A track that disappears and comes back becomes one track per segment. The first segment keeps the number, the others
    get numbers above the largest of the video. Errors as in `iter_det`.
    """
    root = imagenet_root(root, "VID")
    for name, folder in _part_folders(root / "Annotations" / "VID")[split]:
        for video in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
            frames = _vid_frames(video, root, counts)
            if frames:
                yield RawVideo(f"{name}/{video.name}", frames)


def _vid_frames(video: Path, root: Path, counts: Counter) -> tuple[RawFrame, ...]:
    annotated = []
    for path in sorted(video.glob("*.xml"), key=lambda path: natural_key(path.name)):
        if not path.stem.isdecimal():
            counts["xml files without a number"] += 1
            continue
        annotated.append((path, _read_or_count(path, counts)))
    next_track = 1 + max(
        (item.track for _, objects in annotated for item in objects if item.track is not None), default=-1
    )
    last: dict[int, tuple[int, int]] = {}  # track -> index of the frame it was last seen in, number of its segment
    frames = []
    for index, (path, objects) in enumerate(annotated):
        boxes: dict[str, Box] = {}
        for item in objects:
            if item.track is None:
                counts["without a track number"] += 1
                continue
            seen, segment = last.get(item.track, (index - 1, item.track))
            if index - seen > 1:
                segment, next_track = next_track, next_track + 1
                counts["further segments"] += 1
            last[item.track] = index, segment
            if not add_box(boxes, track_name(segment), item.box):
                counts[SECOND_BOX] += 1
        if boxes:
            frames.append(RawFrame(_image_path(path, root, "VID"), int(path.stem), boxes))
    return tuple(frames)


def _read_or_count(path: Path, counts: Counter) -> list[XmlObject]:
    try:
        return read_xml(path, counts)
    except (OSError, ValueError) as error:
        logger.warning("left out: %s", error)
        counts["unreadable xml"] += 1
        return []


def _image_path(path: Path, root: Path, task: str) -> Path:
    return (root / "Data" / task / path.relative_to(root / "Annotations" / task)).with_suffix(".JPEG")


def _part_folders(base: Path) -> dict[str, list[tuple[str, Path]]]:
    """Return the annotation folders of each split, with the names under which their crops lie."""
    validation = base / "val"
    folders: dict[str, list[tuple[str, Path]]] = {split: [] for split in SPLITS}
    training = []
    if (base / "train").is_dir():
        training = sorted(entry for entry in (base / "train").iterdir() if entry.is_dir())
    short_named = {entry.resolve() for entry in training if len(entry.name) == 1}
    for entry in training:
        if len(entry.name) == 1 or entry.resolve() not in short_named:
            folders["val" if entry.resolve() == validation.resolve() else "train"].append((entry.name, entry))
    if validation.is_dir() and validation.resolve() not in short_named:
        folders["val"].append(("val", validation))
    return folders


def _iter_xml_files(folder: Path) -> Iterator[Path]:
    """Yield all xml files below a folder, in order. Links are followed once, so a loop of links ends."""
    seen = set()
    for path, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(path)
        folders[:] = [] if real in seen else sorted(folders)
        if real not in seen:
            yield from (
                Path(path) / name for name in sorted(files) if name.endswith(".xml") and not name.startswith(".")
            )
        seen.add(real)


DET = RawSet(
    "det", det_splits, iter_det, "Annotations/DET/train/<...>/*.xml and Data/DET/train/<...>/*.JPEG", frame_range=1
)
VID = RawSet("vid", vid_splits, iter_vid, "Annotations/VID/train/<part>/<video>/*.xml and Data/VID/...")
