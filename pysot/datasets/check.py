"""Checks of a training set before hours are spent on it: missing or damaged crops, implausible boxes, duplicates.

Boxes are xyxy in pixels of the raw image. A crop shows only the shape of its target, since the exemplar square always
has 127 of 511 pixels. A wrong scale, such as YouTube-BB's boxes relative to the image size, therefore shows in the
numbers and not in the pictures.
"""

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from pysot.datasets.annotation import TrackAnnotation
from pysot.datasets.augmentation import centred_box
from pysot.datasets.mask_files import MaskCheck
from pysot.datasets.storage import CropFiles, CropPack, full_view, open_storage
from pysot.utils.image import decode_image
from pysot.utils.masks import Mask
from pysot.utils.visualize import draw_outline

SIDE = 511
MIN_SIDE = 2.0  # pixels: smaller targets carry no signal
MAX_ASPECT = 20.0  # longer side relative to the shorter one
RELATIVE_LIMIT = 1.5  # boxes that end within this many pixels of the corner are relative coordinates, not pixels
_RELATIVE_BOXES = (
    "boxes look like fractions of the image size instead of pixels; prepare the set again with tools/prepare_data.py"
)
ODD_BOXES = (  # counts that make a set suspicious
    "smaller than 2 pixels",
    "more than 20 times as long as wide",
    "begin far outside of the image",
    "frames that a track has twice",
)
SHEET_GRID = (8, 6)  # pictures across and down
CELL_SIDE = 160
OUTLINE = (255, 0, 255)  # BGR


class Picture(NamedTuple):
    """Crop to draw: its name, its pixels, the box xyxy in the raw image, and its mask (H, W), 0 or 1, if it has one."""

    name: str
    pixels: np.ndarray
    box: np.ndarray
    mask: np.ndarray | None


@dataclass
class CheckReport:
    """Findings about one set.

    `bad` are boxes whose crop cannot be used: video, track, frame and reason. `suspicious` are sentences about the
    entire set.
    """

    name: str
    boxes: int
    checked: int = 0
    bad: list[tuple[str, str, int, str]] = field(default_factory=list)
    suspicious: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, list[float]] = field(default_factory=dict)

    def as_json(self) -> dict:
        """Return the fields and the number of bad crops, for JSON."""
        return {**vars(self), "bad_count": len(self.bad)}


def check_boxes(annotation: TrackAnnotation) -> CheckReport:
    """Check the numbers: sizes, shapes, relative coordinates, negative corners, duplicate boxes."""
    report, boxes = CheckReport(annotation.name, len(annotation.boxes)), annotation.boxes
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    longer, shorter = np.maximum(width, height), np.minimum(width, height)
    percentiles = (0, 1, 10, 50, 90, 99, 100)
    report.sizes = {
        "percentiles": list(percentiles),
        "square root of area": np.percentile(np.sqrt(width * height), percentiles).round(2).tolist(),
        "width / height": np.percentile(width / height, percentiles).round(3).tolist(),
        "boxes per track": np.percentile(np.diff(annotation.box_offset), percentiles).tolist(),
    }
    is_first_of_track = np.zeros(len(boxes), bool)
    is_first_of_track[annotation.box_offset[:-1]] = True
    repeats = (np.diff(annotation.frames, prepend=-1) == 0) & ~is_first_of_track
    report.counts = {
        "videos": annotation.video_count,
        "tracks": annotation.track_count,
        "boxes": len(boxes),
        "smaller than 2 pixels": int((longer < MIN_SIDE).sum()),
        "more than 20 times as long as wide": int((longer > MAX_ASPECT * shorter).sum()),
        "begin far outside of the image": int(((boxes[:, 0] < -width) | (boxes[:, 1] < -height)).sum()),
        "frames that a track has twice": int(repeats.sum()),
        **{f"left out: {kind}": count for kind, count in annotation.dropped.items() if count},
    }
    relative = (boxes.max(axis=1) <= RELATIVE_LIMIT).mean()
    if relative > 0.01:
        report.suspicious.append(f"{relative:.0%} of the {_RELATIVE_BOXES}")
    for kind in ODD_BOXES:
        if report.counts[kind] > 0.01 * len(boxes):
            report.suspicious.append(f"{report.counts[kind]} boxes: {kind}")
    if np.diff(annotation.box_offset).max() == 1 and annotation.frames.max() > 0:
        report.suspicious.append(
            "no track has more than one frame although there are videos: frames may have been read as tracks"
        )
    return report


