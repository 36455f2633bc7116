"""CVAT's own xml, annotations.xml, in its two forms.

Tracks of "CVAT for video 1.1" have a box for each frame. Each image of "CVAT for images 1.1" is a video of one frame.

Images lie in `images` (as exported), in a folder with the name of the video, or beside the xml. A frame's number is the
one in its image's name.
"""

import math
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pysot.datasets.raw.video import (
    SECOND_BOX,
    Box,
    RawFrame,
    RawSet,
    RawVideo,
    add_box,
    find_image,
    is_valid_box,
    split_of,
    track_name,
)
from pysot.utils.names import frame_numbers, list_images

FILE_NAME = "annotations.xml"
IGNORED_SHAPES = ("polyline", "points", "mask", "ellipse", "cuboid", "skeleton")
_CVAT_IMAGE_NAME = re.compile(r"frame_\d{6,}")


def cvat_splits(root: Path) -> list[str]:
    """Return the splits of the subsets in the xml files of a folder. Raises FileNotFoundError if there is no xml."""
    available = {split for path in _xml_files(root) for split in _splits(_read(path))}
    return [split for split in ("val", "train") if split in available] or ["train"]


def _xml_files(root: Path) -> list[Path]:
    root = Path(root)
    files = sorted(root.glob(FILE_NAME)) or sorted(root.glob(f"*/{FILE_NAME}")) or sorted(root.glob("*.xml"))
    if not files:
        raise FileNotFoundError(
            f"no {FILE_NAME} in {root.absolute()} or the folders in it; name the folder of CVAT's export"
        )
    return files


def _read(path: Path) -> ET.Element:
    try:
        tree = ET.parse(path).getroot()
    except (ET.ParseError, UnicodeDecodeError, LookupError, ValueError) as error:
        raise ValueError(f"{path} is not complete XML ({error}); export it again") from None
    if tree.tag != "annotations":
        raise ValueError(f"{path} is not an export of CVAT: expected it to begin with <annotations>, got <{tree.tag}>")
    return tree


def _subset(item: ET.Element, tree: ET.Element) -> str:
    return item.get("subset") or tree.findtext("meta/task/subset") or ""


def _splits(tree: ET.Element) -> set[str]:
    return {split_of(_subset(item, tree)) for item in (*tree.findall("track"), *tree.findall("image"))}


