"""Annotated videos in one file: a csv beside folders of frames, or COCO-like json with tracks.

The json is that of CVAT's COCO export, TAO or YouTube-VIS.
"""

import csv
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

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
from pysot.utils.files import read_json
from pysot.utils.frames import VIDEO_SUFFIXES
from pysot.utils.names import index_by_number, list_images, natural_key

logger = logging.getLogger(__name__)
CORNERS, SIZES = ("x1", "y1", "x2", "y2"), ("x", "y", "w", "h")
TRACK_KEYS = ("track_id", "instance_id")


def find_csv(root: Path) -> Path:
    """Return the csv of a folder. Raises ValueError unless there is exactly one."""
    paths = sorted(Path(root).glob("*.csv"))
    if len(paths) != 1:
        names = ", ".join(path.name for path in paths) or "none"
        raise ValueError(f"expected one csv file in {Path(root).absolute()}, found {names}")
    return paths[0]


def csv_splits(root: Path) -> list[str]:
    """Return the only split: a csv is for training. Raises ValueError as in `find_csv`."""
    find_csv(root)
    return ["train"]


def iter_csv(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Yield the videos of a csv with a header.

    Columns:
    - `video`: a folder of images beside the csv, or the video file that they were extracted from. Without this column
      it is the folder in `image`, else the folder of the csv itself.
    - `frame`: the number in the image's name; where names have no numbers, the index of the image, from 0. Or `image`:
      the image's name, with or without its folder.
    - `track`: 0 without this column.
    - x1, y1, x2, y2 or x, y, w, h in pixels.

    Malformed lines, and a second box of a track in a frame, are logged and counted. Raises ValueError for a header
    without these columns.
    """
    root, path = Path(root), find_csv(root)
    videos: dict[str, dict[str, dict[str, Box]]] = defaultdict(dict)
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as stream:
        rows = csv.DictReader(line.replace("\0", "\ufffd") for line in stream)  # Python 3.10 refuses NUL
        header = [name.strip().lower() for name in rows.fieldnames or ()]
        rows.fieldnames = header
        box_keys = next((keys for keys in (CORNERS, SIZES) if set(keys) <= set(header)), None)
        if not box_keys or not {"image", "frame"} & {*header}:
            raise ValueError(
                f"{path}: the first line must name the columns video, frame or image, track, and x1, y1, x2, y2 or "
                f"x, y, w, h; got {header}"
            )
        for number, row in enumerate(rows, 2):
            try:
                box = _csv_box([float(row[key]) for key in box_keys], box_keys)
                track = track_name(_parse_whole_number(row.get("track") or "0"))
                video, frame = _csv_frame(root, row)
            except (TypeError, ValueError):
                counts["malformed lines"] += 1
                logger.warning("left out: %s, line %d: expected numbers, got %.80r", path, number, list(row.values()))
                continue
            if not is_valid_box(box):
                counts["degenerate"] += 1
            elif not add_box(videos[video].setdefault(frame, {}), track, box):
                counts[SECOND_BOX] += 1
                logger.warning(
                    "left out: %s, line %d: track %s of %s already has a box in frame %s; give each object its own "
                    "number in a column track",
                    path,
                    number,
                    track,
                    video or root.resolve().name,
                    frame,
                )
    for name, boxes_by_frame in videos.items():
        frames = tuple(_csv_frames(root / name, boxes_by_frame, counts))
        if frames:
            yield RawVideo(name or root.resolve().name, frames)


def _csv_box(numbers: list[float], keys: tuple[str, ...]) -> Box:
    """Return the xyxy box of four numbers that are CORNERS or SIZES."""
    x, y, third, fourth = numbers
    return (x, y, third, fourth) if keys is CORNERS else (x, y, x + third, y + fourth)


def _parse_whole_number(text: str) -> int:
    """Parse a whole number from 0; spreadsheets and pandas write 3.0 for 3. Raises ValueError for other text."""
    number = float(text)
    if not number.is_integer() or number < 0:
        raise ValueError(f"expected a whole number from 0, got {text!r}")
    return int(number)


def _csv_frame(root: Path, row: dict) -> tuple[str, str]:
    """Return the folder of a line's image below the root ("" for the root), and the image's name or number."""
    video = (row.get("video") or "").strip().replace("\\", "/")
    image = (row.get("image") or "").strip().replace("\\", "/")
    if video.lower().endswith(VIDEO_SUFFIXES) and not (root / video).is_dir():
        # A video file, boat1.mp4, whose frames lie in boat1.
        path = PurePosixPath(video)
        folder = path.with_suffix("").as_posix()
        video = next((name for name in (folder, path.stem) if (root / name).is_dir()), folder)
    if image:
        folder = PurePosixPath(image).parent.as_posix()
        return video or ("" if folder == "." else folder), PurePosixPath(image).name
    return video, str(_parse_whole_number(str(row["frame"]).strip()))


def _csv_frames(folder: Path, boxes_by_frame: dict[str, dict[str, Box]], counts: Counter) -> Iterator[RawFrame]:
    """Yield the frames of a folder; keys of `boxes_by_frame` are image names or numbers."""
    images = list_images(folder)
    names = {image.name: index for index, image in enumerate(images)}
    by_name = all(frame in names for frame in boxes_by_frame)
    numbered = {} if by_name else index_by_number(images)
    indices = {str(number): index for number, index in (numbered or dict(enumerate(range(len(images))))).items()}
    boxes_by_index: dict[int, dict[str, Box]] = {}
    for frame, boxes in boxes_by_frame.items():
        index = names.get(frame, indices.get(frame))
        if index is None:
            counts["without an image"] += len(boxes)
            continue
        for track, box in boxes.items():
            if not add_box(boxes_by_index.setdefault(index, {}), track, box):
                counts[SECOND_BOX] += 1
    return (RawFrame(images[index], index, boxes_by_index[index]) for index in sorted(boxes_by_index))


def json_splits(root: Path) -> list[str]:
    """Return the splits by the names of the json files: those of a validation or test part, and the others."""
    files = _json_files(root)
    return [split for split in ("val", "train") if any(split_of(path.stem) == split for path in files)]


def _json_files(root: Path) -> list[Path]:
    files = sorted(Path(root).glob("annotations/*.json")) or sorted(Path(root).glob("*.json"))
    if not files:
        raise FileNotFoundError(
            f"no json in {Path(root).absolute()} or its folder annotations; name the folder of the export"
        )
    return files


def iter_coco_video(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Yield the videos of COCO-like json files.

    Images have a `video_id`, or form videos by their folders. Annotations have a `track_id` or `instance_id`, at the
    top level or among their `attributes`. Or, as in YouTube-VIS, videos have `file_names` and annotations have
    `bboxes`. A video is named by its folder. If folder names are ambiguous, its id and its json are part of the name.

    Raises ValueError for a file of another layout.
    """
    videos: list[tuple[Path, str, tuple[RawFrame, ...]]] = []
    for path in _json_files(root):
        if split_of(path.stem) == split:
            content = read_json(path, "video annotation")
            if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
                raise ValueError(
                    f'{path} must have the list "annotations" and the list "images" or "videos" of a COCO file; '
                    "export it again"
                )
            try:
                content = _flatten_youtube_vis(content) if "images" not in content else content
                videos += [(path, *video) for video in _videos(Path(root), split, subset_of(path), content, counts)]
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise ValueError(
                    f"{path} is not a COCO video annotation: {type(error).__name__} {error}; export it again"
                ) from None
    known = Counter(name for _, name, _ in videos)
    for path, name, frames in videos:
        yield RawVideo(f"{split}/{name}" if known[name] == 1 else f"{split}/{path.stem}/{name}", frames)


def subset_of(path: Path) -> str:
    """Return the part of a data set that a json belongs to: "default" for instances_default.json."""
    return re.sub(r"^(instances|annotations)_", "", path.stem)


def _flatten_youtube_vis(content: dict) -> dict:
    """Convert the YouTube-VIS form to COCO's form: one annotation per box."""
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
    """Yield the name and frames of each video of a json."""
    boxes = _boxes_by_image(content["annotations"], counts)
    videos: dict[Any, list[dict]] = defaultdict(list)
    for image in content["images"]:
        video = image.get("video_id")
        videos[str(PurePosixPath(image["file_name"]).parent) if video is None else video].append(image)
    folders = Counter(PurePosixPath(images[0]["file_name"]).parent.name for images in videos.values())
    for name, images in videos.items():
        images.sort(
            key=lambda image: (image.get("frame_id", image.get("frame_index", 0)), natural_key(image["file_name"]))
        )
        folder = PurePosixPath(images[0]["file_name"]).parent.name
        if not folder or folders[folder] > 1:  # the folder does not identify the video
            folder = str(name).strip("./").replace("/", "-") or subset
        frames = tuple(
            RawFrame(find_image(root, (subset, split), image["file_name"]), number, boxes[image["id"]])
            for number, image in enumerate(images)
            if boxes.get(image["id"])
        )
        if frames:
            yield folder, frames


def _boxes_by_image(annotations: list[dict], counts: Counter) -> dict[Any, dict[str, Box]]:
    """Return the boxes of the tracks by image id."""
    boxes: dict[Any, dict[str, Box]] = defaultdict(dict)
    for annotation in annotations:
        track = _track_id(annotation)
        x, y, w, h = map(float, annotation["bbox"])
        track = track if track is None else _parse_whole_number(str(track))
        if annotation.get("iscrowd") or track is None:
            counts["crowd" if annotation.get("iscrowd") else "without a track"] += 1
        elif not is_valid_box((x, y, x + w, y + h)):
            counts["degenerate"] += 1
        elif not add_box(boxes[annotation["image_id"]], track_name(track), (x, y, x + w, y + h)):
            counts[SECOND_BOX] += 1
    return boxes


def _track_id(annotation: dict) -> Any:
    """Return the track id of an annotation, at its top level or among its attributes; None without one."""
    for owner in (annotation, annotation.get("attributes") or {}):
        for key in TRACK_KEYS:
            if (value := owner.get(key)) is not None:
                return value
    return None


COCO_VIDEO = RawSet(
    "coco_video", json_splits, iter_coco_video, "a json with tracks, of CVAT (COCO), TAO or YouTube-VIS, and its images"
)
CSV = RawSet("csv", csv_splits, iter_csv, "one csv and a folder of images per video")
