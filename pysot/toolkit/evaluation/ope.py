"""One-pass evaluation in pysot's arithmetic: success, precision, normalised precision, average overlap, success rates.

Success, precision and normalised precision are those of OTB and LaSOT, average overlap and success rates those of
GOT-10k. Boxes are (N, 4) float64 xywh; a box may be NaN. Wu, Lim, Yang, Object tracking benchmark, 2015; Mueller et
al., TrackingNet, 2018; Fan et al., LaSOT, 2019; Huang, Zhao, Huang, GOT-10k, 2019. How the sets' own toolkits count:
`ope_official`. Which frames count in which set: testing_dataset/README.md.
"""

from dataclasses import dataclass

import numpy as np

OVERLAPS = np.arange(0, 1.05, 0.05)  # of the success plot
DISTANCES = np.arange(0, 51, 1)  # pixels, of the precision plot
NORMALISED = np.arange(0, 51, 1) / 100  # shares of the target's size, of the normalised precision plot
AT_PIXELS, AT_SHARE = 20, 0.2
SERVER_SHARES = np.linspace(0, 0.5, 21)  # thresholds of TrackingNet's normalised precision


@dataclass(frozen=True)
class Curves:
    """Curves and values of one video, or means over several videos.

    The curves are shares of the frames with an overlap above each of OVERLAPS, a distance of centres up to each of
    DISTANCES and up to each of NORMALISED. `ao`, `sr50` and `sr75` are the mean and the shares above 0.5 and 0.75 of
    the overlaps that `counted_overlaps` returns; `counted` is the number of these overlaps. `norm_precision20` is the
    normalised precision of LaSOT, `norm_precision_auc` that of TrackingNet: the area under its curve up to half the
    target's size, for boxes in integer pixels.
    """

    success: np.ndarray
    precision: np.ndarray
    norm_precision: np.ndarray
    norm_precision_auc: float
    ao: float
    sr50: float
    sr75: float
    counted: int

    @property
    def auc(self) -> float:
        """Area under the success curve."""
        return float(self.success.mean())

    @property
    def precision20(self) -> float:
        """Precision at 20 pixels."""
        return float(self.precision[AT_PIXELS])

    @property
    def norm_precision20(self) -> float:
        """Normalised precision at a fifth of the target's size."""
        return float(self.norm_precision[np.searchsorted(NORMALISED, AT_SHARE)])


def box_overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the row-wise overlap (N,) in [0, 1] of boxes with real coordinates; 0 where one is NaN."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    union = a[:, 2:].prod(axis=1) + b[:, 2:].prod(axis=1) - shared
    return np.clip(np.divide(shared, union, out=np.zeros(len(a)), where=union > 0), 0, 1)


def centres_of(boxes: np.ndarray) -> np.ndarray:
    """Return the centres (N, 2) of boxes of pixels."""
    return boxes[:, :2] + (boxes[:, 2:] - 1) / 2