def check_crops(
    annotation: TrackAnnotation,
    report: CheckReport,
    sample: int | None,
    progress: Callable[..., Iterable],
    with_masks: bool = False,
) -> np.ndarray:
    """Read all crops, or a random `sample` of them, and return a contact sheet (h, w, 3) uint8 of some of them.

    Bad crops and duplicate pictures are added to `report`. `with_masks` also reads the mask of each crop. `progress`
    wraps the boxes, as tqdm does.
    """
    storage, seen = open_storage(annotation), set()
    masks = MaskCheck(storage)
    pictures: list[Picture] = []
    chosen = np.arange(len(annotation.boxes)) if sample is None else sample_boxes(annotation, sample)
    shown = set(np.random.default_rng(0).permutation(chosen)[: SHEET_GRID[0] * SHEET_GRID[1]].tolist())
    odd_pictures: Counter[str] = Counter()
    for video, track, box in progress(annotation.targets(chosen), total=len(chosen)):
        report.checked += 1
        name = storage.name(video, track, box)
        try:
            pixels = decode_image(storage.read_bytes(video, track, box), name)
            if pixels.shape != (SIDE, SIDE, 3):
                raise ValueError(
                    f"{name} has {pixels.shape[1]} x {pixels.shape[0]} pixels, expected {SIDE} x {SIDE}; make it again"
                )
        except (OSError, ValueError) as error:
            video_name, track_name = annotation.videos[video].decode(), annotation.tracks[track].decode()
            report.bad.append((video_name, track_name, int(annotation.frames[box]), str(error)))
            continue
        digest = hashlib.blake2b(pixels.tobytes(), digest_size=8).digest()
        odd_pictures["the same picture as another crop"] += digest in seen
        seen.add(digest)
        odd_pictures["of one colour"] += int(pixels.std() < 1)
        mask = masks.read((video, track, box), SIDE) if with_masks else None
        if box in shown:
            pictures.append(Picture(name, pixels, annotation.boxes[box], mask))
    report.counts |= masks.counts
    report.suspicious += masks.sentences()
    report.counts |= {kind: count for kind, count in odd_pictures.items() if count}
    if report.checked and sum(odd_pictures.values()) > 0.01 * report.checked:
        sentence = ", ".join(f"{count} crops are {kind}" for kind, count in odd_pictures.items() if count)
        report.suspicious.append(f"{sentence}, of {report.checked}")
    return contact_sheet(pictures)


def sample_boxes(annotation: TrackAnnotation, sample: int, seed: int = 0) -> np.ndarray:
    """Draw the indices of `sample` random boxes, or of all if there are fewer, in rising order."""
    count = len(annotation.boxes)
    return np.sort(np.random.default_rng(seed).choice(count, min(sample, count), replace=False))


