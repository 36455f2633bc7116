"""Parts that all ways of tracking a sequence share: the tracker's interface, one frame, usable ground truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.utils.image import read_image


@dataclass(frozen=True)
class Step:
    """Result of one frame.

    `index` counts from 0; `image` is None if the frame was skipped and not read; `entry` is that of the result file (0,
    1, 2 or a region); `outputs` are the tracker's, None unless it tracked. On a loss `outputs` still has the region
    that missed.
    """

    index: int
    image: np.ndarray | None
    entry: int | np.ndarray
    outputs: dict[str, Any] | None


def read_frame(sequence: Sequence, index: int) -> np.ndarray:
    """Read the image (H, W, 3) uint8 BGR of a frame, from 0.

    Raises ValueError or FileNotFoundError that names sequence and frame.
    """
    try:
        return read_image(sequence.frame_paths[index])
    except (OSError, ValueError) as error:
        error_type = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise error_type(f"sequence {sequence.name}, frame {index + 1}: {error}") from error


def is_usable(region: np.ndarray) -> bool:
    """Return whether ground truth is known and has an area: a tracker may start on it, and can miss it."""
    return bool(np.isfinite(region).all()) and (len(region) == 8 or min(region[2:]) > 0)
