"""Annotated sequences: OTB, raw VOT, DAVIS, GOT-10k, LaSOT and TrackingNet folders.

A layout is two functions: the folders of its sequences below a root, and the frames of one folder. A frame's number is its place in the sequence,
counted from 0 over the annotated frames.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pysot.datasets.raw.video import SECOND_BOX, RawFrame, RawVideo, add_box, describe, track_name, usable
from pysot.utils.bbox import get_axis_aligned_bbox
from pysot.utils.image import read_image
from pysot.utils.names import frame_numbers, list_images
from pysot.utils.otb import protocol_part

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """find: root -> sequence folders; read: folder, counts -> frames; shape: what a root looks like, for errors."""

    find: Callable[[Path], list[Path]]
    read: Callable[[Path, Counter], list[RawFrame]]
    shape: str


def iter_sequences(layout: str, root: Path, counts: Counter, only: Collection[str] = (), excluded: Collection[str] = ()) -> Iterator[RawVideo]:
    """The sequences of a raw data set, all or those named in `only`, without those in `excluded`.

    A sequence that can't be read is named in the log, counted and left out. Raises ValueError for a wrong root, unknown names, or when none is left.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}; known: {', '.join(LAYOUTS)}")
    folders = unique_names(LAYOUTS[layout].find(Path(root)), Path(root))
    if not folders:
        raise ValueError(f"no {layout} sequence in {Path(root).absolute()}; expected {LAYOUTS[layout].shape}")
    unknown = sorted({*only, *excluded} - set(folders))
    if unknown:
        raise ValueError(f"no sequence {', '.join(unknown)} in {root}; there are {', '.join(sorted(folders))}")
    chosen = [name for name in folders if name not in excluded and (not only or name in only)]
    found = 0
    for name in chosen:
        try:
            frames = LAYOUTS[layout].read(folders[name], counts)
        except (OSError, ValueError) as error:
            logger.warning("sequence %s is left out: %s", name, error)
            counts["unreadable sequences"] += 1
            continue
        found += bool(frames)
        if frames:
            yield RawVideo(name, tuple(frames))
    if not found:
        raise ValueError(f"none of the {len(chosen)} chosen {layout} sequences in {root} has a usable box (left out: {describe(counts)})")


def unique_names(folders: list[Path], root: Path) -> dict[str, Path]:
    """Folders by the names of their videos: their own, or where several have the same, in classes or parts, the path below the root."""
    known = Counter(folder.name for folder in folders)
    return {folder.name if known[folder.name] == 1 else _below(folder, root): folder for folder in folders}


def _below(folder: Path, root: Path) -> str:
    return "/".join(part for part in folder.relative_to(root).parts if part != "frames")


def read_numbers(path: Path) -> list[np.ndarray]:
    """The lines of a ground-truth file, separated by commas, semicolons, tabs or spaces; NaN stays NaN, empty lines at the end are dropped."""
    lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    if not lines:
        raise ValueError(f"{path} is empty; copy the data set again")
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(np.array([float(word) for word in line.replace(",", " ").replace(";", " ").split()]))
        except ValueError:
            raise ValueError(f"{path}, line {number}: expected numbers, got {line[:60]!r}") from None
    return rows


def _frames(images: list[Path], rows: list, to_xyxy: Callable, counts: Counter, absent: Collection[int] = ()) -> list[RawFrame]:
    """Frames of a single track from one line (or mask) per image; degenerate boxes are counted and give no frame."""
    if len(images) != len(rows):
        raise ValueError(f"{len(images)} images, but {len(rows)} lines of ground truth; copy the sequence again")
    frames = []
    for number, (image, row) in enumerate(zip(images, rows, strict=True)):
        box = None if number in absent else to_xyxy(row)
        if box is not None and usable(box):
            frames.append(RawFrame(image, number, {track_name(0): box}))
        else:
            counts["absent" if number in absent else "degenerate"] += 1
    return frames


def _xywh_to_xyxy(row: np.ndarray) -> tuple | None:
    if len(row) != 4:
        raise ValueError(f"expected x, y, width, height, got {row.tolist()}")
    x, y, w, h = row.tolist()
    return x, y, x + w, y + h


