"""One-pass evaluation: success, precision and normalised precision (OTB, LaSOT) in pysot's arithmetic, average overlap and success rates (GOT-10k).

Boxes are (N, 4) float64 xywh; a box may be NaN. Wu, Lim, Yang, Object tracking benchmark, 2015; Mueller et al., TrackingNet, 2018; Fan et al., LaSOT, 2019;
Huang, Zhao, Huang, GOT-10k, 2019. How the sets' own toolkits count: `ope_official`. Which frames count in which set: testing_dataset/README.md.
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
    """Share of a video's frames with an overlap above each of OVERLAPS, a distance of centres up to each of DISTANCES and up to each of NORMALISED; and the
    mean overlap and the shares above 0.5 and 0.75 of `later` overlaps, those of `counted_overlaps`. `norm_precision20` is the normalised precision of LaSOT,
    `norm_precision_auc` that of TrackingNet: the area under its curve up to half the target's size, of boxes in whole pixels.
    """

    success: np.ndarray
    precision: np.ndarray
    norm_precision: np.ndarray
    norm_precision_auc: float
    ao: float
    sr50: float
    sr75: float
    later: int

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
    """Row-wise overlap (N,) in [0, 1] of boxes without pixels; 0 where one is NaN."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    union = a[:, 2:].prod(axis=1) + b[:, 2:].prod(axis=1) - shared
    return np.clip(np.divide(shared, union, out=np.zeros(len(a)), where=union > 0), 0, 1)


def centres_of(boxes: np.ndarray) -> np.ndarray:
    """Centres (N, 2) of boxes of pixels."""
    return boxes[:, :2] + (boxes[:, 2:] - 1) / 2


def counted_overlaps(
    truth: np.ndarray, runs: list[np.ndarray], visible: np.ndarray | None = None, size: tuple[int, int] | None = None
) -> np.ndarray:
    """The overlaps of GOT-10k's average overlap and success rates, of all repetitions one after the other: of the frames after the first that have ground
    truth and are `visible` (N,), where that is known. With `size`, width and height of the images, boxes are cut to them as the official toolkit does it: the
    left upper corner is moved into the image, then the lengths end at its edge. A video of one frame has that frame.
    """
    counts = np.isfinite(truth).all(axis=1) & (True if visible is None else visible)
    counts[0] = len(truth) == 1
    known = truth[counts] if size is None else _inside(truth[counts], size)
    return np.concatenate(
        [box_overlaps(known, boxes[counts] if size is None else _inside(boxes[counts], size)) for boxes in runs]
    )


def _inside(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    corner = np.clip(boxes[:, :2], 0, size)
    return np.concatenate([corner, np.clip(boxes[:, 2:], 0, size - corner)], axis=1)


def measure_video(
    truth: np.ndarray, boxes: np.ndarray, present: np.ndarray | None = None, later: np.ndarray | None = None
) -> Curves:
    """The curves of one video in pysot's arithmetic, as shares of all its frames; where `present` (N,) is False, a frame is never a hit. `later` are its
    counted overlaps, by default those of these boxes where the target is present. Raises ValueError if no frame has ground truth.
    """
    if not np.isfinite(truth).all(axis=1).any():
        raise ValueError("no frame with ground truth")
    later = counted_overlaps(truth, [boxes], present) if later is None else later
    n, area = len(truth), _server_area(truth, boxes, present)
    if present is not None:
        truth, boxes = truth[present], boxes[present]
    # pysot-compat: a frame whose ground truth is NaN or has no size has overlap -1, above no threshold; one whose centre is NaN or not positive has distance
    # -1, within every one. test: toolkit/evaluation/test_ope.py::test_frames_with_odd_truth
    overlap = np.where((truth[:, 2:] > 0).all(axis=1), box_overlaps(truth, boxes), -1.0)
    true_centre, centre, size = centres_of(truth), centres_of(boxes), truth[:, 2:] + 1e-16
    distance = np.where((true_centre > 0).all(axis=1), np.linalg.norm(true_centre - centre, axis=1), -1.0)
    norm_distance = np.where(
        (true_centre / size > 0).all(axis=1), np.linalg.norm((true_centre - centre) / size, axis=1), -1.0
    )
    return Curves(
        above(overlap, OVERLAPS) / n,
        within(distance, DISTANCES) / n,
        within(norm_distance, NORMALISED) / n,
        area,
        *rates(later),
        len(later),
    )


def rates(overlaps: np.ndarray) -> tuple[float, float, float]:
    """The mean overlap and the shares above 0.5 and 0.75; NaN without any."""
    if not len(overlaps):
        return (float("nan"),) * 3
    return float(overlaps.mean()), float((overlaps > 0.5).mean()), float((overlaps > 0.75).mean())


def _server_area(truth: np.ndarray, boxes: np.ndarray, present: np.ndarray | None) -> float:
    """Area under the curve of normalised precision as TrackingNet's server takes it, 1 for a perfect tracker that sees its target in all frames."""
    distance = whole_pixel_distances(truth, boxes)
    curve = within(distance if present is None else distance[present], SERVER_SHARES) / len(truth)
    return float((curve[:-1] + curve[1:]).mean() / 2)


def whole_pixel_distances(truth: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Distances (N,) of the centres of boxes in whole pixels, as shares of the target's size; infinite where that is none or NaN."""
    truth, boxes = np.rint(truth), np.rint(boxes)
    offsets = boxes[:, :2] + boxes[:, 2:] / 2 - truth[:, :2] - truth[:, 2:] / 2
    sized = (truth[:, 2:] > 0).all(axis=1)
    return np.linalg.norm(
        np.divide(offsets, truth[:, 2:], out=np.full_like(offsets, np.inf), where=sized[:, None]), axis=1
    )


def above(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many of the values are greater than each threshold; NaN never is."""
    known = np.sort(values[~np.isnan(values)])
    return len(known) - np.searchsorted(known, thresholds, side="right")


def within(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many of the values are each threshold or less; NaN never is."""
    return np.searchsorted(np.sort(values[~np.isnan(values)]), thresholds, side="right")


def mean_curves(curves: list[Curves]) -> Curves:
    """The curves averaged over videos; average overlap and success rates, as GOT-10k has them, over the counted overlaps of all of them."""
    stacked = [
        np.stack([getattr(curve, name) for curve in curves]).mean(axis=0)
        for name in ("success", "precision", "norm_precision")
    ]
    area, counted = (
        float(np.mean([curve.norm_precision_auc for curve in curves])),
        [curve for curve in curves if curve.later],
    )
    frames = [curve.later for curve in counted]
    means = [
        float(np.average([getattr(curve, name) for curve in counted], weights=frames)) if counted else float("nan")
        for name in ("ao", "sr50", "sr75")
    ]
    return Curves(*stacked, area, *means, sum(frames))
