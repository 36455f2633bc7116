"""Annotated videos in one file: a csv beside folders of frames, and video annotation in COCO's json (CVAT's export, TAO, YouTube-VIS)."""

import csv
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pysot.datasets.raw import RawFrame, RawVideo, track_name, usable
from pysot.datasets.raw_sequences import list_images
from pysot.utils.files import read_json

logger = logging.getLogger(__name__)
CORNERS, SIZES = ("x1", "y1", "x2", "y2"), ("x", "y", "w", "h")
TRACK_KEYS = ("track_id", "instance_id")


def find_csv(root: Path) -> Path:
    """The csv of a folder. Raises ValueError if there is none or more than one."""
    found = sorted(Path(root).glob("*.csv"))
    if len(found) != 1:
        raise ValueError(f"expected one csv file in {Path(root).absolute()}, found {', '.join(path.name for path in found) or 'none'}")
    return found[0]


def iter_csv(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Videos of a csv with a header: `video` (a folder of images beside the csv; without the column the folder of the csv itself), `frame` (the number in the
    image's name, else its place, from 0) or `image` (its name), `track` (0 without the column), and x1, y1, x2, y2 or x, y, w, h in pixels.

    Lines that don't fit are named in the log and counted. Raises ValueError for a header without these columns.
    """
    root, path = Path(root), find_csv(root)
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as stream:
        rows = csv.DictReader(stream)
        header = [name.strip().lower() for name in rows.fieldnames or ()]
        rows.fieldnames = header
        box_keys = next((keys for keys in (CORNERS, SIZES) if set(keys) <= set(header)), None)
        frame_key = next((key for key in ("image", "frame") if key in header), None)
        if not box_keys or not frame_key:
            raise ValueError(f"{path}: the first line must name the columns video, frame or image, track, and x1, y1, x2, y2 or x, y, w, h; got {header}")
        videos: dict[str, dict[str, dict]] = defaultdict(dict)
        for number, row in enumerate(rows, 2):
            try:
                box = [float(row[key]) for key in box_keys]
                box = tuple(box) if box_keys is CORNERS else (box[0], box[1], box[0] + box[2], box[1] + box[3])
                track = track_name(int(row.get("track") or 0))
                frame = str(row[frame_key]).strip()
            except (TypeError, ValueError):
                counts["malformed lines"] += 1
                logger.warning("left out: %s, line %d: expected numbers, got %.80r", path, number, list(row.values()))
                continue
            if usable(box):
                videos[(row.get("video") or "").strip()].setdefault(frame, {})[track] = box
            else:
                counts["degenerate"] += 1
    for name, frames in videos.items():
        found = tuple(_csv_frames(root / name, frames, counts))
        if found:
            yield RawVideo(name or root.resolve().name, found)


def _csv_frames(folder: Path, frames: dict[str, dict], counts: Counter) -> Iterator[RawFrame]:
    images = list_images(folder)
    places = {str(int(image.stem)) if image.stem.isdecimal() else str(place): place for place, image in enumerate(images)}
    names = {image.name: place for place, image in enumerate(images)}
    known = {}
    for frame, boxes in frames.items():
        place = names.get(frame, places.get(frame.lstrip("0") or "0"))
        if place is None:
            counts["without an image"] += len(boxes)
        else:
            known.setdefault(place, {}).update(boxes)
    return (RawFrame(images[place], place, known[place]) for place in sorted(known))


def json_splits(root: Path) -> list[str]:
    """Splits by the names of the json files: those with "val" in it, and the others."""
    files = _json_files(root)
    return [split for split in ("val", "train") if any(_split_of(path) == split for path in files)]


def _json_files(root: Path) -> list[Path]:
    found = sorted(Path(root).glob("annotations/*.json")) or sorted(Path(root).glob("*.json"))
    if not found:
        raise FileNotFoundError(f"no json in {Path(root).absolute()} or its folder annotations; give the folder of the export with --root")
    return found


def _split_of(path: Path) -> str:
    return "val" if "val" in path.stem else "train"


def iter_coco_video(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Videos of COCO-like json files: images with a `video_id`, or by their folders; annotations with a `track_id` or `instance_id`, of their own or among
    their `attributes`; or, as in YouTube-VIS, videos with `file_names` and annotations with `bboxes`.

    Raises ValueError for a file of another layout.
    """
    for path in _json_files(root):
        if _split_of(path) == split:
            content = read_json(path, "video annotation")
            if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
                raise ValueError(f"{path} must have the list \"annotations\" and the list \"images\" or \"videos\" of a COCO file; export it again")
            try:
                yield from _videos(Path(root), split, _whole_tracks(content) if "images" not in content else content, counts)
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{path} is no COCO video annotation: {type(error).__name__} {error}; export it again") from None


def _whole_tracks(content: dict) -> dict:
    """The YouTube-VIS form as the other one: an annotation per box."""
    images, annotations = [], []
    for video in content["videos"]:
        images += [{"id": f"{video['id']}/{number}", "file_name": name, "video_id": video["id"], "frame_id": number}
                   for number, name in enumerate(video["file_names"])]
    for track in content["annotations"]:
        annotations += [{"image_id": f"{track['video_id']}/{number}", "track_id": track["id"], "bbox": box}
                        for number, box in enumerate(track["bboxes"]) if box is not None]
    return {"images": images, "annotations": annotations}


def _videos(root: Path, split: str, content: dict, counts: Counter) -> Iterator[RawVideo]:
    boxes: dict = defaultdict(dict)
    for annotation in content["annotations"]:
        track = next((value for owner in (annotation, annotation.get("attributes") or {}) for key in TRACK_KEYS
                      if (value := owner.get(key)) is not None), None)
        x, y, w, h = map(float, annotation["bbox"])
        if annotation.get("iscrowd") or track is None:
            counts["crowd" if annotation.get("iscrowd") else "without a track"] += 1
        elif usable((x, y, x + w, y + h)):
            boxes[annotation["image_id"]][track_name(int(track))] = (x, y, x + w, y + h)
        else:
            counts["degenerate"] += 1
    videos: dict = defaultdict(list)
    for image in content["images"]:
        videos[image.get("video_id", str(PurePosixPath(image["file_name"]).parent))].append(image)
    folders = Counter(PurePosixPath(images[0]["file_name"]).parent.name for images in videos.values())
    for name, images in videos.items():
        images.sort(key=lambda image: (image.get("frame_id", image.get("frame_index", 0)), image["file_name"]))
        folder = PurePosixPath(images[0]["file_name"]).parent.name
        if not folder or folders[folder] > 1:  # the folder does not tell the videos apart
            folder = str(name).strip("./").replace("/", "-") or "video"
        frames = tuple(RawFrame(_image(root, split, image["file_name"]), number, boxes[image["id"]])
                       for number, image in enumerate(images) if boxes.get(image["id"]))
        if frames:
            yield RawVideo(f"{split}/{folder}", frames)


def _image(root: Path, split: str, name: str) -> Path:
    """The image of an export: below `images`, below a folder of the split, or below the root."""
    tried = [root / "images" / name, root / "images" / split / name, root / split / "JPEGImages" / name, root / "JPEGImages" / name, root / split / name]
    return next((path for path in tried if path.is_file()), root / name)
