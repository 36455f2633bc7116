"""DAVIS: `JPEGImages/480p/<sequence>/*.jpg` and `Annotations/480p/<sequence>/*.png`.

A mask of DAVIS 2017 is a palette image: each of its numbers is an object with a track of that number. Any other mask,
as in DAVIS 2016, is one track, 00: what is not black, which may be several things. A box is the bounds of a mask.
"""

from collections import Counter
from pathlib import Path

from pysot.datasets.raw.masks import LabelMask, Mask, read_frame_labels
from pysot.datasets.raw.sequences import SequenceSet
from pysot.datasets.raw.video import Box, RawFrame, track_name
from pysot.utils.names import list_images


def _find_folders(root: Path) -> list[Path]:
    folder = root / "JPEGImages" / "480p"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _read_frames(folder: Path, counts: Counter) -> list[RawFrame]:
    """Read a sequence. Images without a mask of the same name do not belong to it; they are counted."""
    mask_folder = folder.parents[2] / "Annotations" / folder.parent.name / folder.name
    images = list_images(folder)
    pairs = [(image, mask) for image in images if (mask := mask_folder / f"{image.stem}.png").is_file()]
    if not pairs:
        raise ValueError(f"no image has a mask in {mask_folder}")
    counts["images without a mask"] += len(images) - len(pairs)
    frames = []
    for number, (image, mask) in enumerate(pairs):
        boxes, masks = _read_objects(mask, image, counts)
        if boxes:
            frames.append(RawFrame(image, number, boxes, masks))
        else:
            counts["degenerate"] += 1
    return frames


def _read_objects(path: Path, image: Path, counts: Counter) -> tuple[dict[str, Box], dict[str, Mask]]:
    """Return boxes and masks of the tracks in a mask file; there are none if it cannot be used."""
    labels = read_frame_labels(path, image, counts)
    if labels is None:
        return {}, {}
    boxes = labels.boxes()
    tracks = {number: track_name(number if labels.has_palette else 0) for number in boxes}
    return (
        {tracks[number]: box for number, box in boxes.items()},
        {tracks[number]: LabelMask(path, number) for number in boxes},
    )


DAVIS = SequenceSet(
    "davis",
    _find_folders,
    _read_frames,
    "JPEGImages/480p/<sequence>/*.jpg and Annotations/480p/<sequence>/*.png",
    has_masks=True,
)
