"""Looks a training set over before hours are spent on it: do the crops exist and decode, do the boxes make sense, is anything there twice.

Boxes are xyxy in pixels of the raw image. Of a crop only the shape of its target is known (the exemplar square always has 127 of 511 pixels), so a wrong
scale, such as YouTube-BB's shares of the image, shows in the numbers and not in the pictures.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from pysot.datasets.annotation import TrackAnnotation
from pysot.datasets.augmentation import centred_box
from pysot.datasets.storage import CropFiles, CropPack, open_storage
from pysot.utils.image import decode_image

SIDE = 511
TINY = 2.0  # pixels: smaller targets teach nothing
THIN = 20.0  # longer than that many times their width
SHARE = 1.5  # boxes that end within so many pixels of the corner are no boxes of pixels
_SHARES = "the boxes look like shares of the image in place of pixels; prepare the set again with tools/prepare_data.py"
SHEET = (8, 6)  # pictures across and down
CELL = 160


@dataclass
class Report:
    """What was found. `bad` are boxes whose crop cannot be used: video, track, frame and reason; `suspicious` are sentences about the whole set."""

    name: str
    boxes: int
    checked: int = 0
    bad: list[tuple[str, str, int, str]] = field(default_factory=list)
    suspicious: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, list[float]] = field(default_factory=dict)

    def as_json(self) -> dict:
        """For machines: the fields, and how many crops are bad."""
        return {**vars(self), "bad_count": len(self.bad)}


def check_boxes(annotation: TrackAnnotation) -> Report:
    """What the numbers say: sizes, shapes, shares in place of pixels, negative corners, boxes that come twice."""
    report, boxes = Report(annotation.name, len(annotation.boxes)), annotation.boxes
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    longer, shorter = np.maximum(width, height), np.minimum(width, height)
    percent = (0, 1, 10, 50, 90, 99, 100)
    report.sizes = {
        "percentiles": list(percent),
        "square root of area": np.percentile(np.sqrt(width * height), percent).round(2).tolist(),
        "width / height": np.percentile(width / height, percent).round(3).tolist(),
        "boxes per track": np.percentile(np.diff(annotation.box_offset), percent).tolist(),
    }
    starts = np.zeros(len(boxes), bool)
    starts[annotation.box_offset[:-1]] = True
    repeats = (np.diff(annotation.frames, prepend=-1) == 0) & ~starts
    report.counts = {
        "videos": annotation.video_count,
        "tracks": annotation.track_count,
        "boxes": len(boxes),
        "smaller than 2 pixels": int((longer < TINY).sum()),
        "more than 20 times as long as wide": int((longer > THIN * shorter).sum()),
        "begin far outside of the image": int(((boxes[:, 0] < -width) | (boxes[:, 1] < -height)).sum()),
        "frames that a track has twice": int(repeats.sum()),
        **{f"left out: {what}": count for what, count in annotation.dropped.items() if count},
    }
    shares = (boxes.max(axis=1) <= SHARE).mean()
    if shares > 0.01:
        report.suspicious.append(f"{shares:.0%} of them: {_SHARES}")
    for what in (
        "smaller than 2 pixels",
        "more than 20 times as long as wide",
        "begin far outside of the image",
        "frames that a track has twice",
    ):
        if report.counts[what] > 0.01 * len(boxes):
            report.suspicious.append(f"{report.counts[what]} boxes: {what}")
    if np.diff(annotation.box_offset).max() == 1 and annotation.frames.max() > 0:
        report.suspicious.append(
            "no track has more than one frame, though there are videos: frames may have become tracks"
        )
    return report


def check_crops(annotation: TrackAnnotation, report: Report, sample: int | None, progress: Callable) -> np.ndarray:
    """Read crops, all or `sample` of them at random, note bad ones and pictures that come again in `report`, and return a contact sheet (h, w, 3) uint8 of
    some of them. `progress` wraps the boxes, as tqdm does.
    """
    storage, seen, pictures = open_storage(annotation), {}, []
    chosen = np.arange(len(annotation.boxes)) if sample is None else chosen_boxes(annotation, sample)
    shown = set(np.random.default_rng(0).permutation(chosen)[: SHEET[0] * SHEET[1]].tolist())
    again: Counter = Counter()
    for video, track, box in progress(annotation.targets(chosen), total=len(chosen)):
        report.checked += 1
        try:
            data = storage.data(video, track, box)
            pixels = decode_image(data, storage.name(video, track, box))
            if pixels.shape != (SIDE, SIDE, 3):
                raise ValueError(
                    f"{storage.name(video, track, box)} has {pixels.shape[1]} x {pixels.shape[0]} pixels, expected {SIDE} x {SIDE}; make it again"
                )
        except (OSError, ValueError) as error:
            report.bad.append(
                (
                    annotation.videos[video].decode(),
                    annotation.tracks[track].decode(),
                    int(annotation.frames[box]),
                    str(error),
                )
            )
            continue
        digest = hashlib.blake2b(pixels.tobytes(), digest_size=8).digest()
        again["the same picture as another crop"] += digest in seen
        seen[digest] = box
        again["of one colour"] += int(pixels.std() < 1)
        if box in shown:
            pictures.append((storage.name(video, track, box), pixels, annotation.boxes[box]))
    report.counts |= {what: count for what, count in again.items() if count}
    if report.checked and sum(again.values()) > 0.01 * report.checked:
        report.suspicious.append(
            ", ".join(f"{count} crops are {what}" for what, count in again.items() if count) + f", of {report.checked}"
        )
    return contact_sheet(pictures)


def chosen_boxes(annotation: TrackAnnotation, sample: int, seed: int = 0) -> np.ndarray:
    """Random boxes, in order, at most as many as there are."""
    count = len(annotation.boxes)
    return np.sort(np.random.default_rng(seed).choice(count, min(sample, count), replace=False))


def check_annotations(
    annotations: Sequence[TrackAnnotation], storages: Sequence[CropFiles | CropPack], sample: int = 32, seed: int = 0
) -> list[str]:
    """Read a few crops of each set, quick enough for the start of a training run, and look at their boxes: what is suspicious, as sentences.

    Raises ValueError for a set of which not one crop can be read and has the size that training needs.
    """
    found = []
    for annotation, storage in zip(annotations, storages, strict=True):
        wrong, other, chosen = [], [], chosen_boxes(annotation, sample, seed)
        for target in annotation.targets(chosen):
            try:
                picture = storage.read(*target)
                if (picture.width, picture.height) != (SIDE, SIDE):
                    other.append(f"{storage.name(*target)} has {picture.width} x {picture.height} pixels")
            except (OSError, ValueError) as error:
                wrong.append(str(error))
        if other:
            told = (
                f"{annotation.name}: {len(other)} of {len(chosen)} crops drawn at random have other sizes than the {SIDE} x {SIDE} pixels that training "
                f"needs: {other[0]}. Make them again (par_crop.py {SIDE}), or correct DATASET.{annotation.name}.ROOT"
            )
            if len(other) + len(wrong) == len(chosen):
                raise ValueError(told)
            found.append(told)
        if len(wrong) == len(chosen):
            raise ValueError(
                f"{annotation.name}: none of {len(chosen)} crops drawn at random can be read: {wrong[0]}. Is DATASET.{annotation.name}.ROOT "
                "right?"
            )
        if wrong:
            found.append(
                f"{annotation.name}: {len(wrong)} of {len(chosen)} crops drawn at random cannot be read, the first: {wrong[0]}. tools/check_data.py "
                "lists all of them, to be left out"
            )
        if (annotation.boxes[chosen].max(axis=1) <= SHARE).mean() > 0.5:
            found.append(f"{annotation.name}: {_SHARES}")
    return found


def contact_sheet(pictures: list[tuple[str, np.ndarray, np.ndarray]]) -> np.ndarray:
    """Crops in rows with the box that training sees, and the ends of their names."""
    across, down = SHEET
    sheet = np.full((down * (CELL + 14), across * CELL, 3), 255, np.uint8)
    for place, (name, pixels, box) in enumerate(pictures):
        row, column = divmod(place, across)
        drawn = pixels.copy()
        x1, y1, x2, y2 = (round(value) for value in centred_box(pixels.shape, box))
        cv2.rectangle(drawn, (x1, y1), (x2, y2), (0, 220, 255), 3)
        top, left = row * (CELL + 14), column * CELL
        sheet[top : top + CELL - 2, left : left + CELL - 2] = cv2.resize(
            drawn, (CELL - 2, CELL - 2), interpolation=cv2.INTER_AREA
        )
        cv2.putText(
            sheet, name[-30:-6], (left + 2, top + CELL + 9), cv2.FONT_HERSHEY_SIMPLEX, 0.32, (0, 0, 0), 1, cv2.LINE_AA
        )
    return sheet
