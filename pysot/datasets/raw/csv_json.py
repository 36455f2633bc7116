"""Annotated videos in one file: a csv beside folders of frames, and video annotation in COCO's json (CVAT's export, TAO, YouTube-VIS)."""

import csv
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

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
from pysot.utils.files import read_json
from pysot.utils.frames import VIDEO_SUFFIXES
from pysot.utils.names import list_images, natural_key, places_by_number

logger = logging.getLogger(__name__)
CORNERS, SIZES = ("x1", "y1", "x2", "y2"), ("x", "y", "w", "h")
TRACK_KEYS = ("track_id", "instance_id")


def find_csv(root: Path) -> Path:
    """The csv of a folder. Raises ValueError if there is none or more than one."""
    found = sorted(Path(root).glob("*.csv"))
    if len(found) != 1:
        raise ValueError(
            f"expected one csv file in {Path(root).absolute()}, found {', '.join(path.name for path in found) or 'none'}"
        )
    return found[0]


def csv_splits(root: Path) -> list[str]:
    """All of a csv is for training. Raises ValueError as `find_csv`."""
    find_csv(root)
    return ["train"]


def iter_csv(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Videos of a csv with a header: `video` (a folder of images beside the csv, or the file that they were extracted from; without the column the folder in
    `image`, else that of the csv itself), `frame` (the number in the image's name; where names have no numbers its place, from 0) or `image` (its name, with
    its folder or without), `track` (0 without the column), and x1, y1, x2, y2 or x, y, w, h in pixels.

    Lines that don't fit, and a second box of a track in a frame, are named in the log and counted. Raises ValueError for a header without these columns.
    """
    root, path = Path(root), find_csv(root)
    videos: dict[str, dict[str, dict]] = defaultdict(dict)
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as stream:
        rows = csv.DictReader(stream)
        header = [name.strip().lower() for name in rows.fieldnames or ()]
        rows.fieldnames = header
        box_keys = next((keys for keys in (CORNERS, SIZES) if set(keys) <= set(header)), None)
        if not box_keys or not {"image", "frame"} & {*header}:
            raise ValueError(
                f"{path}: the first line must name the columns video, frame or image, track, and x1, y1, x2, y2 or x, y, w, h; got {header}"
            )
        for number, row in enumerate(rows, 2):
            try:
                box = _csv_box([float(row[key]) for key in box_keys], box_keys)
                track = track_name(_whole(row.get("track") or "0"))
                video, frame = _csv_frame(root, row)
            except (TypeError, ValueError):
                counts["malformed lines"] += 1
                logger.warning("left out: %s, line %d: expected numbers, got %.80r", path, number, list(row.values()))
                continue
            if not usable(box):
                counts["degenerate"] += 1
            elif not add_box(videos[video].setdefault(frame, {}), track, box):
                counts[SECOND_BOX] += 1
                logger.warning(
                    "left out: %s, line %d: track %s of %s has a box in frame %s already; give each object its own number in a column track",
                    path,
                    number,
                    track,
                    video or root.resolve().name,
                    frame,
                )
    for name, frames in videos.items():
        found = tuple(_csv_frames(root / name, frames, counts))
        if found:
            yield RawVideo(name or root.resolve().name, found)


def _csv_box(numbers: list[float], keys: tuple[str, ...]) -> tuple:
    return (
        tuple(numbers)
        if keys is CORNERS
        else (numbers[0], numbers[1], numbers[0] + numbers[2], numbers[1] + numbers[3])
    )


def _whole(text: str) -> int:
    """A number from 0 as text; spreadsheets and pandas write 3.0 for 3. Raises ValueError for another one."""
    number = float(text)
    if not number.is_integer() or number < 0:
        raise ValueError(f"needs a whole number from 0, got {text!r}")
    return int(number)


def _csv_frame(root: Path, row: dict) -> tuple[str, str]:
    """The folder of a line's image below the root, "" for the root, and the image's name or number."""
    video, image = (
        (row.get("video") or "").strip().replace("\\", "/"),
        (row.get("image") or "").strip().replace("\\", "/"),
    )
    if video.lower().endswith(VIDEO_SUFFIXES) and not (root / video).is_dir():  # boat1.mp4, whose frames lie in boat1
        path = PurePosixPath(video)
        video = next(
            (place for place in (path.with_suffix("").as_posix(), path.stem) if (root / place).is_dir()),
            path.with_suffix("").as_posix(),
        )
    if image:
        folder = PurePosixPath(image).parent.as_posix()
        return video or ("" if folder == "." else folder), PurePosixPath(image).name
    return video, str(_whole(str(row["frame"]).strip()))


def _csv_frames(folder: Path, frames: dict[str, dict], counts: Counter) -> Iterator[RawFrame]:
    images = list_images(folder)
    names, known = {image.name: place for place, image in enumerate(images)}, {}
    by_name = all(frame in names for frame in frames)
    numbered = {} if by_name else places_by_number(images)
    places = {str(number): place for number, place in (numbered or dict(enumerate(range(len(images))))).items()}
    for frame, boxes in frames.items():
        place = names.get(frame, places.get(frame))
        if place is None:
            counts["without an image"] += len(boxes)
            continue
        for track, box in boxes.items():
            if not add_box(known.setdefault(place, {}), track, box):
                counts[SECOND_BOX] += 1
    return (RawFrame(images[place], place, known[place]) for place in sorted(known))


def json_splits(root: Path) -> list[str]:
    """Splits by the names of the json files: those of a validation or test part, and the others."""
    files = _json_files(root)
    return [split for split in ("val", "train") if any(split_of(path.stem) == split for path in files)]


def _json_files(root: Path) -> list[Path]:
    found = sorted(Path(root).glob("annotations/*.json")) or sorted(Path(root).glob("*.json"))
    if not found:
        raise FileNotFoundError(
            f"no json in {Path(root).absolute()} or its folder annotations; name the folder of the export"
        )
    return found


def iter_coco_video(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Videos of COCO-like json files: images with a `video_id`, or by their folders; annotations with a `track_id` or `instance_id`, of their own or among
    their `attributes`; or, as in YouTube-VIS, videos with `file_names` and annotations with `bboxes`. A video is named by its folder, or where that does not
    tell videos apart, also by its json.

    Raises ValueError for a file of another layout.
    """
    found: list[tuple[Path, str, tuple[RawFrame, ...]]] = []
    for path in _json_files(root):
        if split_of(path.stem) == split:
            content = read_json(path, "video annotation")
            if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
                raise ValueError(
                    f'{path} must have the list "annotations" and the list "images" or "videos" of a COCO file; export it again'
                )
            try:
                content = _whole_tracks(content) if "images" not in content else content
                found += [(path, *video) for video in _videos(Path(root), split, subset_of(path), content, counts)]
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise ValueError(
                    f"{path} is no COCO video annotation: {type(error).__name__} {error}; export it again"
                ) from None
    known = Counter(name for _, name, _ in found)
    for path, name, frames in found:
        yield RawVideo(f"{split}/{name}" if known[name] == 1 else f"{split}/{path.stem}/{name}", frames)


def subset_of(path: Path) -> str:
    """The part of a data set that a json is of: default of instances_default.json."""
    return re.sub(r"^(instances|annotations)_", "", path.stem)


def _whole_tracks(content: dict) -> dict:
    """The YouTube-VIS form as the other one: an annotation per box."""
    images, annotations = [], []
    for video in content["videos"]:
        images += [
            {"id": f"{video['id']}/{number}", "file_name": name, "video_id": video["id"], "frame_id": number}
            for number, name in enumerate(video["file_names"])
        ]
    for track in content["annotations"]:
        annotations += [
            {"image_id": f"{track['video_id']}/{number}", "track_id": track["id"], "bbox": box}
            for number, box in enumerate(track["bboxes"])
            if box is not None
        ]
    return {"images": images, "annotations": annotations}


def _videos(
    root: Path, split: str, subset: str, content: dict, counts: Counter
) -> Iterator[tuple[str, tuple[RawFrame, ...]]]:
    boxes: dict = defaultdict(dict)
    for annotation in content["annotations"]:
        track = next(
            (
                value
                for owner in (annotation, annotation.get("attributes") or {})
                for key in TRACK_KEYS
                if (value := owner.get(key)) is not None
            ),
            None,
        )
        x, y, w, h = map(float, annotation["bbox"])
        track = track if track is None else _whole(str(track))
        if annotation.get("iscrowd") or track is None:
            counts["crowd" if annotation.get("iscrowd") else "without a track"] += 1
        elif not usable((x, y, x + w, y + h)):
            counts["degenerate"] += 1
        elif not add_box(boxes[annotation["image_id"]], track_name(track), (x, y, x + w, y + h)):
            counts[SECOND_BOX] += 1
    videos: dict = defaultdict(list)
    for image in content["images"]:
        video = image.get("video_id")
        videos[str(PurePosixPath(image["file_name"]).parent) if video is None else video].append(image)
    folders = Counter(PurePosixPath(images[0]["file_name"]).parent.name for images in videos.values())
    for name, images in videos.items():
        images.sort(
            key=lambda image: (image.get("frame_id", image.get("frame_index", 0)), natural_key(image["file_name"]))
        )
        folder = PurePosixPath(images[0]["file_name"]).parent.name
        if not folder or folders[folder] > 1:  # the folder does not tell the videos apart
            folder = str(name).strip("./").replace("/", "-") or subset
        frames = tuple(
            RawFrame(find_image(root, (subset, split), image["file_name"]), number, boxes[image["id"]])
            for number, image in enumerate(images)
            if boxes.get(image["id"])
        )
        if frames:
            yield folder, frames


COCO_VIDEO = RawSet(
    "coco_video", json_splits, iter_coco_video, "a json with tracks, of CVAT (COCO), TAO or YouTube-VIS, and its images"
)
CSV = RawSet("csv", csv_splits, iter_csv, "one csv and a folder of images per video")