def _region_to_xyxy(row: np.ndarray) -> tuple | None:
    if not np.isfinite(row).all():
        return None
    x, y, w, h = map(float, get_axis_aligned_bbox(row))
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def _folders_with(root: Path, entry: str) -> list[Path]:
    """Folders below root that have `entry` (a pattern), in the order of list.txt if there is one."""
    if (root / "list.txt").is_file():
        listed = [root / name.strip() for name in (root / "list.txt").read_text(encoding="utf-8-sig").splitlines() if name.strip()]
        for folder in listed:
            if not folder.is_dir():
                logger.warning("sequence %s is left out: list.txt names it, but there is no folder %s", folder.name, folder)
        return [folder for folder in listed if folder.is_dir()]
    return sorted(folder for folder in root.iterdir() if folder.is_dir() and any(folder.glob(entry))) if root.is_dir() else []


def _read_otb(folder: Path, counts: Counter) -> list[RawFrame]:
    """OTB: one file of boxes per target (`groundtruth_rect.txt`, or `.1.txt`, `.2.txt` for two)."""
    merged: dict[int, RawFrame] = {}
    for track, path in enumerate(sorted(folder.glob("groundtruth_rect*.txt"))):
        rows, images = read_numbers(path), list_images(folder / "img")
        if len(images) > len(rows):
            part = protocol_part(folder.name, images, len(rows))[0]
            images = images if part == slice(None) else images[part][:len(rows)]
        for frame in _frames(images, rows, _xywh_to_xyxy, counts):
            earlier = merged[frame.number].boxes if frame.number in merged else {}
            merged[frame.number] = RawFrame(frame.image, frame.number, {**earlier, track_name(track): frame.boxes[track_name(0)]})
    return [merged[number] for number in sorted(merged)]


def _read_vot(folder: Path, counts: Counter) -> list[RawFrame]:
    images = list_images(folder / "color") or list_images(folder)
    return _frames(images, read_numbers(folder / "groundtruth.txt"), _region_to_xyxy, counts)


def _read_got10k(folder: Path, counts: Counter) -> list[RawFrame]:
    rows, label = read_numbers(folder / "groundtruth.txt"), folder / "absence.label"
    flags = read_numbers(label) if label.is_file() else []
    if flags and len(flags) != len(rows):
        raise ValueError(f"{label} has {len(flags)} lines for {len(rows)} lines of ground truth; copy the sequence again")
    absent = [number for number, row in enumerate(flags) if row.any()]
    return _frames(list_images(folder), rows, _xywh_to_xyxy, counts, absent=set(absent))


def _read_lasot(folder: Path, counts: Counter) -> list[RawFrame]:
    """LaSOT: a line per image, and one line each that marks images with the target hidden or out of view."""
    absent, rows = set(), read_numbers(folder / "groundtruth.txt")
    for name in ("full_occlusion.txt", "out_of_view.txt"):
        if (folder / name).is_file():
            flags = np.concatenate(read_numbers(folder / name))
            if len(flags) != len(rows):
                raise ValueError(f"{folder / name} has {len(flags)} flags for {len(rows)} lines of ground truth; copy the sequence again")
            absent |= set(np.flatnonzero(flags).tolist())
    return _frames(list_images(folder / "img"), rows, _xywh_to_xyxy, counts, absent)


def _lasot_folders(root: Path) -> list[Path]:
    """Sequences below the root or below the folders of their classes."""
    return sorted(path.parent for pattern in ("*/groundtruth.txt", "*/*/groundtruth.txt") for path in root.glob(pattern) if (path.parent / "img").is_dir())


def _trackingnet_folders(root: Path) -> list[Path]:
    """The image folders of TRAIN_0, TRAIN_1, ..., or of one of these."""
    parts = [root, *sorted(root.iterdir())] if root.is_dir() else []
    return [part / "frames" / anno.stem for part in parts for anno in sorted((part / "anno").glob("*.txt"))]


