"""What a tracker did on one video."""

from collections.abc import Sequence as Listing
from dataclasses import dataclass, field

import numpy as np

from pysot.toolkit.region.raster import region_table
from pysot.utils.masks import Mask

SKIPPED, START, LOST, TRACKED = 0, 1, 2, 3


@dataclass(frozen=True)
class Trajectory:
    """One run over one video. codes (N,) int8: SKIPPED, START, LOST or TRACKED; regions (N, 8) float64, see region.region_table, NaN where the code
    is not TRACKED; seconds (N,) float64 or None; confidence (N,) float64, the tracker's confidence, NaN where it gave none, or None; masks by frame from 0, whose
    boxes are in `regions`.
    """

    codes: np.ndarray
    regions: np.ndarray
    seconds: np.ndarray | None = None
    confidence: np.ndarray | None = None
    masks: dict[int, Mask] = field(default_factory=dict)

    def __post_init__(self):
        n = len(self.codes)
        if (
            self.codes.ndim != 1
            or n == 0
            or self.regions.shape != (n, 8)
            or any(part is not None and part.shape != (n,) for part in (self.seconds, self.confidence))
        ):
            shapes = [
                None if part is None else part.shape
                for part in (self.codes, self.regions, self.seconds, self.confidence)
            ]
            raise ValueError(
                f"a trajectory needs codes (N,), regions (N, 8), seconds and confidence (N,) or None with N > 0, got {shapes}"
            )
        if self.codes.min() < SKIPPED or self.codes.max() > TRACKED:
            raise ValueError(f"codes are 0 to 3, got {np.unique(self.codes).tolist()}")
        complete = np.isfinite(self.regions[:, :4]).all(axis=1)
        if not np.array_equal(complete, self.codes == TRACKED):
            frame = int(np.flatnonzero(complete != (self.codes == TRACKED))[0]) + 1
            raise ValueError(f"frame {frame}: exactly the tracked frames have a region of finite numbers")

    @classmethod
    def from_frames(cls, frames: Listing, seconds=None, confidence=None) -> "Trajectory":
        """From one entry per frame: 0, 1 or 2, or a region of 4 or 8 numbers."""
        tracked = [not np.isscalar(frame) for frame in frames]
        codes = np.array(
            [TRACKED if is_region else int(frame) for frame, is_region in zip(frames, tracked, strict=True)], np.int8
        )
        regions = np.full((len(frames), 8), np.nan)
        regions[tracked] = region_table([frame for frame, is_region in zip(frames, tracked, strict=True) if is_region])
        return cls(
            codes, regions, *(None if part is None else np.asarray(part, np.float64) for part in (seconds, confidence))
        )

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def failures(self) -> np.ndarray:
        """Frames at which the target was lost, from 0."""
        return np.flatnonzero(self.codes == LOST)
