"""One-pass scores as the sets' own toolkits count them: OTB and the sets with a copy of its toolkit, and three others.

* OTB (tracker_benchmark 1.1; UAV123, TC128 and DTB70 have copies of it): the first box is the ground truth, and a box
  that is NaN or has no size is replaced by the previous one; a frame whose ground truth has a number that is not
  positive is a miss of success and a hit of precision. All frames are in the denominator.
* LaSOT (LaSOT_Evaluation_Toolkit): the same, and frames with full occlusion or out of view are no hits, though they are
  in the denominator.
* TrackingNet (metrics.py of its devkit): integer pixels, the first box is the ground truth, areas by trapezoids over 21
  thresholds.
* GOT-10k (got10k 0.1.3): average overlap and success rates, see `ope.counted_overlaps`; frames per second as the mean
  of 1 / seconds.

Boxes are (N, 4) float64 xywh. `OFFICIAL_RULES` is the table of sets, `official_rule` returns the rule of one.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation import ope

AREA_OVERLAPS, AREA_PIXELS = np.linspace(0, 1, 21), np.linspace(0, 50, 21)


@dataclass(frozen=True)
class SequenceResults:
    """Results of a tracker on a sequence: ground truth and the boxes of each repetition, (N, 4) each; seconds (K,)."""

    sequence: Sequence
    truth: np.ndarray
    runs: list[np.ndarray]
    seconds: np.ndarray

    @property
    def boxes(self) -> np.ndarray:
        """Boxes of the first repetition."""
        return self.runs[0]

    @property
    def counted_overlaps(self) -> np.ndarray:
        """Overlaps that GOT-10k counts."""
        sequence = self.sequence
        visible = sequence.present if sequence.visible is None else sequence.visible
        size = (sequence.width, sequence.height) if sequence.width and sequence.height else None
        return ope.counted_overlaps(self.truth, self.runs, visible, size)


@dataclass(frozen=True)
class OfficialRule:
    """Scoring rule of a toolkit.

    `measure` returns values (K,) of a video by name. Their means over all videos' values are the tracker's values, the
    first of which ranks; K is 1 if videos have the same weight. `difference` says why pysot's values differ, `remark`
    what the reader of a table has to know.
    """

    toolkit: str
    measure: Callable[[SequenceResults], dict[str, np.ndarray]]
    difference: str
    remark: str = ""


@dataclass(frozen=True)
class OfficialOpe:
    """Values of one tracker by name, the first of which ranks; those of each video; the first one by attribute."""

    numbers: dict[str, float]
    videos: dict[str, dict[str, float]] = field(default_factory=dict)
    attributes: dict[str, float] = field(default_factory=dict)


def replace_invalid_boxes(truth: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the boxes as OTB's toolkit uses them.

    A box that is NaN or has no size becomes the previous one if the frame has ground truth; the first is the truth.
    """
    invalid = ~np.isfinite(boxes).all(axis=1) | ~(boxes[:, 2:] > 0).all(axis=1)
    invalid &= ~np.isnan(truth).any(axis=1)
    invalid[0] = False
    replaced = boxes[np.maximum.accumulate(np.where(invalid, 0, np.arange(len(boxes))))]
    replaced[0] = truth[0]
    return replaced


def measure_otb(tracked: SequenceResults) -> dict[str, np.ndarray]:
    """Return success, precision at 20 pixels and at a fifth of the size; frames without the target are no hits."""
    truth, boxes, n = tracked.truth, replace_invalid_boxes(tracked.truth, tracked.boxes), len(tracked.truth)
    if tracked.sequence.present is not None:
        truth, boxes = truth[tracked.sequence.present], boxes[tracked.sequence.present]
    usable = np.all(truth > 0, axis=1)
    overlap = np.where(usable, ope.box_overlaps(truth, boxes), -1.0)
    offsets = ope.centres_of(truth) - ope.centres_of(boxes)
    size = np.where(usable[:, None], truth[:, 2:], 1.0)
    distance, norm_distance = (
        np.where(usable, np.linalg.norm(values, axis=1), -1.0) for values in (offsets, offsets / size)
    )
    return {
        "auc": np.array([ope.count_above(overlap, ope.OVERLAPS).mean() / n]),
        "norm_precision20": np.array([(norm_distance <= ope.AT_SHARE).sum() / n]),
        "precision20": np.array([(distance <= ope.AT_PIXELS).sum() / n]),
    }