def counted_overlaps(
    truth: np.ndarray, runs: list[np.ndarray], visible: np.ndarray | None = None, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Return the overlaps that count in GOT-10k's average overlap and success rates, all repetitions concatenated.

    A frame after the first counts if it has ground truth and is `visible` (N,), if that is known. With `size`, width
    and height of the images, boxes are clipped to the image as in the official toolkit: the upper left corner is moved
    into the image, then width and height end at its edge. In a video of one frame that frame counts.
    """
    counts = np.isfinite(truth).all(axis=1) & (True if visible is None else visible)
    counts[0] = len(truth) == 1
    counted_truth = truth[counts] if size is None else _clip_boxes(truth[counts], size)
    return np.concatenate(
        [
            box_overlaps(counted_truth, boxes[counts] if size is None else _clip_boxes(boxes[counts], size))
            for boxes in runs
        ]
    )


def _clip_boxes(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    corner = np.clip(boxes[:, :2], 0, size)
    return np.concatenate([corner, np.clip(boxes[:, 2:], 0, size - corner)], axis=1)


def measure_video(
    truth: np.ndarray, boxes: np.ndarray, present: np.ndarray | None = None, counted: np.ndarray | None = None
) -> Curves:
    """Return the curves of one video in pysot's arithmetic, as shares of all its frames.

    Where `present` (N,) is False, a frame is never a hit. `counted` are its counted overlaps, by default those of these
    boxes where the target is present. Raises ValueError if no frame has ground truth.
    """
    if not np.isfinite(truth).all(axis=1).any():
        raise ValueError("no frame has ground truth")
    counted = counted_overlaps(truth, [boxes], present) if counted is None else counted
    n, area = len(truth), _server_area(truth, boxes, present)
    if present is not None:
        truth, boxes = truth[present], boxes[present]
    # pysot-compat: a frame whose ground truth is NaN or has no size has overlap -1, above no threshold; one whose
    # centre is NaN or not positive has distance -1, within every threshold.
    # test: toolkit/evaluation/test_ope.py::test_frames_with_odd_truth
    overlap = np.where((truth[:, 2:] > 0).all(axis=1), box_overlaps(truth, boxes), -1.0)
    true_centre, centre, size = centres_of(truth), centres_of(boxes), truth[:, 2:] + 1e-16
    distance = np.where((true_centre > 0).all(axis=1), np.linalg.norm(true_centre - centre, axis=1), -1.0)
    norm_distance = np.where(
        (true_centre / size > 0).all(axis=1), np.linalg.norm((true_centre - centre) / size, axis=1), -1.0
    )
    ao, sr50, sr75 = overlap_and_success_rates(counted)
    return Curves(
        success=count_above(overlap, OVERLAPS) / n,
        precision=count_within(distance, DISTANCES) / n,
        norm_precision=count_within(norm_distance, NORMALISED) / n,
        norm_precision_auc=area,
        ao=ao,
        sr50=sr50,
        sr75=sr75,
        counted=len(counted),
    )


def overlap_and_success_rates(overlaps: np.ndarray) -> tuple[float, float, float]:
    """Return the mean overlap and the shares above 0.5 and 0.75; NaN without overlaps."""
    if not len(overlaps):
        return (float("nan"),) * 3
    return float(overlaps.mean()), float((overlaps > 0.5).mean()), float((overlaps > 0.75).mean())


def _server_area(truth: np.ndarray, boxes: np.ndarray, present: np.ndarray | None) -> float:
    """Return the area under the curve of normalised precision as TrackingNet's server computes it.

    It is 1 for a perfect tracker that sees its target in all frames.
    """
    distance = rounded_box_distances(truth, boxes)
    curve = count_within(distance if present is None else distance[present], SERVER_SHARES) / len(truth)
    return float((curve[:-1] + curve[1:]).mean() / 2)


def rounded_box_distances(truth: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the distances (N,) of the centres of boxes in integer pixels, as shares of the target's size.

    The distance is infinite where that size is zero or NaN.
    """
    truth, boxes = np.rint(truth), np.rint(boxes)
    offsets = boxes[:, :2] + boxes[:, 2:] / 2 - truth[:, :2] - truth[:, 2:] / 2
    has_size = np.all(truth[:, 2:] > 0, axis=1)
    shares = np.divide(offsets, truth[:, 2:], out=np.full_like(offsets, np.inf), where=has_size[:, None])
    return np.linalg.norm(shares, axis=1)


def count_above(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the number of values greater than each threshold; NaN never counts."""
    known = np.sort(values[~np.isnan(values)])
    return len(known) - np.searchsorted(known, thresholds, side="right")


def count_within(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the number of values less than or equal to each threshold; NaN never counts."""
    return np.searchsorted(np.sort(values[~np.isnan(values)]), thresholds, side="right")


def mean_curves(curves: list[Curves]) -> Curves:
    """Return the curves averaged over videos.

    Average overlap and success rates are means over the counted overlaps of all videos, as in GOT-10k.
    """
    with_counted = [curve for curve in curves if curve.counted]
    weights = [curve.counted for curve in with_counted]

    def mean_over_videos(name: str) -> np.ndarray:
        return np.stack([getattr(curve, name) for curve in curves]).mean(axis=0)

    def mean_over_counted(name: str) -> float:
        if not with_counted:
            return float("nan")
        return float(np.average([getattr(curve, name) for curve in with_counted], weights=weights))

    return Curves(
        success=mean_over_videos("success"),
        precision=mean_over_videos("precision"),
        norm_precision=mean_over_videos("norm_precision"),
        norm_precision_auc=float(np.mean([curve.norm_precision_auc for curve in curves])),
        ao=mean_over_counted("ao"),
        sr50=mean_over_counted("sr50"),
        sr75=mean_over_counted("sr75"),
        counted=sum(weights),
    )