def check_annotations(
    annotations: Sequence[TrackAnnotation],
    storages: Sequence[CropFiles | CropPack],
    sample: int = 32,
    seed: int = 0,
    masks: Sequence[bool] = (),
) -> list[str]:
    """Check the boxes and a few crops of each set, and return what is suspicious as sentences.

    `masks` says which sets have masks, of which a few are checked too. Quick enough for the start of a training run.
    Raises ValueError for a set without one sampled crop (or mask) that can be read and has the size that training
    needs.
    """
    sentences = []
    for annotation, storage in zip(annotations, storages, strict=True):
        unreadable, other_sizes, chosen = [], [], sample_boxes(annotation, sample, seed)
        for target in annotation.targets(chosen):
            try:
                crop = full_view(storage.read(*target).pixels)
                if (crop.width, crop.height) != (SIDE, SIDE):
                    other_sizes.append(f"{storage.name(*target)} has {crop.width} x {crop.height} pixels")
            except (OSError, ValueError) as error:
                unreadable.append(str(error))
        setting = f"DATASET.{annotation.name}.ROOT"
        if other_sizes:
            sentence = (
                f"{annotation.name}: {len(other_sizes)} of {len(chosen)} randomly drawn crops do not have the "
                f"{SIDE} x {SIDE} pixels that training needs: {other_sizes[0]}. Make them again (par_crop.py {SIDE}), "
                f"or correct {setting}"
            )
            if len(other_sizes) + len(unreadable) == len(chosen):
                raise ValueError(sentence)
            sentences.append(sentence)
        if len(unreadable) == len(chosen):
            raise ValueError(
                f"{annotation.name}: none of {len(chosen)} randomly drawn crops can be read: {unreadable[0]}. Check "
                f"{setting}"
            )
        if unreadable:
            sentences.append(
                f"{annotation.name}: {len(unreadable)} of {len(chosen)} randomly drawn crops cannot be read, the "
                f"first: {unreadable[0]}. tools/check_data.py lists all of them, to exclude them from training"
            )
        if (annotation.boxes[chosen].max(axis=1) <= RELATIVE_LIMIT).mean() > 0.5:
            sentences.append(f"{annotation.name}: the {_RELATIVE_BOXES}")
    for storage in itertools.compress(storages, masks):
        sentences += _check_masks(storage, sample, seed)
    return sentences


def _check_masks(storage: CropFiles | CropPack, sample: int, seed: int) -> list[str]:
    """Check a sample of the masks of a set. Raises ValueError if none of them can be used."""
    masks, chosen = MaskCheck(storage), sample_boxes(storage.annotation, sample, seed)
    usable = [masks.read(target, SIDE) is not None for target in storage.annotation.targets(chosen)]
    sentences = [f"{storage.annotation.name}: of {len(chosen)} drawn at random, {text}" for text in masks.sentences()]
    if not any(usable):
        raise ValueError(
            f"{sentences[0]}. Make the masks again, or set DATASET.{storage.annotation.name}.MASKS to false"
        )
    return sentences


def contact_sheet(pictures: list[Picture]) -> np.ndarray:
    """Draw crops in rows, each with the box that training sees and the end of its name.

    Of crops with a mask, the middle half is drawn, with the outline of the mask.
    """
    across, down = SHEET_GRID
    sheet = np.full((down * (CELL_SIDE + 14), across * CELL_SIDE, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, across)
        top, left, side = row * (CELL_SIDE + 14), column * CELL_SIDE, CELL_SIDE - 2
        drawn = _draw(picture)
        sheet[top : top + side, left : left + side] = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA)
        text_position = (left + 2, top + CELL_SIDE + 9)
        text = picture.name[-30:-6]
        cv2.putText(sheet, text, text_position, cv2.FONT_HERSHEY_SIMPLEX, 0.32, (0, 0, 0), 1, cv2.LINE_AA)
    return sheet


def _draw(picture: Picture) -> np.ndarray:
    drawn = picture.pixels.copy()
    x1, y1, x2, y2 = (round(value) for value in centred_box(drawn.shape, picture.box))
    cv2.rectangle(drawn, (x1, y1), (x2, y2), (0, 220, 255), 3 if picture.mask is None else 1)
    if picture.mask is None:
        return drawn
    draw_outline(drawn, Mask(0, 0, picture.mask > 0), OUTLINE, thickness=1)
    return drawn[SIDE // 4 : -(SIDE // 4), SIDE // 4 : -(SIDE // 4)]
