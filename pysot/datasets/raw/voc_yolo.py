"""Annotated images, each a video of one frame: Pascal VOC xml and YOLO txt. YOLO lines with a track number make a video of a folder."""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pysot.datasets.raw.imagenet import read_xml
from pysot.datasets.raw.video import SECOND_BOX, RawFrame, RawSet, RawVideo, add_box, split_of, track_name, usable
from pysot.utils.image import image_size
from pysot.utils.names import frame_numbers, is_image_name, list_images
from pysot.utils.numbers import number_lines

logger = logging.getLogger(__name__)
SPLITS = ("val", "train")
_PART = re.compile(
    r"(train|training|val|valid|validation|test|testing)\d*"
)  # words in the names of parts; other folders of images are videos


def voc_splits(root: Path) -> list[str]:
    """The lists of ImageSets/Main; all of it is "train" where there are none. Raises FileNotFoundError for another layout."""
    if not (Path(root) / "Annotations").is_dir():
        raise FileNotFoundError(
            f"no Pascal VOC layout in {root}: expected Annotations/*.xml and JPEGImages/*.jpg; name the folder that holds it"
        )
    return [split for split in SPLITS if (Path(root) / "ImageSets" / "Main" / f"{split}.txt").is_file()] or ["train"]


def iter_voc(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Images `<split>/<stem>`; a track is the place of an object in its xml. What can't be read is named in the log and counted."""
    root, listed = Path(root), Path(root) / "ImageSets" / "Main" / f"{split}.txt"
    stems = (
        [line.split()[0] for line in listed.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        if listed.is_file()
        else sorted(path.stem for path in (root / "Annotations").glob("*.xml"))
    )
    images: dict[str, Path] = {}
    for path in list_images(root / "JPEGImages"):
        if images.setdefault(path.stem, path) != path:
            raise ValueError(
                f"{images[path.stem]} and {path} have one name without its ending, so that their xml is the same; rename one"
            )
    for stem in stems:
        if stem not in images:
            counts["without an image"] += 1
            continue
        try:
            objects = read_xml(root / "Annotations" / f"{stem}.xml", counts)
        except (OSError, ValueError) as error:
            logger.warning("left out: %s", error)
            counts["unreadable xml"] += 1
            continue
        if objects:
            yield RawVideo(
                f"{split}/{stem}",
                (RawFrame(images[stem], 0, {track_name(thing.index): thing.box for thing in objects}),),
            )


@dataclass(frozen=True)
class YoloPart:
    """A part of a YOLO set: its name, the folder below which its images lie, or in which alone where it is not `deep`, and that of the labels in the same
    places.
    """

    name: str
    images: Path
    labels: Path
    deep: bool = True


def yolo_parts(root: Path) -> list[YoloPart]:
    """The parts of a set, in any of the forms: images/<part> and labels/<part> (Ultralytics), <part>/images and <part>/labels (Roboflow), obj_<part>_data with
    both (CVAT's YOLO 1.1), or images and labels alone. Raises FileNotFoundError if there is none.
    """
    root = Path(root)
    inner = [
        YoloPart(folder.name, folder, root / "labels" / folder.name)
        for folder in _folders(root / "images")
        if (root / "labels" / folder.name).is_dir()
    ]
    outer = [
        YoloPart(folder.name, folder / "images", folder / "labels")
        for folder in _folders(root)
        if (folder / "images").is_dir() and (folder / "labels").is_dir()
    ]
    beside = [
        YoloPart(match[1], folder, folder)
        for folder in _folders(root)
        if (match := re.fullmatch(r"obj_(.+)_data", folder.name))
    ]
    plain = (
        [YoloPart("train", root / "images", root / "labels")]
        if (root / "images").is_dir() and (root / "labels").is_dir()
        else []
    )
    if any(
        _is_part(part.name) for part in inner
    ):  # then all folders are parts, and what lies beside them is one as well
        plain = [replace(part, deep=False) for part in plain if list_images(part.images)]
    else:
        inner = []
    found = inner + plain + outer + beside
    if not found:
        raise FileNotFoundError(
            f"no YOLO layout in {root}: expected images/<...>.jpg and labels/<...>.txt, train/images and train/labels, or obj_train_data; "
            "name the folder that holds it"
        )
    return found


def _is_part(name: str) -> bool:
    return any(_PART.fullmatch(word) for word in re.split(r"[^a-z0-9]+", name.lower()))


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


def yolo_splits(root: Path) -> list[str]:
    """The splits of the parts that are there. Raises FileNotFoundError for another layout."""
    found = {split_of(part.name) for part in yolo_parts(root)}
    return [split for split in SPLITS if split in found]


def iter_yolo(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Lines `class x y width height [track]`, middle and size as shares of the image, or `class x1 y1 x2 y2 x3 y3 ...`, a polygon, which counts as its bounds.
    A folder whose lines all have a track is one video; other images are a video each. What can't be read, and a second box of a track in an image, is named
    in the log and counted.
    """
    for part in yolo_parts(root):
        if split_of(part.name) == split:
            yield from _yolo_videos(part, counts)


def _yolo_videos(part: YoloPart, counts: Counter) -> Iterator[RawVideo]:
    files = part.images.rglob("*") if part.deep else part.images.glob("*")
    folders = sorted({path.parent for path in files if is_image_name(path.name)})
    for folder in folders:
        labels, name = (
            part.labels / folder.relative_to(part.images),
            "/".join((part.name, *folder.relative_to(part.images).parts)),
        )
        read = [(image, _yolo_lines(image, labels / f"{image.stem}.txt", counts)) for image in list_images(folder)]
        read = [(image, lines) for image, lines in read if lines]
        if read and all(track is not None for _, lines in read for track, _ in lines):
            yield from _tracked_videos(name, read, counts)
        else:
            for image, lines in read:
                yield RawVideo(
                    f"{name}/{image.stem}",
                    (RawFrame(image, 0, {track_name(place): box for place, (_, box) in enumerate(lines)}),),
                )


def _tracked_videos(name: str, read: list[tuple[Path, list]], counts: Counter) -> Iterator[RawVideo]:
    """The video of a folder; or the videos, where images of several lie in it, as the text before their numbers says."""
    groups: dict[str, list] = {}
    if frame_numbers([image for image, _ in read]) is None:
        for image, lines in read:
            groups.setdefault(re.sub(r"[0-9]+$", "", image.stem), []).append((image, lines))
    several = len(groups) > 1 and all(
        frame_numbers([image for image, _ in found]) is not None for found in groups.values()
    )
    for text, found in groups.items() if several else [("", read)]:
        frames = (
            RawFrame(image, number, _tracked(image, lines, counts)) for number, (image, lines) in enumerate(found)
        )
        yield RawVideo(f"{name}/{text.strip('_- .') or 'video'}" if several else name, tuple(frames))


def _tracked(image: Path, lines: list[tuple[int, tuple]], counts: Counter) -> dict[str, tuple]:
    boxes: dict[str, tuple] = {}
    for track, box in lines:
        if not add_box(boxes, track_name(track), box):
            counts[SECOND_BOX] += 1
            logger.warning("left out: the labels of %s have a second box of track %d", image, track)
    return boxes


def _yolo_lines(image: Path, label: Path, counts: Counter) -> list[tuple[int | None, tuple]]:
    """Track, if the line has one, and xyxy in pixels."""
    if not label.is_file():
        counts["without a label file"] += 1
        return []
    try:
        width, height = image_size(image)
        rows = [row.tolist() for row in number_lines(label, blank=True) if len(row)]
    except (OSError, ValueError) as error:
        logger.warning("left out: the labels of %s: %s", image, error)
        counts["unreadable labels or images"] += 1
        return []
    found = []
    for row in rows:
        polygon = len(row) >= 7 and len(row) % 2
        if len(row) not in (5, 6) and not polygon:
            counts["malformed lines"] += 1
            continue
        x, y, w, h = _around(row[1::2], row[2::2]) if polygon else row[1:5]
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        if not usable(box) or max(w, h) > 1.001:
            counts["degenerate"] += 1
            continue
        found.append((int(row[5]) if len(row) == 6 and row[5].is_integer() and row[5] >= 0 else None, box))
    return found


def _around(xs: list[float], ys: list[float]) -> tuple[float, float, float, float]:
    """Middle and size of the box around points."""
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, max(xs) - min(xs), max(ys) - min(ys)


VOC = RawSet("voc", voc_splits, iter_voc, "Annotations/*.xml and JPEGImages/*.jpg", reach=1)
YOLO = RawSet(
    "yolo",
    yolo_splits,
    iter_yolo,
    "images/<...>.jpg and labels/<...>.txt, train/images and train/labels (Roboflow), or obj_train_data (CVAT)",
)
