"""DAVIS: `JPEGImages/480p/<sequence>/*.jpg` and `Annotations/480p/<sequence>/*.png`.

A box is the bounds of all objects in the mask.
"""

import logging
from collections import Counter
from pathlib import Path

import numpy as np

from pysot.datasets.raw.sequences import SequenceSet, single_track
from pysot.datasets.raw.video import Box, RawFrame
from pysot.utils.image import read_image
from pysot.utils.names import list_images

logger = logging.getLogger(__name__)


def _find_folders(root: Path) -> list[Path]:
    folder = root / "JPEGImages" / "480p"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _read_frames(folder: Path, counts: Counter) -> list[RawFrame]:
    """Read a sequence. Images without a mask of the same name do not belong to it."""
    mask_folder = folder.parents[2] / "Annotations" / folder.parent.name / folder.name
    pairs = [(image, mask_folder / f"{image.stem}.png") for image in list_images(folder)]
    pairs = [(image, mask) for image, mask in pairs if mask.is_file()]
    if not pairs:
        raise ValueError(f"no image has a mask in {mask_folder}")
    images, masks = zip(*pairs, strict=True)
    return single_track(images, masks, lambda mask: _mask_box(mask, counts), counts)


def _mask_box(path: Path, counts: Counter) -> Box | None:
    try:
        return mask_bounds(read_image(path))
    except (OSError, ValueError) as error:
        logger.warning("left out: %s", error)
        counts["unreadable masks"] += 1
        return None


def mask_bounds(mask: np.ndarray) -> Box | None:
    """Return the xyxy bounds of the non-zero pixels, x2 and y2 one past the last; None for an empty mask."""
    inside = np.asarray(mask.any(axis=2) if mask.ndim == 3 else mask > 0)
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    if not len(columns):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


DAVIS = SequenceSet(
    "davis", _find_folders, _read_frames, "JPEGImages/480p/<sequence>/*.jpg and Annotations/480p/<sequence>/*.png"
)