def _read_trackingnet(folder: Path, counts: Counter) -> list[RawFrame]:
    return _frames(list_images(folder), read_numbers(folder.parents[1] / "anno" / f"{folder.name}.txt"), _xywh_to_xyxy, counts)


def _read_mot(folder: Path, counts: Counter) -> list[RawFrame]:
    """MOT: lines `frame, id, x, y, width, height, considered, ...` counted from 1; those not considered are left out. Raises ValueError for images whose names
    do not number them.
    """
    found = list_images(folder / "img1")
    numbers = frame_numbers(found)
    if found and numbers is None:
        raise ValueError(f"the names of the images in {folder / 'img1'} have no numbers that tell them apart, such as 000001.jpg")
    images = dict(zip(numbers or (), found, strict=True))
    boxes: dict[int, dict[str, tuple]] = {}
    for row in (row for row in read_numbers(folder / "gt" / "gt.txt") if len(row)):
        if len(row) < 6 or not np.isfinite(row[:2]).all():
            raise ValueError(f"gt.txt: expected frame, id, x, y, width, height, got {row.tolist()}")
        frame, box = int(row[0]), _xywh_to_xyxy(row[2:6])
        if len(row) > 6 and row[6] == 0:
            counts["not considered"] += 1
        elif frame not in images:
            counts["without an image"] += 1
        elif not usable(box):
            counts["degenerate"] += 1
        elif not add_box(boxes.setdefault(frame, {}), track_name(int(row[1])), box):
            counts[SECOND_BOX] += 1
    return [RawFrame(images[frame], frame, boxes[frame]) for frame in sorted(boxes)]


def _davis_folders(root: Path) -> list[Path]:
    folder = root / "JPEGImages" / "480p"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _read_davis(folder: Path, counts: Counter) -> list[RawFrame]:
    """DAVIS: the bounds of everything in the mask. Images without a mask of their name are no part of the sequence."""
    masks = folder.parents[2] / "Annotations" / folder.parent.name / folder.name
    pairs = [(image, masks / f"{image.stem}.png") for image in list_images(folder)]
    pairs = [(image, mask) for image, mask in pairs if mask.is_file()]
    if not pairs:
        raise ValueError(f"no image has a mask in {masks}")
    return _frames([image for image, _ in pairs], [mask for _, mask in pairs], lambda mask: _mask_box(mask, counts), counts)


def _mask_box(path: Path, counts: Counter) -> tuple[float, float, float, float] | None:
    try:
        return mask_bounds(read_image(path))
    except (OSError, ValueError) as error:
        logger.warning("left out: %s", error)
        counts["unreadable masks"] += 1
        return None


def mask_bounds(mask: np.ndarray) -> tuple[float, float, float, float] | None:
    """xyxy around the pixels that are not 0, the far side one pixel behind the last; None for an empty mask."""
    inside = mask.any(axis=2) if mask.ndim == 3 else mask > 0
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)) if len(columns) else None


LAYOUTS = {
    "otb": Layout(lambda root: _folders_with(root, "groundtruth_rect*.txt"), _read_otb, "<sequence>/img/*.jpg and groundtruth_rect.txt"),
    "vot": Layout(lambda root: _folders_with(root, "groundtruth.txt"), _read_vot, "<sequence>/color/*.jpg and groundtruth.txt"),
    "davis": Layout(_davis_folders, _read_davis, "JPEGImages/480p/<sequence>/*.jpg and Annotations/480p/<sequence>/*.png"),
    "got10k": Layout(lambda root: _folders_with(root, "groundtruth.txt"), _read_got10k, "<sequence>/*.jpg and groundtruth.txt"),
    "lasot": Layout(_lasot_folders, _read_lasot, "<class>/<sequence>/img/*.jpg and groundtruth.txt"),
    "trackingnet": Layout(_trackingnet_folders, _read_trackingnet, "TRAIN_0/frames/<video>/*.jpg and TRAIN_0/anno/<video>.txt"),
    "mot": Layout(lambda root: _folders_with(root, "gt/gt.txt"), _read_mot, "<sequence>/img1/*.jpg and gt/gt.txt"),
}
