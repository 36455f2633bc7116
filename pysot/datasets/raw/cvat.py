"""CVAT's own xml, annotations.xml: "CVAT for video 1.1", whose tracks have a box for each frame, and "CVAT for images 1.1", whose images are videos of one
frame.

Images lie in `images`, as they are exported, in a folder that is called as the video, or beside the xml; a frame's number is that in its image's name.
"""

import math
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pysot.datasets.raw.video import (
    SECOND_BOX,
    RawFrame,
    RawSet,
    RawVideo,
    add_box,
    find_image,
    split_of,
    track_name,
    usable,
)
from pysot.utils.names import frame_numbers, list_images

NAME = "annotations.xml"
_OWN_NAME = re.compile(r"frame_\d{6,}")


def cvat_splits(root: Path) -> list[str]:
    """The splits of the subsets that the xml files of a folder name. Raises FileNotFoundError if there is no xml."""
    found = {split for path in _files(root) for split in _splits(_read(path))}
    return [split for split in ("val", "train") if split in found] or ["train"]


def _files(root: Path) -> list[Path]:
    found = sorted(Path(root).glob(NAME)) or sorted(Path(root).glob(f"*/{NAME}")) or sorted(Path(root).glob("*.xml"))
    if not found:
        raise FileNotFoundError(
            f"no {NAME} in {Path(root).absolute()} or the folders in it; name the folder of CVAT's export"
        )
    return found


def _read(path: Path) -> ET.Element:
    try:
        tree = ET.parse(path).getroot()
    except (ET.ParseError, UnicodeDecodeError, LookupError, ValueError) as error:
        raise ValueError(f"{path} is not whole XML ({error}); export it again") from None
    if tree.tag != "annotations":
        raise ValueError(f"{path} is no export of CVAT: it begins with <{tree.tag}>, expected <annotations>")
    return tree


def _subset(item: ET.Element, tree: ET.Element) -> str:
    return item.get("subset") or tree.findtext("meta/task/subset") or ""


def _splits(tree: ET.Element) -> set[str]:
    return {split_of(_subset(item, tree)) for item in (*tree.findall("track"), *tree.findall("image"))}


