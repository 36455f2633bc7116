"""Functions of the original's `toolkit.utils.statistics`."""

from collections.abc import Sequence

import numpy as np

from pysot.toolkit.evaluation.accuracy_robustness import nanmean
from pysot.toolkit.evaluation.longterm import RESOLUTION, Video, precision_recall, pysot_thresholds
from pysot.toolkit.evaluation.ope import OVERLAPS, box_overlaps, count_above, count_within
from pysot.toolkit.results.trajectory import LOST, START
from toolkit.utils.region import Numbers, vot_overlap_traj

Trajectory = Sequence[Numbers]


def calculate_failures(trajectory: Trajectory) -> tuple[int, list[int]]:
    """Return the number of losses and their frames, from 0."""
    failures = [frame for frame, region in enumerate(trajectory) if len(region) == 1 and region[0] == LOST]
    return len(failures), failures


def calculate_accuracy(
    pred_trajectory: Trajectory,
    gt_trajectory: Trajectory,
    burnin: int = 0,
    ignore_unknown: bool = True,
    bound: Sequence[float] | None = None,
) -> tuple[float, list[float]]:
    """Return the mean overlap and the overlap of each frame, NaN where there is no region.

    The start frame and the `burnin` - 1 frames after it do not count. Without `ignore_unknown`, frames without a region
    count as 0. `bound` is that of `vot_overlap`. Only the frames that both trajectories have are compared.
    """
    frames = min(len(pred_trajectory), len(gt_trajectory))
    overlaps = np.array(vot_overlap_traj(pred_trajectory[:frames], gt_trajectory[:frames], bound))
    if not ignore_unknown:
        overlaps = np.nan_to_num(overlaps)
    for frame, region in enumerate(pred_trajectory[:frames]):
        if len(region) == 1 and region[0] == START:
            overlaps[frame : frame + burnin] = np.nan
    return float(nanmean(overlaps)) if frames else 0.0, overlaps.tolist()


def calculate_expected_overlap(fragments: np.ndarray, fweights: np.ndarray) -> np.ndarray:
    """Return the expected overlap (L,) by length of fragments (F, L), NaN after their end, with weights (F,).

    At a length it is the weighted mean, over the fragments that reach it, of their mean overlap on frames 1 to there; 1
    at length 0, and 0 where no fragment is so long.
    """
    reached = ~np.isnan(fragments)
    means = np.cumsum(np.nan_to_num(fragments[:, 1:]), axis=1) / np.arange(1, fragments.shape[1])
    weights = reached[:, 1:] * fweights[:, None]
    total = weights.sum(axis=0)
    curve = np.divide((means * weights).sum(axis=0), total, out=np.zeros(len(total)), where=total > 0)
    return np.concatenate([[1.0], curve])


def overlap_ratio(rect1: np.ndarray, rect2: np.ndarray) -> np.ndarray:
    """Return the row-wise overlap (N,) in [0, 1] of boxes (N, 4) xywh."""
    return box_overlaps(rect1, rect2)


def success_overlap(gt_bb: np.ndarray, result_bb: np.ndarray, n_frame: int) -> np.ndarray:
    """Return the shares (21,) of `n_frame` frames whose overlap is above 0, 0.05, ..., 1; boxes (N, 4) xywh."""
    overlap = np.where((gt_bb[:, 2:] > 0).all(axis=1), box_overlaps(gt_bb, result_bb), -1.0)
    return count_above(overlap, OVERLAPS) / n_frame


def success_error(gt_center: np.ndarray, result_center: np.ndarray, thresholds: np.ndarray, n_frame: int) -> np.ndarray:
    """Return the shares of `n_frame` frames whose centres (N, 2) are at most each threshold apart."""
    distance = np.linalg.norm(gt_center - result_center, axis=1)
    return count_within(np.where((gt_center > 0).all(axis=1), distance, -1.0), thresholds) / n_frame


def determine_thresholds(scores: np.ndarray, resolution: int = RESOLUTION) -> np.ndarray:
    """Return `resolution` thresholds of the confidence, from minus infinity up."""
    return pysot_thresholds(np.asarray(scores, np.float64), resolution)[::-1]


def calculate_f1(
    overlaps: Sequence[float] | np.ndarray,
    score: Sequence[float] | np.ndarray,
    bound: Sequence[float] | None,
    thresholds: np.ndarray,
    N: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return F1, precision and recall at each threshold of one video, whose target is visible in `N` frames.

    `bound` is the original's and is not used, neither there nor here.
    """
    video = Video(np.asarray(overlaps, np.float64), np.asarray(score, np.float64), N)
    precision, recall = precision_recall(video, thresholds, official=False)
    with np.errstate(invalid="ignore"):
        return 2 * precision * recall / (precision + recall), precision, recall
