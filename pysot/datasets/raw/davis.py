"""DAVIS: `JPEGImages/480p/<sequence>/*.jpg` and `Annotations/480p/<sequence>/*.png`; a box is the bounds of everything
in the mask.
"""

import logging
from collections import Counter
from pathlib import Path

import numpy as np

from pysot.datasets.raw.sequences import SequenceSet, single_track
from pysot.datasets.raw.video import RawFrame
from pysot.utils.image import read_image
from pysot.utils.names import list_images

logger = logging.getLogger(__name__)


def _folders(root: Path) -> list[Path]:
    folder = root / "JPEGImages" / "480p"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _read(folder: Path, counts: Counter) -> list[RawFrame]:
    """Images without a mask of their name are no part of the sequence."""
    masks = folder.parents[2] / "Annotations" / folder.parent.name / folder.name
    pairs = [(image, masks / f"{image.stem}.png") for image in list_images(folder)]
    pairs = [(image, mask) for image, mask in pairs if mask.is_file()]
    if not pairs:
        raise ValueError(f"no image has a mask in {masks}")
    images, masks = zip(*pairs, strict=True)
    return single_track(images, masks, lambda mask: _mask_box(mask, counts), counts)


def _mask_box(path: Path, counts: Counter) -> tuple[float, float, float, float] | None:
    try:
        return mask_bounds(read_image(path))
    except (OSError, ValueError) as error:
        logger.warning("left out: %s", error)
        counts["unreadable masks"] += 1
        return None


def mask_bounds(mask: np.ndarray) -> tuple[float, float, float, float] | None:
    """xyxy around the pixels that are not 0, the far side one pixel behind the last; None for an empty mask."""
    inside = mask.any(axis=2) if mask.ndim == 3 else mask > 0
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)) if len(columns) else None


DAVIS = SequenceSet("davis", _folders, _read, "JPEGImages/480p/<sequence>/*.jpg and Annotations/480p/<sequence>/*.png")
