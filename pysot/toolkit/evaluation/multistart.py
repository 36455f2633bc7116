"""VOT since 2020: runs from every anchor of a sequence, forwards or backwards, without restarts.

The arithmetic is that of the official toolkit (vot-toolkit 0.9). A run fails at the first of ten frames in a row whose
overlap is 0.1 or less while the target is visible. Accuracy is the mean overlap before failures, robustness the share
of frames before them, both averaged over sequences (by robust frames, and by frames). The expected overlap at length j
is the mean, over the runs that reach it or failed before, of their mean overlap on frames 1..j. Kristan et al., The
eighth visual object tracking VOT2020 challenge results, 2020.
"""

from dataclasses import dataclass

import numpy as np

GRACE, THRESHOLD = 10, 0.1


@dataclass(frozen=True)
class AnchorRun:
    """Run from one anchor: its overlaps (n,), and in which of its frames (n,) the target is visible."""

    overlap: np.ndarray
    visible: np.ndarray

    @property
    def progress(self) -> int:
        """Number of frames before the failure; all of them if there is none."""
        poor, poor_in_a_row = (self.overlap <= THRESHOLD) & self.visible, 0
        for frame, is_poor in enumerate(poor.tolist()):
            poor_in_a_row = poor_in_a_row + 1 if is_poor else 0
            if poor_in_a_row == GRACE:
                return frame + 1 - GRACE
        return len(self.overlap)


@dataclass(frozen=True)
class SequenceScore:
    """Accuracy and robustness of the runs on one sequence.

    `robust` is the number of frames before failures, `frames` the length of the sequence.
    """

    accuracy: float
    robustness: float
    robust: int
    frames: int


def sequence_score(runs: list[AnchorRun], frames: int) -> SequenceScore:
    """Score all runs on a sequence of `frames` frames."""
    robust, total = sum(run.progress for run in runs), sum(len(run.overlap) for run in runs)
    overlap_sum = float(sum(run.overlap[: run.progress].sum() for run in runs))
    return SequenceScore(overlap_sum / robust if robust else 0.0, robust / total, robust, frames)


def accuracy_robustness(scores: list[SequenceScore]) -> tuple[float, float]:
    """Return accuracy and robustness of all sequences."""
    robust, frames = np.array([score.robust for score in scores]), np.array([score.frames for score in scores])
    accuracy = float(np.average([score.accuracy for score in scores], weights=robust)) if robust.any() else 0.0
    return accuracy, float(np.average([score.robustness for score in scores], weights=frames))


def expected_overlap(runs: list[AnchorRun], high: int) -> np.ndarray:
    """Return the expected overlap (high,) by length, 0 at length 0 and where no run counts."""
    total, active = np.zeros(high), np.zeros(high)
    for run in runs:
        failed, n = run.progress < len(run.overlap), min(len(run.overlap), high)
        overlap = np.where(np.arange(len(run.overlap)) < run.progress, run.overlap, 0.0)
        sums = np.cumsum(overlap[1:])
        total[1:n] += sums[: n - 1] / np.arange(1, n)
        active[1:n] += 1
        if failed and n < high:
            # as in the official toolkit: beyond its end a failed run's sum is divided by one less than the length
            total[n:] += (sums[-1] if len(sums) else 0.0) / np.arange(n - 1, high - 1)
            active[n:] += 1
    return np.divide(total, active, out=np.zeros(high), where=active > 0)


def expected_average_overlap(curve: np.ndarray, low: int, high: int) -> float:
    """Return the mean of the curve over lengths low..high."""
    return float(curve[low : high + 1].mean())
