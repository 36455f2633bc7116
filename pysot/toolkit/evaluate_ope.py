"""Score a tracker's one-pass results on a data set: results.load_ope -> ope -> one score."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pysot.toolkit.gather import gather
from pysot.toolkit.ope import Curves, mean_curves, measure_video
from pysot.toolkit.results import find_ope, load_ope
from pysot.toolkit.sequence import Dataset, Sequence
from pysot.utils.bbox import get_axis_aligned_bbox


@dataclass(frozen=True)
class OpeScore:
    """Scores of one tracker: curves over all videos, of each video, and of the videos with each attribute. With `problems` it is not scored: `all` is None.
    `notes` and `covers` as TrackerScore.
    """

    name: str
    all: Curves | None
    videos: dict[str, Curves] = field(default_factory=dict)
    attributes: dict[str, Curves] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    covers: str = ""


@dataclass(frozen=True)
class OpeScores:
    """All trackers on one data set, the best success first, those that could not be scored last."""

    dataset: str
    trackers: list[OpeScore]

    def __post_init__(self):
        object.__setattr__(self, "trackers", sorted(self.trackers, key=lambda score: (score.all is None, -score.all.auc if score.all else 0, score.name)))

    def to_json(self) -> dict:
        """{tracker: {auc, precision20, norm_precision20, norm_precision_auc, ao, sr50, sr75, attributes: {name: auc}, videos: {name: {auc, precision20,
        norm_precision20, ao}}}} of the trackers that could be scored.
        """
        return {
            score.name: {
                **{what: getattr(score.all, what) for what in ("auc", "precision20", "norm_precision20", "norm_precision_auc", "ao", "sr50", "sr75")},
                "attributes": {name: curves.auc for name, curves in score.attributes.items()},
                "videos": {name: {what: getattr(curves, what) for what in ("auc", "precision20", "norm_precision20", "ao")}
                           for name, curves in score.videos.items()},
            }
            for score in self.trackers if score.all is not None
        }


def evaluate_one_pass_tracker(dataset: Dataset, tracker_dir: str | os.PathLike, partial: bool = False) -> OpeScore:
    """Score one tracker's folder; results that are missing or damaged end in `problems`, not in an exception; with `partial` their videos are left out. Boxes
    that are none are replaced, see `results.load_ope`, and noted.
    """
    name, notes = Path(os.path.abspath(tracker_dir)).name, []

    def load(sequence: Sequence) -> Curves:
        boxes = load_ope(find_ope(tracker_dir, sequence.name), len(sequence), notes)
        return measure_video(upright(sequence.ground_truth), boxes, sequence.present)

    found = gather(dataset, load, partial)
    if found.problems:
        return OpeScore(name, None, problems=found.problems)
    videos, sequences = found.results, found.dataset.sequences
    attributes = sorted({attribute for sequence in sequences for attribute in sequence.attributes})
    by_attribute = {attribute: mean_curves([videos[sequence.name] for sequence in sequences if attribute in sequence.attributes]) for attribute in attributes}
    return OpeScore(name, mean_curves(list(videos.values())), videos, by_attribute, (), (*notes, *found.notes), found.covers)


def upright(regions: list[np.ndarray]) -> np.ndarray:
    """Ground truth as boxes (N, 4) xywh; a polygon becomes the box of its centre and area, as trackers start on it."""
    if all(len(region) == 4 for region in regions):
        return np.stack(regions)
    boxes = np.full((len(regions), 4), np.nan)
    for box, region in zip(boxes, regions, strict=True):
        if np.isfinite(region).all():
            x, y, w, h = get_axis_aligned_bbox(region)
            box[:] = x - (w - 1) / 2, y - (h - 1) / 2, w, h
    return boxes