def iter_cvat(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Videos of the xml files of a folder, `<split>/<video>`, and images `<split>/<name>`. Boxes and polygons count, polygons as their bounds; frames in which
    a track is outside are left out and counted, as are other shapes. Raises ValueError for an xml of another layout.
    """
    found, files = [], _files(root)
    for path in files:
        found += [(path, *video) for video in _videos(path, split, counts)]
    known = Counter(name for _, name, _ in found)
    for path, name, frames in found:  # videos of one name are told apart by the folders of their xml
        yield RawVideo(
            f"{split}/{name}" if known[name] == 1 or len(files) == 1 else f"{split}/{path.parent.name}/{name}", frames
        )


def _videos(path: Path, split: str, counts: Counter) -> Iterator[tuple[str, tuple[RawFrame, ...]]]:
    """(name, frames) of an xml."""
    tree, tracks = _read(path), {}
    for track in tree.findall("track"):
        if split_of(_subset(track, tree)) == split:
            tracks.setdefault((_subset(track, tree), track.get("task_id") or ""), []).append(track)
    for (subset, task), found in tracks.items():
        source = _source(tree, task)
        images, name = (
            _images(path, tree, subset, source),
            source or (path.parent.name if path.stem == "annotations" else path.stem),
        )
        if frames := _frames(path, found, images, counts):
            yield name, frames
    for image in tree.findall("image"):
        if split_of(_subset(image, tree)) == split:
            boxes = {
                track_name(place): box
                for place, shape in enumerate(image)
                if (box := _bounds(shape, counts, path)) is not None
            }
            if boxes:
                file = find_image(path.parent, (_subset(image, tree),), image.get("name", ""))
                yield Path(image.get("name", "")).with_suffix("").as_posix(), (RawFrame(file, 0, boxes),)


def _source(tree: ET.Element, task: str) -> str:
    """The name, without ending, of the video that a task was made from; of the task, where there is none."""
    tasks = [found for found in tree.iter("task") if not task or found.findtext("id") == task]
    return next(
        (
            Path(name).stem
            for found in tasks
            for key in ("source", "name")
            if (name := (found.findtext(key) or "").strip())
        ),
        f"task{task}" * bool(task),
    )


def _images(path: Path, tree: ET.Element, subset: str, source: str) -> dict[int, Path]:
    """The images of a video by number: that in their names where CVAT (frame_000012) or extract_frames.py (from 0) gave them, else their place, if there are as
    many as the task or job has. Raises ValueError where neither is so.
    """
    folder = path.parent
    places = (
        ([f"images/{subset}/{source}", f"images/{subset}"] if subset else [])
        + ([f"images/{source}", source] if source else [])
        + ["images", "."]
    )
    images = next((found for place in places if (found := list_images(folder / place))), [])
    numbers = frame_numbers(images)
    if numbers and (all(_OWN_NAME.fullmatch(image.stem) for image in images) or min(numbers) == 0):
        return dict(zip(numbers, images, strict=True))
    sizes = {int(size.text) for what in ("task", "job") for size in tree.iterfind(f"meta/{what}/size")}
    if images and sizes != {len(images)}:
        known = (
            f"is of {', '.join(map(str, sorted(sizes)))} frames" if sizes else "does not say of how many frames it is"
        )
        raise ValueError(
            f"{path} {known}, {images[0].parent} has {len(images)} images, and their names do not begin with number 0 and are no frame_000000, "
            "so it cannot be told which is which; export it with its images, one task at a time"
        )
    return dict(enumerate(images))


def _frames(path: Path, tracks: list[ET.Element], images: dict[int, Path], counts: Counter) -> tuple[RawFrame, ...]:
    found: dict[int, dict[str, tuple]] = {}
    for place, track in enumerate(tracks):
        for shape in track:
            number, box = (
                int(shape.get("frame", -1)),
                None if shape.get("outside") == "1" else _bounds(shape, counts, path),
            )
            if box is None:
                counts["outside"] += shape.get("outside") == "1"
            elif number not in images:
                counts["without an image"] += 1
            elif not add_box(found.setdefault(number, {}), track_name(int(track.get("id") or place)), box):
                counts[SECOND_BOX] += 1
    return tuple(RawFrame(images[number], number, found[number]) for number in sorted(found))


def _bounds(shape: ET.Element, counts: Counter, path: Path) -> tuple[float, float, float, float] | None:
    """xyxy around a box, which may be turned by `rotation` degrees, or a polygon; None, counted, for another shape and for one without inside."""
    try:
        if shape.tag == "box":
            x1, y1, x2, y2 = (float(shape.get(key)) for key in ("xtl", "ytl", "xbr", "ybr"))
            box = _turned((x1, y1, x2, y2), math.radians(float(shape.get("rotation") or 0)))
        elif shape.tag == "polygon":
            points = [tuple(map(float, point.split(","))) for point in shape.get("points").split(";")]
            box = (
                min(x for x, _ in points),
                min(y for _, y in points),
                max(x for x, _ in points),
                max(y for _, y in points),
            )
        else:
            counts["shapes that are no box or polygon"] += shape.tag in (
                "polyline",
                "points",
                "mask",
                "ellipse",
                "cuboid",
                "skeleton",
            )
            return None
    except (TypeError, ValueError, AttributeError):
        raise ValueError(f"{path}: a {shape.tag} has {dict(shape.attrib)}; export it again") from None
    if usable(box):
        return box
    counts["degenerate"] += 1
    return None


def _turned(box: tuple, angle: float) -> tuple:
    """Bounds of a box that is turned around its centre by `angle`, in radians."""
    x1, y1, x2, y2 = box
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    width, height = (x2 - x1) * cos + (y2 - y1) * sin, (x2 - x1) * sin + (y2 - y1) * cos
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    return (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2) if angle else box


CVAT = RawSet("cvat", cvat_splits, iter_cvat, "annotations.xml (CVAT for video or images) and images/")