def measure_trackingnet(tracked: SequenceResults) -> dict[str, np.ndarray]:
    """Return the areas under the curves of success, normalised precision (to 0.5) and precision (to 50 pixels)."""
    truth, boxes, n = np.rint(tracked.truth), np.rint(tracked.boxes), len(tracked.truth)
    boxes[0] = truth[0]
    distance = np.linalg.norm(truth[:, :2] + truth[:, 2:] / 2 - boxes[:, :2] - boxes[:, 2:] / 2, axis=1)
    curves = {
        "auc": ope.count_above(ope.box_overlaps(truth, boxes), AREA_OVERLAPS),
        "norm_precision_auc": ope.count_within(ope.rounded_box_distances(truth, boxes), ope.SERVER_SHARES),
        "precision_auc": ope.count_within(distance, AREA_PIXELS),
    }
    return {name: np.array([(curve[:-1] + curve[1:]).mean() / 2 / n]) for name, curve in curves.items()}


def measure_got10k(tracked: SequenceResults) -> dict[str, np.ndarray]:
    """Return average overlap, success rates and frames per second."""
    overlaps = tracked.counted_overlaps
    return {
        "ao": overlaps,
        "sr50": overlaps > 0.5,
        "sr75": overlaps > 0.75,
        "fps": 1 / tracked.seconds[tracked.seconds > 0],
    }


_OTB_DIFFERS = (
    "takes the first box for the ground truth and a box of NaN or without size for the one before, and frames whose "
    "ground truth has a number that is not positive for misses of success and hits of precision; pysot takes boxes as "
    "they are, and looks at the size and at the centre alone"
)
OTB = OfficialRule("OTB's toolkit", measure_otb, f"OTB's toolkit {_OTB_DIFFERS}")
UAV = OfficialRule(
    "UAV123's toolkit",
    measure_otb,
    f"UAV123's toolkit, a copy of OTB's, {_OTB_DIFFERS}; frames of NaN are the same in both",
)
LASOT = OfficialRule(
    "LaSOT's toolkit",
    measure_otb,
    f"LaSOT's toolkit {_OTB_DIFFERS}; frames without the target are the same in both",
)
TRACKINGNET = OfficialRule(
    "TrackingNet's devkit",
    measure_trackingnet,
    "TrackingNet's devkit takes areas by trapezoids over 21 thresholds, of precision up to 50 pixels and of normalised "
    "precision up to a half, of boxes in whole pixels; pysot takes means over thresholds, and precision at 20 pixels",
)
GOT10K = OfficialRule(
    "the got10k toolkit",
    measure_got10k,
    "GOT-10k's toolkit has no success and precision in pysot's sense: it leaves the first frame and those that do not "
    "show the target out, cuts boxes to the image and takes all repetitions; AO and SR are its own in all modes",
)
UNKNOWN = OfficialRule(
    "OTB's toolkit",
    measure_otb,
    OTB.difference,
    "no toolkit of its own is known here for this set; official is OTB's",
)

OFFICIAL_RULES = {
    **dict.fromkeys(("otb50", "otb100", "otb2015", "otb2013", "cvpr13", "tc128", "dtb70"), OTB),
    **dict.fromkeys(("uav123", "uav123_10fps", "uav20l"), UAV),
    **dict.fromkeys(("lasot", "lasot_ext"), LASOT),
    **dict.fromkeys(("got-10k", "got-10k-val", "got-10k-test"), GOT10K),
    "trackingnet": TRACKINGNET,
}


def official_rule(dataset: Dataset) -> OfficialRule:
    """Return the rule of a set, by its name."""
    return OFFICIAL_RULES.get(dataset.name.lower(), UNKNOWN)


def summarize_official(videos: dict[str, dict[str, np.ndarray]], attributes: dict[str, list[str]]) -> OfficialOpe:
    """Return a tracker's values.

    `videos` are the values of `OfficialRule.measure`, {video: {name: (K,)}}, `attributes` {attribute: videos}.
    """

    def mean_over(names: Iterable[str]) -> dict[str, float]:
        value_names = next(iter(videos.values()))
        return {key: _mean(np.concatenate([videos[name][key] for name in names])) for key in value_names}

    ranking_values = {attribute: next(iter(mean_over(names).values())) for attribute, names in attributes.items()}
    return OfficialOpe(mean_over(videos), {name: mean_over([name]) for name in videos}, ranking_values)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
