"""Annotated images, each a video of one frame: Pascal VOC xml and YOLO txt. YOLO lines with a track number make a video of a folder."""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pysot.datasets.raw import RawFrame, RawVideo, track_name, usable
from pysot.datasets.raw_imagenet import read_xml
from pysot.datasets.raw_sequences import list_images
from pysot.utils.image import IMAGE_SUFFIXES, image_size

logger = logging.getLogger(__name__)
SPLITS = ("val", "train")


def voc_splits(root: Path) -> list[str]:
    """The lists of ImageSets/Main; all of it is "train" where there are none. Raises FileNotFoundError for another layout."""
    if not (Path(root) / "Annotations").is_dir():
        raise FileNotFoundError(f"no Pascal VOC layout in {root}: expected Annotations/*.xml and JPEGImages/*.jpg; give its folder with --root")
    return [split for split in SPLITS if (Path(root) / "ImageSets" / "Main" / f"{split}.txt").is_file()] or ["train"]


def iter_voc(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Images `<split>/<stem>`; a track is the place of an object in its xml. What can't be read is named in the log and counted."""
    root, listed = Path(root), Path(root) / "ImageSets" / "Main" / f"{split}.txt"
    stems = [line.split()[0] for line in listed.read_text(encoding="utf-8-sig").splitlines() if line.strip()] if listed.is_file() else sorted(
        path.stem for path in (root / "Annotations").glob("*.xml"))
    images = {path.stem: path for path in list_images(root / "JPEGImages")}
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
            yield RawVideo(f"{split}/{stem}", (RawFrame(images[stem], 0, {track_name(thing.index): thing.box for thing in objects}),))


def yolo_splits(root: Path) -> list[str]:
    """The folders images/train and images/val; all of `images` is "train" where there are none. Raises FileNotFoundError for another layout."""
    if not (Path(root) / "images").is_dir() or not (Path(root) / "labels").is_dir():
        raise FileNotFoundError(f"no YOLO layout in {root}: expected images/<...>.jpg and labels/<...>.txt; give its folder with --root")
    return [split for split in SPLITS if (Path(root) / "images" / split).is_dir()] or ["train"]


def iter_yolo(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Lines `class x y width height [track]`, middle and size as shares of the image. A folder whose lines all have a track is one video; other images
    are a video each. What can't be read is named in the log and counted.
    """
    base = Path(root) / "images"
    top = base / split if (base / split).is_dir() else base
    folders = sorted({path.parent for path in top.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")})
    for folder in folders:
        labels = Path(root) / "labels" / folder.relative_to(base)
        name = "/".join((split, *folder.relative_to(top).parts))
        read = [(image, _yolo_lines(image, labels / f"{image.stem}.txt", counts)) for image in list_images(folder)]
        read = [(image, lines) for image, lines in read if lines]
        if read and all(track is not None for _, lines in read for track, _ in lines):
            yield RawVideo(name, tuple(RawFrame(image, number, {track_name(track): box for track, box in lines}) for number, (image, lines) in enumerate(read)))
        else:
            for image, lines in read:
                yield RawVideo(f"{name}/{image.stem}", (RawFrame(image, 0, {track_name(place): box for place, (_, box) in enumerate(lines)}),))


def _yolo_lines(image: Path, label: Path, counts: Counter) -> list[tuple[int | None, tuple]]:
    """Track, if the line has one, and xyxy in pixels."""
    if not label.is_file():
        counts["without a label file"] += 1
        return []
    try:
        width, height = image_size(image)
        rows = [[float(word) for word in line.split()] for line in label.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        logger.warning("left out: %s: %s", label, error)
        counts["unreadable labels or images"] += 1
        return []
    found = []
    for row in rows:
        if len(row) not in (5, 6):
            counts["malformed lines"] += 1
            continue
        x, y, w, h = row[1:5]
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        if not usable(box) or max(w, h) > 1.001:
            counts["degenerate"] += 1
            continue
        found.append((int(row[5]) if len(row) == 6 and row[5].is_integer() and row[5] >= 0 else None, box))
    return found
