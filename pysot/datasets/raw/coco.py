"""COCO: `<root>/train2017/*.jpg` with `<root>/annotations/instances_train2017.json`; every image is a video of one frame."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pysot.datasets.raw.video import RawFrame, RawSet, RawVideo, find_image, split_of, track_name, usable
from pysot.utils.files import read_json

SPLITS = ("val2017", "train2017")


def annotation_path(root: Path, split: str) -> Path:
    """The instance annotation of a split; in Roboflow's export it lies beside the images."""
    usual, beside = (
        Path(root) / "annotations" / f"instances_{split}.json",
        Path(root) / split / "_annotations.coco.json",
    )
    return beside if beside.is_file() and not usual.is_file() else usual


def available_splits(root: Path) -> list[str]:
    """Splits whose annotation is there: COCO's own, or where there are none of these, any, those for training last. Raises FileNotFoundError if there is
    none.
    """
    root = Path(root)
    found = [split for split in SPLITS if annotation_path(root, split).is_file()]
    if not found:
        names = [path.stem.removeprefix("instances_") for path in sorted(root.glob("annotations/instances_*.json"))]
        names += [path.parent.name for path in sorted(root.glob("*/_annotations.coco.json"))]
        found = sorted(names, key=lambda name: (split_of(name) == "train", name))
    if not found:
        raise FileNotFoundError(
            f"no COCO annotation: looked for {' and for '.join(str(annotation_path(root, split)) for split in SPLITS)}, and for other "
            "instances_<part>.json. Unpack COCO there, or name the folder that holds it"
        )
    return found


def iter_coco(root: Path, split: str, counts: Counter) -> Iterator[RawVideo]:
    """Images of a split with at least one box, named `<split>/<image stem>`, with the folders that `file_name` has in between.

    A track is the place of an annotation among those of its image (crowd ones included, so that crops have the numbers which the original gives
    them). Crowd, degenerate and lost annotations are left out and counted. Raises ValueError for a file of another layout.
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
    by_image = defaultdict(list)
    for annotation in content["annotations"]:
        if not isinstance(annotation, dict) or not isinstance(annotation.get("image_id"), (int, str, type(None))):
            raise ValueError(
                f'{path}: every annotation is an object with a number "image_id", got {annotation!r}; download the file again'
            )
        by_image[annotation.get("image_id")].append(annotation)
    seen, names = set(), set()
    for image in content["images"]:
        if (
            not isinstance(image, dict)
            or not isinstance(image.get("id"), (int, str))
            or not isinstance(image.get("file_name"), str)
        ):
            raise ValueError(
                f'{path}: every image needs a number "id" and a text "file_name", got {image!r}; download the file again'
            )
        if image["id"] in seen or image["file_name"] in names:
            counts["repeated images"] += 1
            continue
        seen.add(image["id"])
        names.add(image["file_name"])
        boxes = _boxes(by_image[image["id"]], counts)
        if boxes:
            inside = _inside(image["file_name"], split)
            yield RawVideo(
                f"{split}/{inside.with_suffix('').as_posix()}", (RawFrame(_image(root, split, inside), 0, boxes),)
            )
    counts["boxes without an image"] += sum(len(found) for image_id, found in by_image.items() if image_id not in seen)


def _inside(file_name: str, split: str) -> PurePosixPath:
    """The path of an image below the folder of its split."""
    path = PurePosixPath(file_name.replace("\\", "/"))
    for folder in ("images", split):
        path = path.relative_to(folder) if path.parts[0] == folder and len(path.parts) > 1 else path
    return path


def _image(root: Path, split: str, inside: PurePosixPath) -> Path:
    """Where the image is: below the split, as COCO has it, or wherever exports put it."""
    usual = root / split / inside
    return usual if usual.is_file() or not (found := find_image(root, (split,), str(inside))).is_file() else found


def _boxes(annotations: list[dict], counts: Counter) -> dict[str, tuple]:
    boxes = {}
    for index, annotation in enumerate(annotations):
        if annotation.get("iscrowd"):
            counts["crowd"] += 1
            continue
        box = _xyxy(annotation.get("bbox"))
        if box is None or not usable(box):
            counts["degenerate"] += 1
            continue
        boxes[track_name(index)] = box
    return boxes


def _xyxy(bbox) -> tuple[float, float, float, float] | None:
    try:
        x, y, w, h = map(float, bbox)
    except (TypeError, ValueError):
        return None
    return x, y, x + w, y + h


COCO = RawSet("coco", available_splits, iter_coco, "annotations/instances_train2017.json and train2017/*.jpg", reach=1)
