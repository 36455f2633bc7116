"""Annotated images, each a video of one frame: Pascal VOC xml and YOLO txt.

A folder whose YOLO lines have track numbers is one video.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pysot.datasets.raw.imagenet import read_xml
from pysot.datasets.raw.video import (
    SECOND_BOX,
    Box,
    RawFrame,
    RawSet,
    RawVideo,
    add_box,
    is_valid_box,
    split_of,
    track_name,
)
from pysot.utils.image import image_size
from pysot.utils.names import frame_numbers, is_image_name, list_images
from pysot.utils.numbers import number_lines

logger = logging.getLogger(__name__)
SPLITS = ("val", "train")
# Words in the names of parts; other folders of images are videos.
_PART = re.compile(r"(train|training|val|valid|validation|test|testing)\d*")
LabelLines = list[tuple[int | None, Box]]  # track, or None without one, and box


def voc_splits(root: Path) -> list[str]:
    """Return the splits with a list in ImageSets/Main; without lists, all images are "train".

    Raises FileNotFoundError for another layout.
    """
    if not (Path(root) / "Annotations").is_dir():
        raise FileNotFoundError(
            f"no Pascal VOC layout in {root}: expected Annotations/*.xml and JPEGImages/*.jpg; name the folder that "
            "holds it"
        )
    return [split for split in SPLITS if (Path(root) / "ImageSets" / "Main" / f"{split}.txt").is_file()] or ["train"]


def iter_voc(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Yield the images `<split>/<stem>`; a track is the index of an object in its xml.

    Unreadable files are logged and counted.
    """
    root = Path(root)
    list_file = root / "ImageSets" / "Main" / f"{split}.txt"
    if list_file.is_file():
        lines = list_file.read_text(encoding="utf-8-sig").splitlines()
        stems = [line.split()[0] for line in lines if line.strip()]
    else:
        stems = sorted(path.stem for path in (root / "Annotations").glob("*.xml"))
    images: dict[str, Path] = {}
    for path in list_images(root / "JPEGImages"):
        if images.setdefault(path.stem, path) != path:
            raise ValueError(
                f"{images[path.stem]} and {path} have the same name without suffix, so they share one xml; rename one"
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
            boxes = {track_name(item.index): item.box for item in objects}
            yield RawVideo(f"{split}/{stem}", (RawFrame(images[stem], 0, boxes),))


@dataclass(frozen=True)
class YoloPart:
    """Part of a YOLO set: its name, the folder of its images, and the folder of the labels, with the same layout.

    Images lie at any depth below their folder if the part is `deep`, else directly in it.
    """

    name: str
    images: Path
    labels: Path
    deep: bool = True


def yolo_parts(root: Path) -> list[YoloPart]:
    """Return the parts of a set in any of its forms.

    The forms are images/<part> and labels/<part> (Ultralytics), <part>/images and <part>/labels (Roboflow),
    obj_<part>_data with both (CVAT's YOLO 1.1), or images and labels alone. Raises FileNotFoundError if there is none.
    """
    root = Path(root)
    ultralytics = [
        YoloPart(folder.name, folder, root / "labels" / folder.name)
        for folder in _subfolders(root / "images")
        if (root / "labels" / folder.name).is_dir()
    ]
    roboflow = [
        YoloPart(folder.name, folder / "images", folder / "labels")
        for folder in _subfolders(root)
        if (folder / "images").is_dir() and (folder / "labels").is_dir()
    ]
    cvat = [
        YoloPart(match[1], folder, folder)
        for folder in _subfolders(root)
        if (match := re.fullmatch(r"obj_(.+)_data", folder.name))
    ]
    plain = []
    if (root / "images").is_dir() and (root / "labels").is_dir():
        plain = [YoloPart("train", root / "images", root / "labels")]
    if any(_is_part(part.name) for part in ultralytics):
        # Then all folders are parts, and the images beside them are one more part.
        plain = [replace(part, deep=False) for part in plain if list_images(part.images)]
    else:
        ultralytics = []
    parts = ultralytics + plain + roboflow + cvat
    if not parts:
        raise FileNotFoundError(
            f"no YOLO layout in {root}: expected images/<...>.jpg and labels/<...>.txt, train/images and train/labels, "
            "or obj_train_data; name the folder that holds it"
        )
    return parts


def _is_part(name: str) -> bool:
    return any(_PART.fullmatch(word) for word in re.split(r"[^a-z0-9]+", name.lower()))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


def yolo_splits(root: Path) -> list[str]:
    """Return the splits of the available parts. Raises FileNotFoundError for another layout."""
    available = {split_of(part.name) for part in yolo_parts(root)}
    return [split for split in SPLITS if split in available]


def iter_yolo(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Yield the videos of a YOLO set.

    Lines are `class x y width height [track]`, with centre and size as fractions of the image, or a polygon `class x1
    y1 x2 y2 x3 y3 ...`, which is read as its bounds. A folder whose lines all have a track is one video; other images
    are a video each. Unreadable files, and a second box of a track in an image, are logged and counted.
    """
    for part in yolo_parts(root):
        if split_of(part.name) == split:
            yield from _yolo_videos(part, counts)


def _yolo_videos(part: YoloPart, counts: Counter) -> Iterator[RawVideo]:
    files = part.images.rglob("*") if part.deep else part.images.glob("*")
    folders = sorted({path.parent for path in files if is_image_name(path.name)})
    for folder in folders:
        inside = folder.relative_to(part.images)
        labels, name = part.labels / inside, "/".join((part.name, *inside.parts))
        labelled = [(image, _yolo_lines(image, labels / f"{image.stem}.txt", counts)) for image in list_images(folder)]
        labelled = [(image, lines) for image, lines in labelled if lines]
        if labelled and all(track is not None for _, lines in labelled for track, _ in lines):
            yield from _tracked_videos(name, labelled, counts)
        else:
            for image, lines in labelled:
                boxes = {track_name(index): box for index, (_, box) in enumerate(lines)}
                yield RawVideo(f"{name}/{image.stem}", (RawFrame(image, 0, boxes),))


def _tracked_videos(name: str, labelled: list[tuple[Path, LabelLines]], counts: Counter) -> Iterator[RawVideo]:
    """Yield the video of a folder; or several, if the text before the numbers in image names separates them."""
    groups: dict[str, list[tuple[Path, LabelLines]]] = {}
    if frame_numbers([image for image, _ in labelled]) is None:
        for image, lines in labelled:
            groups.setdefault(re.sub(r"[0-9]+$", "", image.stem), []).append((image, lines))
    several = len(groups) > 1 and all(
        frame_numbers([image for image, _ in group]) is not None for group in groups.values()
    )
    for prefix, group in groups.items() if several else [("", labelled)]:
        frames = (
            RawFrame(image, number, _boxes_by_track(image, lines, counts))
            for number, (image, lines) in enumerate(group)
        )
        yield RawVideo(f"{name}/{prefix.strip('_- .') or 'video'}" if several else name, tuple(frames))


def _boxes_by_track(image: Path, lines: LabelLines, counts: Counter) -> dict[str, Box]:
    boxes: dict[str, Box] = {}
    for track, box in lines:
        assert track is not None  # checked by _yolo_videos
        if not add_box(boxes, track_name(track), box):
            counts[SECOND_BOX] += 1
            logger.warning("left out: the labels of %s have a second box of track %d", image, track)
    return boxes


def _yolo_lines(image: Path, label: Path, counts: Counter) -> LabelLines:
    """Return the track (None without one) and the box, xyxy in pixels, of each line."""
    if not label.is_file():
        counts["without a label file"] += 1
        return []
    try:
        width, height = image_size(image)
        rows = [row.tolist() for row in number_lines(label, allow_blank=True) if len(row)]
    except (OSError, ValueError) as error:
        logger.warning("left out: the labels of %s: %s", image, error)
        counts["unreadable labels or images"] += 1
        return []
    lines: LabelLines = []
    for row in rows:
        is_polygon = len(row) >= 7 and len(row) % 2
        if len(row) not in (5, 6) and not is_polygon:
            counts["malformed lines"] += 1
            continue
        x, y, w, h = _points_to_cxcywh(row[1::2], row[2::2]) if is_polygon else row[1:5]
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        if not is_valid_box(box) or max(w, h) > 1.001:
            counts["degenerate"] += 1
            continue
        has_track = len(row) == 6 and row[5].is_integer() and row[5] >= 0
        lines.append((int(row[5]) if has_track else None, box))
    return lines


def _points_to_cxcywh(xs: list[float], ys: list[float]) -> Box:
    """Return centre and size of the bounds of points."""
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, max(xs) - min(xs), max(ys) - min(ys)


VOC = RawSet("voc", voc_splits, iter_voc, "Annotations/*.xml and JPEGImages/*.jpg", frame_range=1)
YOLO = RawSet(
    "yolo",
    yolo_splits,
    iter_yolo,
    "images/<...>.jpg and labels/<...>.txt, train/images and train/labels (Roboflow), or obj_train_data (CVAT)",
)