def iter_cvat(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Yield the videos `<split>/<video>` and the images `<split>/<name>` of the xml files of a folder.

    Boxes and polygons are read, polygons as their bounds. Frames in which a track is outside, and other shapes, are
    left out and counted. Raises ValueError for an xml of another layout.
    """
    videos, files = [], _xml_files(root)
    for path in files:
        videos += [(path, *video) for video in _videos(path, split, counts)]
    known = Counter(name for _, name, _ in videos)
    for path, name, frames in videos:
        # Several videos with the same name are named by the folders of their xml as well.
        unique = known[name] == 1 or len(files) == 1
        yield RawVideo(f"{split}/{name}" if unique else f"{split}/{path.parent.name}/{name}", frames)


def _videos(path: Path, split: str, counts: Counter) -> Iterator[tuple[str, tuple[RawFrame, ...]]]:
    """Yield the name and frames of each video of an xml."""
    tree = _read(path)
    tracks_by_task: dict[tuple[str, str], list[ET.Element]] = {}
    for track in tree.findall("track"):
        if split_of(_subset(track, tree)) == split:
            tracks_by_task.setdefault((_subset(track, tree), track.get("task_id") or ""), []).append(track)
    for (subset, task), tracks in tracks_by_task.items():
        source = _source(tree, task)
        images = _images(path, tree, subset, source)
        name = source or (path.parent.name if path.stem == "annotations" else path.stem)
        if frames := _frames(path, tracks, images, counts):
            yield name, frames
    for image in tree.findall("image"):
        if split_of(_subset(image, tree)) == split:
            boxes = {
                track_name(index): box
                for index, shape in enumerate(image)
                if (box := _bounds(shape, counts, path)) is not None
            }
            if boxes:
                file = find_image(path.parent, (_subset(image, tree),), image.get("name", ""))
                yield Path(image.get("name", "")).with_suffix("").as_posix(), (RawFrame(file, 0, boxes),)


def _source(tree: ET.Element, task: str) -> str:
    """Return the stem of the video that a task was made from; without one, that of the task's name."""
    tasks = [element for element in tree.iter("task") if not task or element.findtext("id") == task]
    for element in tasks:
        for key in ("source", "name"):
            if name := (element.findtext(key) or "").strip():
                return Path(name).stem
    return f"task{task}" if task else ""


def _images(path: Path, tree: ET.Element, subset: str, source: str) -> dict[int, Path]:
    """Return the images of a video by frame number.

    The number is the one in the image's name if CVAT (frame_000012) or extract_frames.py (from 0) named the images.
    Otherwise it is the image's index, if there are as many images as the task or job has frames. Raises ValueError if
    neither applies.
    """
    root = path.parent
    folders = [f"images/{subset}/{source}", f"images/{subset}"] if subset else []
    folders += [f"images/{source}", source] if source else []
    folders += ["images", "."]
    images: list[Path] = next((found for folder in folders if (found := list_images(root / folder))), [])
    numbers = frame_numbers(images)
    if numbers and (all(_CVAT_IMAGE_NAME.fullmatch(image.stem) for image in images) or min(numbers) == 0):
        return dict(zip(numbers, images, strict=True))
    sizes = {int(size.text or "") for owner in ("task", "job") for size in tree.iterfind(f"meta/{owner}/size")}
    if images and sizes != {len(images)}:
        known = f"has {', '.join(map(str, sorted(sizes)))} frames" if sizes else "does not say how many frames it has"
        raise ValueError(
            f"{path} {known}, {images[0].parent} has {len(images)} images, and their names neither start at number 0 "
            "nor have CVAT's form frame_000000, so frames and images cannot be matched; export it with its images, one "
            "task at a time"
        )
    return dict(enumerate(images))


def _frames(path: Path, tracks: list[ET.Element], images: dict[int, Path], counts: Counter) -> tuple[RawFrame, ...]:
    boxes: dict[int, dict[str, Box]] = {}
    for index, track in enumerate(tracks):
        for shape in track:
            number = int(shape.get("frame", -1))
            outside = shape.get("outside") == "1"
            box = None if outside else _bounds(shape, counts, path)
            if box is None:
                counts["outside"] += outside
            elif number not in images:
                counts["without an image"] += 1
            elif not add_box(boxes.setdefault(number, {}), track_name(int(track.get("id") or index)), box):
                counts[SECOND_BOX] += 1
    return tuple(RawFrame(images[number], number, boxes[number]) for number in sorted(boxes))


def _bounds(shape: ET.Element, counts: Counter, path: Path) -> Box | None:
    """Return the xyxy bounds of a polygon or of a box, which may have a `rotation` in degrees.

    Other shapes and degenerate ones are counted; they give None.
    """
    try:
        if shape.tag == "box":
            x1, y1, x2, y2 = (float(shape.get(key, "")) for key in ("xtl", "ytl", "xbr", "ybr"))
            box = _rotated_bounds((x1, y1, x2, y2), math.radians(float(shape.get("rotation") or 0)))
        elif shape.tag == "polygon":
            points = [tuple(map(float, point.split(","))) for point in shape.get("points", "").split(";")]
            box = (
                min(x for x, _ in points),
                min(y for _, y in points),
                max(x for x, _ in points),
                max(y for _, y in points),
            )
        else:
            counts["shapes other than boxes and polygons"] += shape.tag in IGNORED_SHAPES
            return None
    except ValueError:
        raise ValueError(f"{path}: a {shape.tag} has {dict(shape.attrib)}; export it again") from None
    if is_valid_box(box):
        return box
    counts["degenerate"] += 1
    return None


def _rotated_bounds(box: Box, angle: float) -> Box:
    """Return the bounds of an xyxy box that is rotated around its centre by `angle`, in radians."""
    if not angle:
        return box
    x1, y1, x2, y2 = box
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    width, height = (x2 - x1) * cos + (y2 - y1) * sin, (x2 - x1) * sin + (y2 - y1) * cos
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    return cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2


CVAT = RawSet("cvat", cvat_splits, iter_cvat, "annotations.xml (CVAT for video or images) and images/")
