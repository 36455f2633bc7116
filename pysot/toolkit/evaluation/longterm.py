"""Long-term tracking: precision and recall of the frames that the tracker is sure of, and their F measure.

At a threshold of confidence, precision is the mean overlap of the frames at or above it, recall the sum of their overlaps over the number of frames that show
the target; both are means over videos. The score is the best F = 2PR / (P + R) over the thresholds. Lukezic et al., Now you see me: evaluating performance in
long-term visual tracking, 2018.
"""

from dataclasses import dataclass, replace

import numpy as np

RESOLUTION = 100  # thresholds, of which the first and the last are infinite


@dataclass(frozen=True)
class Video:
    """Overlap (N,) in [0, 1] and confidence (N,) of each frame, NaN where there is none, and how many frames show the target."""

    overlap: np.ndarray
    confidence: np.ndarray
    visible: int


@dataclass(frozen=True)
class LongTermScore:
    """The best f1 with its precision and recall; and all of them by threshold (T,), from the surest frames to all."""

    f1: float
    precision: float
    recall: float
    precisions: np.ndarray
    recalls: np.ndarray


def pysot_thresholds(confidences: np.ndarray) -> np.ndarray:
    """Thresholds from infinity down, as pysot takes them from all confidences of a tracker. It ends in an IndexError for fewer than 98; here the places stay
    within the list.
    """
    ordered = np.sort(confidences[~np.isnan(confidences)])
    step = len(ordered) // (RESOLUTION - 2)
    # pysot-compat: the places begin one before the step, and are rounded half up. test: toolkit/evaluation/test_runs.py::test_thresholds
    places = np.floor(np.linspace(step - 1, len(ordered) - step, RESOLUTION - 2) + 0.5).astype(np.int64)
    return (
        np.concatenate([[np.inf], ordered[np.clip(places, 0, len(ordered) - 1)][::-1], [-np.inf]])
        if len(ordered)
        else np.array([np.inf, -np.inf])
    )


def official_thresholds(confidences: np.ndarray) -> np.ndarray:
    """Thresholds from infinity down, as the official toolkit (vot-toolkit 0.9) takes them."""
    ordered = np.sort(confidences[~np.isnan(confidences)])[::-1]
    if len(ordered) > RESOLUTION - 2:
        step = len(ordered) // (RESOLUTION - 2)
        places = np.rint(np.linspace(step, len(ordered) - step, RESOLUTION - 2)).astype(np.int64)
        ordered = ordered[np.minimum(places, len(ordered) - 1)]
    return np.concatenate([[np.inf], ordered, [-np.inf]])


def long_term_score(videos: list[Video], official: bool) -> LongTermScore:
    """The score of all videos in pysot's or the official toolkit's arithmetic. Raises ValueError for a video that never shows its target."""
    if any(video.visible < 1 for video in videos):
        raise ValueError("a video never shows its target: recall has no meaning")
    # pysot-compat: the confidence of a video's first frame is read as NaN, whatever it is. test: toolkit/evaluation/test_runs.py::test_the_first_confidence
    confidences = [
        video.confidence if official else np.where(np.arange(len(video.confidence)) == 0, np.nan, video.confidence)
        for video in videos
    ]
    everything = np.nan_to_num(np.concatenate(confidences), nan=0.0) if official else np.concatenate(confidences)
    thresholds = official_thresholds(everything) if official else pysot_thresholds(everything)
    pairs = [
        _precision_recall(replace(video, confidence=known), thresholds, official)
        for video, known in zip(videos, confidences, strict=True)
    ]
    precisions, recalls = (np.mean(part, axis=0) for part in zip(*pairs, strict=True))
    with np.errstate(invalid="ignore"):
        f1 = np.nan_to_num(2 * precisions * recalls / (precisions + recalls))
    best = int(np.argmax(f1))
    return LongTermScore(float(f1[best]), float(precisions[best]), float(recalls[best]), precisions, recalls)


def _precision_recall(video: Video, thresholds: np.ndarray, official: bool) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall (T,) of one video: sums over its frames in the order of their confidence."""
    confidence, overlap = np.nan_to_num(video.confidence, nan=0.0), np.nan_to_num(video.overlap)
    if not official:
        # pysot-compat: without a threshold only frames of a positive confidence count. test: toolkit/evaluation/test_runs.py::test_frames_without_confidence
        thresholds = np.where(np.isneginf(thresholds), np.nextafter(0.0, 1.0), thresholds)
    order = np.argsort(-confidence, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(overlap[order])])
    count = np.searchsorted(-confidence[order], -thresholds, side="right")
    return np.divide(sums[count], count, out=np.ones(len(count)), where=count > 0), sums[count] / video.visible
