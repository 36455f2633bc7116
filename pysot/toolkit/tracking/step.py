"""What happens on a frame, whatever the protocol."""

from dataclasses import dataclass

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.utils.image import read_image


@dataclass(frozen=True)
class Step:
    """What happened on one frame: its index from 0, its image (None if it was skipped and not read), the entry of the result file (0, 1, 2 or a
    region), and what the tracker said (None unless it tracked). On a loss `outputs` still has the region that missed.
    """

    index: int
    image: np.ndarray | None
    entry: object
    outputs: dict | None


def read_frame(sequence: Sequence, index: int) -> np.ndarray:
    """The image (H, W, 3) uint8 BGR of a frame, from 0. Raises ValueError or FileNotFoundError that names sequence and frame."""
    try:
        return read_image(sequence.frame_paths[index])
    except (OSError, ValueError) as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(f"sequence {sequence.name}, frame {index + 1}: {error}") from error


def is_usable(region: np.ndarray) -> bool:
    """Whether ground truth is known and has an area: a tracker may start on it, and can miss it."""
    return bool(np.isfinite(region).all()) and (len(region) == 8 or min(region[2:]) > 0)
