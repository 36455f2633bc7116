"""Accuracy, robustness and losses of the supervised VOT protocol, in the arithmetic of papers built on pysot."""

import warnings
from collections.abc import Sequence as Listing
from dataclasses import dataclass

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.region.raster import corners_of, overlaps, reduce_corners
from pysot.toolkit.results.files import START, Trajectory


@dataclass(frozen=True)
class Run:
    """One repetition on one sequence.

    Overlaps (N,) are NaN where the tracker gave no region: `overlap` in the full image, for accuracy; `overlap_eao` in
    the image without its last row and column, for EAO.
    """

    sequence: Sequence
    trajectory: Trajectory
    overlap: np.ndarray
    overlap_eao: np.ndarray


def measure(sequences: list[Sequence], trajectories: list[Trajectory]) -> list[Run]:
    """Return the runs of all trajectories on their sequences; their overlaps are computed together."""
    for sequence, trajectory in zip(sequences, trajectories, strict=True):
        if len(sequence) != len(trajectory):
            raise ValueError(f"{sequence.name} has {len(sequence)} frames, the trajectory {len(trajectory)}")
    if not sequences:
        return []
    lengths = [len(sequence) for sequence in sequences]
    truth = np.concatenate([sequence.corners for sequence in sequences])
    predicted = corners_of(np.concatenate([trajectory.regions for trajectory in trajectories]))
    width = np.repeat([sequence.width for sequence in sequences], lengths)
    height = np.repeat([sequence.height for sequence in sequences], lengths)
    full = overlaps(predicted, truth, width, height)
    # pysot-compat: accuracy is bounded by (width, height), EAO by (width - 1, height - 1); only regions at the right or
    # lower edge see it. test: toolkit/evaluation/test_accuracy_robustness.py::test_eao_leaves_out_the_last_column
    reach = np.fmax(reduce_corners(np.maximum, predicted), reduce_corners(np.maximum, truth))
    edge = np.flatnonzero((reach[:, 0] > width - 1) | (reach[:, 1] > height - 1))
    inner = full.copy()
    inner[edge] = overlaps(predicted[edge], truth[edge], width[edge] - 1, height[edge] - 1)
    cuts = np.cumsum(lengths)[:-1]
    return [
        Run(*parts) for parts in zip(sequences, trajectories, np.split(full, cuts), np.split(inner, cuts), strict=True)
    ]


def overlap_after_burn_in(run: Run, burn_in: int) -> np.ndarray:
    """Return the overlaps for accuracy: NaN on each start frame and the burn_in - 1 frames after it."""
    overlap = run.overlap.copy()
    for start in np.flatnonzero(run.trajectory.codes == START):
        overlap[start : start + burn_in] = np.nan
    return overlap


@dataclass(frozen=True)
class VideoScore:
    """Score of one tracker on one video, averaged over repetitions.

    Accuracy (mean overlap, NaN if no frame counts), number of losses, and overlaps (N,).
    """

    accuracy: float
    lost: float
    overlap: np.ndarray


def video_score(runs: list[Run], burn_in: int) -> VideoScore:
    """Score the repetitions on one sequence."""
    overlap = nanmean([overlap_after_burn_in(run, burn_in) for run in runs], axis=0)
    return VideoScore(float(nanmean(overlap)), float(np.mean([len(run.trajectory.failures) for run in runs])), overlap)


def accuracy_robustness_lost(videos: list[VideoScore]) -> tuple[float, float, float]:
    """Return mean overlap of all frames of all videos, losses per 100 frames, number of losses (per repetition)."""
    overlap = np.concatenate([video.overlap for video in videos])
    lost = float(sum(video.lost for video in videos))
    return float(nanmean(overlap)), lost / len(overlap) * 100, lost


def tag_score(tag: str, grouped: dict[str, list[Run]], videos: dict[str, VideoScore]) -> tuple[float, float]:
    """Return accuracy of the frames with a tag, and the number of losses at them (per repetition), over all videos.

    `grouped` are the runs, `videos` the scores by the name of the video. The tag `all` means all frames, `empty` those
    without any tag.
    """
    overlaps, lost = [], 0.0
    for name, runs in grouped.items():
        tagged = _frames_with(tag, runs[0].sequence)
        overlaps.append(videos[name].overlap[tagged])
        lost += sum(int(tagged[run.trajectory.failures].sum()) for run in runs) / len(runs)
    return float(nanmean(np.concatenate(overlaps))), lost


def _frames_with(tag: str, sequence: Sequence) -> np.ndarray:
    """Return whether each frame (N,) has the tag."""
    no_frame = np.zeros(len(sequence), bool)
    if tag in ("all", "empty"):
        return ~no_frame if tag == "all" else ~np.any([no_frame, *sequence.tags.values()], axis=0)
    return sequence.tags.get(tag, no_frame)


def nanmean(values: np.ndarray | Listing[np.ndarray], axis: int | None = None) -> np.ndarray:
    """Return np.nanmean, NaN without a warning where there is no number; a scalar if `axis` is None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(values, axis=axis)
