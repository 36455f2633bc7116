"""Trackers of one target with `init` and `track`, over a BatchTracker of one slot. They do not need torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.settings import TrackSettings
from pysot.utils.image import as_bgr


class OneTargetTracker:
    """Tracker with `init(frame, box)` for the first frame and `track(frame)` for every further frame.

    Frames are uint8, BGR or grey; boxes are xywh in pixels.
    """

    def __init__(self, batch: BatchTracker):
        """Take a batch tracker with one slot."""
        self.batch = batch

    @property
    def settings(self) -> TrackSettings:
        """Current settings."""
        return self.batch.settings

    @property
    def center_pos(self) -> np.ndarray | None:
        """Centre (x, y) of the target in pixels of the frame, None before `init`."""
        return self.batch.targets[0, :2].copy() if self.batch.active[0] else None

    @property
    def size(self) -> np.ndarray | None:
        """Width and height of the target in pixels of the frame, None before `init`."""
        return self.batch.targets[0, 2:].copy() if self.batch.active[0] else None

    def init(self, img: np.ndarray, bbox: Sequence[float] | np.ndarray) -> None:
        """Start on a frame (H, W[, C]) and the target box xywh. Raises ValueError for an invalid box or frame."""
        self.batch.start([0], [img], [bbox])

    def track(self, img: np.ndarray) -> dict[str, Any]:
        """Find the target in the next frame.

        Returns {"bbox": [x, y, w, h], "best_score": confidence in [0, 1]}. Raises RuntimeError before `init`, and
        ValueError for an invalid frame, and if the network returns NaN or infinity; then the target has to start again.
        """
        if not self.batch.active[0]:
            raise RuntimeError("track() needs a target; call init(frame, box) first")
        boxes, confidences = self.batch.track([as_bgr(img)])
        if self.batch.failures:
            raise self.batch.failures[0]
        return {"bbox": boxes[0].tolist(), "best_score": float(confidences[0])}


class LongTermTracker(OneTargetTracker):
    """OneTargetTracker of a batch tracker with a lost state."""

    @property
    def longterm_state(self) -> bool:
        """True while the target counts as lost."""
        return bool(self.batch.lost[0])


class MaskTracker(OneTargetTracker):
    """OneTargetTracker that also returns masks. The network of its batch tracker has masks."""

    def track(self, img: np.ndarray, with_mask: bool | None = None) -> dict[str, Any]:
        """Find the target in the next frame. Errors are those of `OneTargetTracker.track`.

        Returns {"bbox": [x, y, w, h], "best_score": confidence in [0, 1], "polygon": 8 numbers, "target_mask":
        `TargetMask`}, and with `with_mask` (default: TRACK.MASK_OUTPUT) "mask": probabilities of the frame's pixels,
        (H, W) float32. Without, outputs["mask"] computes them at its first use.
        """
        outputs = MaskOutputs(super().track(img))
        outputs["target_mask"] = target = self.batch.masks[0]
        outputs["polygon"] = target.polygon().tolist()
        if self.settings.mask_output if with_mask is None else with_mask:
            outputs["mask"] = target.in_frame()
        return outputs


class MaskOutputs(dict):
    """Outputs of a frame; "mask" is laid back into the frame when it is asked for."""

    def __missing__(self, key: str) -> np.ndarray:
        if key != "mask":
            raise KeyError(key)
        self[key] = self["target_mask"].in_frame()
        return self[key]
