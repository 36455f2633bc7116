"""One-pass evaluation: success, precision and normalised precision (OTB, LaSOT, TrackingNet), average overlap and success rates (GOT-10k).

Boxes are (N, 4) float64 xywh. Wu, Lim, Yang, Object tracking benchmark, 2015; Mueller et al., TrackingNet, 2018; Fan et al., LaSOT, 2019; Huang, Zhao, Huang,
GOT-10k, 2019.
"""

from dataclasses import dataclass

import numpy as np

OVERLAPS = np.arange(0, 1.05, 0.05)       # of the success plot
DISTANCES = np.arange(0, 51, 1)           # pixels, of the precision plot
NORMALISED = np.arange(0, 51, 1) / 100    # shares of the target's size, of the normalised precision plot
AT_PIXELS, AT_SHARE = 20, 0.2
SERVER_SHARES = np.linspace(0, 0.5, 21)   # thresholds of TrackingNet's normalised precision


@dataclass(frozen=True)
class Curves:
    """Share of a video's frames with an overlap above each of OVERLAPS, a distance of centres up to each of DISTANCES and up to each of NORMALISED; and of the
    `later` frames, those after the first one, the mean overlap and the shares above 0.5 and 0.75. `norm_precision20` is the normalised precision of LaSOT,
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
    """Row-wise overlap (N,) in [0, 1] of boxes without pixels."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    union = a[:, 2:].prod(axis=1) + b[:, 2:].prod(axis=1) - shared
    return np.clip(np.divide(shared, union, out=np.zeros(len(a)), where=union > 0), 0, 1)


def measure_video(truth: np.ndarray, boxes: np.ndarray, present: np.ndarray | None = None) -> Curves:
    """The curves of one video. Frames without the target (`present` False, or NaN in the ground truth) count nowhere. Raises ValueError if no frame is left."""
    chosen = np.isfinite(truth).all(axis=1) if present is None else np.isfinite(truth).all(axis=1) & present
    if not chosen.any():
        raise ValueError("no frame with ground truth")
    truth, boxes = truth[chosen], boxes[chosen]
    n = len(truth)
    # pysot-compat: a frame whose ground truth has no size has overlap -1, above no threshold; one whose centre is not positive has distance -1, within every
    # one. test: toolkit/test_ope.py::test_frames_with_odd_truth
    overlap = np.where((truth[:, 2:] > 0).all(axis=1), box_overlaps(truth, boxes), -1.0)
    true_centre, centre = truth[:, :2] + (truth[:, 2:] - 1) / 2, boxes[:, :2] + (boxes[:, 2:] - 1) / 2
    distance = np.where((true_centre > 0).all(axis=1), np.linalg.norm(true_centre - centre, axis=1), -1.0)
    size = truth[:, 2:] + 1e-16
    norm_distance = np.where((true_centre / size > 0).all(axis=1), np.linalg.norm((true_centre - centre) / size, axis=1), -1.0)
    later = np.maximum(overlap, 0)[1 if n > 1 else 0:]
    return Curves(_above(overlap, OVERLAPS) / n, _within(distance, DISTANCES) / n, _within(norm_distance, NORMALISED) / n, _server_area(truth, boxes),
                  float(later.mean()), float((later > 0.5).mean()), float((later > 0.75).mean()), len(later))


def _server_area(truth: np.ndarray, boxes: np.ndarray) -> float:
    """Area under the curve of normalised precision as TrackingNet's server takes it, 1 for a perfect tracker."""
    truth, boxes = np.rint(truth), np.rint(boxes)
    offsets = boxes[:, :2] + boxes[:, 2:] / 2 - truth[:, :2] - truth[:, 2:] / 2
    sized = (truth[:, 2:] > 0).all(axis=1)
    distance = np.linalg.norm(np.divide(offsets, truth[:, 2:], out=np.full_like(offsets, np.inf), where=sized[:, None]), axis=1)
    curve = _within(distance, SERVER_SHARES) / len(truth)
    return float((curve[:-1] + curve[1:]).mean() / 2)


def _above(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="right")


def _within(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.sort(values), thresholds, side="right")


def mean_curves(curves: list[Curves]) -> Curves:
    """The curves averaged over videos; average overlap and success rates, as GOT-10k has them, over the frames of all of them."""
    stacked = [np.stack([getattr(curve, name) for curve in curves]).mean(axis=0) for name in ("success", "precision", "norm_precision")]
    area, frames = float(np.mean([curve.norm_precision_auc for curve in curves])), [curve.later for curve in curves]
    rates = [float(np.average([getattr(curve, name) for curve in curves], weights=frames)) for name in ("ao", "sr50", "sr75")]
    return Curves(*stacked, area, *rates, sum(frames))
