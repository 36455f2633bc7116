"""Trajectory of a tracker on one sequence."""

from collections.abc import Sequence as Listing
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from pysot.toolkit.region.raster import region_table
from pysot.toolkit.results.soft_masks import SoftMask
from pysot.utils.masks import Mask

SKIPPED, START, LOST, TRACKED = 0, 1, 2, 3


@dataclass(frozen=True)
class Trajectory:
    """Output of one run on one sequence.

    codes       (N,) int8: SKIPPED, START, LOST or TRACKED
    regions     (N, 8) float64, see `region.region_table`, NaN where the code is not TRACKED
    seconds     (N,) float64 per frame, or None
    confidence  (N,) float64 of the tracker, NaN for frames without one, or None
    batch       (N,) int64, the number of targets that shared the seconds of a frame; None if the tracker had one target
    masks       regions that are masks, by frame from 0; their bounding boxes are in `regions`
    soft_masks  of each frame, of an object whose result are label images; else empty
    target_masks    texts of the target's mask by frame, see `Mask.text`, "" for none. They are drawn, the regions are
                scored. Empty for a tracker without masks, and where its masks are the regions
    """

    codes: np.ndarray
    regions: np.ndarray
    seconds: np.ndarray | None = None
    confidence: np.ndarray | None = None
    masks: dict[int, Mask] = field(default_factory=dict)
    batch: np.ndarray | None = None
    target_masks: Listing[str] = ()
    soft_masks: Listing[SoftMask] = ()

    def __post_init__(self) -> None:
        n = len(self.codes)
        per_frame = (self.seconds, self.confidence, self.batch)
        wrong_values = any(values is not None and values.shape != (n,) for values in per_frame)
        if self.codes.ndim != 1 or n == 0 or self.regions.shape != (n, 8) or wrong_values:
            parts = (self.codes, self.regions, *per_frame)
            shapes = [None if part is None else part.shape for part in parts]
            raise ValueError(
                "a trajectory needs codes (N,), regions (N, 8), seconds, confidence and batch (N,) or None with N > 0, "
                f"got {shapes}"
            )
        if self.codes.min() < SKIPPED or self.codes.max() > TRACKED:
            raise ValueError(f"codes are 0 to 3, got {np.unique(self.codes).tolist()}")
        finite = np.isfinite(self.regions[:, :4]).all(axis=1)
        if not np.array_equal(finite, self.codes == TRACKED):
            frame = int(np.flatnonzero(finite != (self.codes == TRACKED))[0]) + 1
            raise ValueError(f"frame {frame}: tracked frames need a finite region, other frames none")

    @classmethod
    def from_frames(
        cls,
        frames: Listing | np.ndarray,
        seconds: ArrayLike | None = None,
        confidence: ArrayLike | None = None,
        batch: Listing[int] = (),
        target_masks: Listing[str] = (),
    ) -> "Trajectory":
        """Build a trajectory from one entry per frame: 0, 1 or 2, a region of 4 or 8 numbers, or a mask.

        A `batch` of zeros is the same as None, `target_masks` of "" the same as none.
        """
        tracked = [not np.isscalar(frame) for frame in frames]
        entries = list(zip(frames, tracked, strict=True))
        codes = np.array([TRACKED if is_region else int(frame) for frame, is_region in entries], np.int8)
        regions = np.full((len(frames), 8), np.nan)
        masks = {index: frame for index, frame in enumerate(frames) if isinstance(frame, Mask)}
        regions[tracked] = region_table(
            [frame.box if isinstance(frame, Mask) else frame for frame, is_region in entries if is_region]
        )
        return cls(
            codes,
            regions,
            seconds=None if seconds is None else np.asarray(seconds, np.float64),
            confidence=None if confidence is None else np.asarray(confidence, np.float64),
            masks=masks,
            batch=np.asarray(batch, np.int64) if any(batch) else None,
            target_masks=target_masks if any(target_masks) else (),
        )

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def failures(self) -> np.ndarray:
        """Return the frames, from 0, at which the target was lost."""
        return np.flatnonzero(self.codes == LOST)
