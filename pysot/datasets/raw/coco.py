"""COCO: `<root>/train2017/*.jpg` and `<root>/annotations/instances_train2017.json`.

Each image is a video of one frame.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pysot.datasets.raw.masks import MAX_NAMED_MASKS, Mask, RleMask, encode_segmentation
from pysot.datasets.raw.video import Box, RawFrame, RawSet, RawVideo, find_image, is_valid_box, split_of, track_name
from pysot.utils.files import read_json
from pysot.utils.image import image_size

logger = logging.getLogger(__name__)
SPLITS = ("val2017", "train2017")


def annotation_path(root: Path, split: str) -> Path:
    """Return the instance annotation of a split; in Roboflow's export it lies beside the images."""
    standard = Path(root) / "annotations" / f"instances_{split}.json"
    roboflow = Path(root) / split / "_annotations.coco.json"
    return roboflow if roboflow.is_file() and not standard.is_file() else standard


def coco_splits(root: Path) -> list[str]:
    """Return the splits that have an annotation: COCO's own ones, or otherwise all others, training splits last.

    Raises FileNotFoundError if there is none.
    """
    root = Path(root)
    splits = [split for split in SPLITS if annotation_path(root, split).is_file()]
    if not splits:
        names = [path.stem.removeprefix("instances_") for path in sorted(root.glob("annotations/instances_*.json"))]
        names += [path.parent.name for path in sorted(root.glob("*/_annotations.coco.json"))]
        splits = sorted(names, key=lambda name: (split_of(name) == "train", name))
    if not splits:
        expected = " and for ".join(str(annotation_path(root, split)) for split in SPLITS)
        raise FileNotFoundError(
            f"no COCO annotation: looked for {expected}, and for other instances_<part>.json. Unpack COCO there, "
            "or name the folder that holds it"
        )
    return splits


def iter_coco(root: Path, split: str, counts: Counter, with_masks: bool = False) -> Iterator[RawVideo]:
    """Yield the images of a split that have at least one box, and `with_masks` the masks of the boxes.

    A video is named `<split>/<image stem>`, with the folders that `file_name` has in between. A track is the index of
    an annotation among those of its image. Crowd annotations count in this index, so that crops have the same numbers
    as the original's. Crowd and degenerate annotations, and those without an image, are left out and counted. A
    segmentation that does not decode is logged and counted, and its mask is empty. Raises ValueError for a file of
    another layout.
    """
    root = Path(root)
    path = annotation_path(root, split)
    content = read_json(path, f"COCO {split}")
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    ):
        raise ValueError(
            f'{path} must have the lists "images" and "annotations" of a COCO instance file; download it again'
        )
    by_image = _group_by_image(path, content["annotations"])
    ids, names = set(), set()
    for image in content["images"]:
        if not _is_image_entry(image):
            raise ValueError(
                f'{path}: every image needs a number "id" and a text "file_name", got {image!r}; '
                "download the file again"
            )
        if image["id"] in ids or image["file_name"] in names:
            counts["repeated images"] += 1
            continue
        ids.add(image["id"])
        names.add(image["file_name"])
        boxes = _boxes(by_image[image["id"]], counts)
        if boxes:
            inside = _path_in_split(image["file_name"], split)
            image_path = _image_path(root, split, inside)
            masks = _masks(by_image[image["id"]], boxes, image, image_path, counts) if with_masks else None
            frame = RawFrame(image_path, 0, boxes, masks)
            yield RawVideo(f"{split}/{inside.with_suffix('').as_posix()}", (frame,))
    counts["boxes without an image"] += sum(
        len(annotations) for image_id, annotations in by_image.items() if image_id not in ids
    )


def _group_by_image(path: Path, annotations: list) -> dict[Any, list[dict]]:
    by_image = defaultdict(list)
    for annotation in annotations:
        if not isinstance(annotation, dict) or not isinstance(annotation.get("image_id"), (int, str, type(None))):
            raise ValueError(
                f'{path}: every annotation must be an object with a number "image_id", got {annotation!r}; '
                "download the file again"
            )
        by_image[annotation.get("image_id")].append(annotation)
    return by_image


def _is_image_entry(image: Any) -> bool:
    return (
        isinstance(image, dict) and isinstance(image.get("id"), (int, str)) and isinstance(image.get("file_name"), str)
    )


def _path_in_split(file_name: str, split: str) -> PurePosixPath:
    """Return the path of an image below the folder of its split."""
    path = PurePosixPath(file_name.replace("\\", "/"))
    for folder in ("images", split):
        path = path.relative_to(folder) if path.parts[0] == folder and len(path.parts) > 1 else path
    return path


def _image_path(root: Path, split: str, inside: PurePosixPath) -> Path:
    """Return the path of an image: below the split, as in COCO, or wherever exports put it."""
    standard = root / split / inside
    if standard.is_file():
        return standard
    exported = find_image(root, (split,), str(inside))
    return exported if exported.is_file() else standard


def _boxes(annotations: list[dict], counts: Counter) -> dict[str, Box]:
    boxes = {}
    for index, annotation in enumerate(annotations):
        if annotation.get("iscrowd"):
            counts["crowd"] += 1
            continue
        box = _xyxy(annotation.get("bbox"))
        if box is None or not is_valid_box(box):
            counts["degenerate"] += 1
            continue
        boxes[track_name(index)] = box
    return boxes


def _masks(
    annotations: list[dict], boxes: Collection[str], image: dict, path: Path, counts: Counter
) -> dict[str, Mask]:
    """Return the masks of the tracks in `boxes`; those of objects without one that can be decoded are empty."""
    masks: dict[str, Mask] = {}
    height, width = image.get("height"), image.get("width")
    if type(height) is not int or type(width) is not int or min(height, width) < 1:
        try:
            width, height = image_size(path)
        except (OSError, ValueError):
            return {}  # cropping reports the image
    for index, annotation in enumerate(annotations):
        if (track := track_name(index)) not in boxes:
            continue
        masks[track] = RleMask(height, width, b"")
        segmentation = annotation.get("segmentation")
        if not segmentation:
            counts["boxes without a mask"] += 1
            continue
        try:
            masks[track] = encode_segmentation(segmentation, height, width)
        except ValueError as error:
            counts["segmentations that do not decode"] += 1
            if counts["segmentations that do not decode"] <= MAX_NAMED_MASKS:
                logger.warning(
                    "the mask of annotation %s of %s is empty: %s", annotation.get("id"), image["file_name"], error
                )
    return masks


def _xyxy(bbox: Any) -> Box | None:
    try:
        x, y, w, h = map(float, bbox)
    except (TypeError, ValueError):
        return None
    return x, y, x + w, y + h


COCO = RawSet(
    "coco",
    coco_splits,
    iter_coco,
    "annotations/instances_train2017.json and train2017/*.jpg",
    frame_range=1,
    has_masks=True,
)
