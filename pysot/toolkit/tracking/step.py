"""Parts that all ways of tracking a sequence share: the result of one frame, requests, usable ground truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pysot.toolkit.protocol import Answer, Request, Steps
from pysot.toolkit.results.trajectory import Trajectory


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


def is_usable(region: np.ndarray) -> bool:
    """Return whether ground truth is known and has an area: a tracker may start on it, and can miss it."""
    return bool(np.isfinite(region).all()) and (len(region) == 8 or min(region[2:]) > 0)


def polygon_of(outputs: dict[str, Any]) -> Any:
    """Return the target's polygon, 8 numbers; None in the outputs of a tracker of boxes."""
    polygon, mask = outputs.get("polygon"), outputs.get("target_mask")
    return mask.polygon() if polygon is None and mask is not None else polygon


def mask_text(outputs: dict[str, Any] | None) -> str:
    """Return the target's mask as text, "" if the outputs have none or it was not asked for."""
    mask = None if outputs is None else outputs.get("target_mask")
    return mask.region().text() if mask is not None and mask.is_wanted else ""


def advance(steps: Steps, answer: Answer | None = None) -> Request | Trajectory:
    """Return the next request of `steps` after an answer (None at its start), or at its end the trajectory."""
    try:
        return next(steps) if answer is None else steps.send(answer)
    except StopIteration as end:
        return end.value
