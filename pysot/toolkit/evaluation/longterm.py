"""Long-term tracking: precision and recall at thresholds of the tracker's confidence, and their F measure.

At a threshold, precision is the mean overlap of the frames whose confidence is at or above it, recall the sum of their
overlaps over the number of frames that show the target; both are means over videos. The score is the best
F = 2PR / (P + R) over the thresholds. Lukezic et al., Now you see me: evaluating performance in long-term visual
tracking, 2018.
"""

from dataclasses import dataclass, replace

import numpy as np

RESOLUTION = 100  # thresholds, of which the first and the last are infinite


@dataclass(frozen=True)
class Video:
    """Result of a tracker on one video.

    Overlap (N,) in [0, 1] and confidence (N,) of each frame, NaN where it is unknown, and the number of frames that
    show the target.
    """

    overlap: np.ndarray
    confidence: np.ndarray
    visible: int


@dataclass(frozen=True)
class LongTermScore:
    """Best F1 with its precision and recall; and all precisions and recalls by threshold (T,), highest first."""

    f1: float
    precision: float
    recall: float
    precisions: np.ndarray
    recalls: np.ndarray


def pysot_thresholds(confidences: np.ndarray, resolution: int = RESOLUTION) -> np.ndarray:
    """Return pysot's `resolution` thresholds, from infinity down, for all confidences of a tracker.

    The original raises IndexError for fewer than 98 confidences; here the indices stay within the list.
    """
    ordered = np.sort(confidences[~np.isnan(confidences)])
    if not len(ordered):
        return np.array([np.inf, -np.inf])
    step = len(ordered) // (resolution - 2)
    # pysot-compat: the indices begin one before the step, and are rounded half up.
    # test: toolkit/evaluation/test_runs.py::test_thresholds
    indices = np.floor(np.linspace(step - 1, len(ordered) - step, resolution - 2) + 0.5).astype(np.int64)
    return np.concatenate([[np.inf], ordered[np.clip(indices, 0, len(ordered) - 1)][::-1], [-np.inf]])


def official_thresholds(confidences: np.ndarray) -> np.ndarray:
    """Return the thresholds of the official toolkit (vot-toolkit 0.9), from infinity down."""
    ordered = np.sort(confidences[~np.isnan(confidences)])[::-1]
    if len(ordered) > RESOLUTION - 2:
        step = len(ordered) // (RESOLUTION - 2)
        indices = np.rint(np.linspace(step, len(ordered) - step, RESOLUTION - 2)).astype(np.int64)
        ordered = ordered[np.minimum(indices, len(ordered) - 1)]
    return np.concatenate([[np.inf], ordered, [-np.inf]])


def long_term_score(videos: list[Video], official: bool) -> LongTermScore:
    """Score all videos in pysot's or the official toolkit's arithmetic.

    Raises ValueError for a video that never shows its target.
    """
    if any(video.visible < 1 for video in videos):
        raise ValueError("a video never shows its target: recall is undefined")
    if not official:
        videos = [replace(video, confidence=_without_first(video.confidence)) for video in videos]
    confidences = np.concatenate([video.confidence for video in videos])
    if official:
        thresholds = official_thresholds(np.nan_to_num(confidences, nan=0.0))
    else:
        thresholds = pysot_thresholds(confidences)
    pairs = [precision_recall(video, thresholds, official) for video in videos]
    precisions, recalls = (np.mean(values, axis=0) for values in zip(*pairs, strict=True))
    with np.errstate(invalid="ignore"):
        f1 = np.nan_to_num(2 * precisions * recalls / (precisions + recalls))
    best = int(np.argmax(f1))
    return LongTermScore(float(f1[best]), float(precisions[best]), float(recalls[best]), precisions, recalls)


def _without_first(confidence: np.ndarray) -> np.ndarray:
    # pysot-compat: the confidence of a video's first frame is read as NaN, whatever its value.
    # test: toolkit/evaluation/test_runs.py::test_the_first_confidence
    return np.where(np.arange(len(confidence)) == 0, np.nan, confidence)


def precision_recall(video: Video, thresholds: np.ndarray, official: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall (T,) of one video, from sums over its frames in the order of their confidence."""
    confidence, overlap = np.nan_to_num(video.confidence, nan=0.0), np.nan_to_num(video.overlap)
    if not official:
        # pysot-compat: at the threshold of minus infinity only frames of a positive confidence count.
        # test: toolkit/evaluation/test_runs.py::test_frames_without_confidence
        thresholds = np.where(np.isneginf(thresholds), np.nextafter(0.0, 1.0), thresholds)
    order = np.argsort(-confidence, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(overlap[order])])
    count = np.searchsorted(-confidence[order], -thresholds, side="right")
    return np.divide(sums[count], count, out=np.ones(len(count)), where=count > 0), sums[count] / video.visible
