"""Score trackers' one-pass results on a data set: results.load_ope -> ope -> one score per tracker."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pysot.toolkit.evaluate import in_processes
from pysot.toolkit.ope import Curves, mean_curves, measure_video
from pysot.toolkit.results import ResultError, find_ope, load_ope
from pysot.toolkit.sequence import Dataset
from pysot.utils.bbox import get_axis_aligned_bbox


@dataclass(frozen=True)
class OpeScore:
    """Scores of one tracker: curves over all videos, of each video, and of the videos with each attribute. With `problems` it is not scored: `all` is None."""

    name: str
    all: Curves | None
    videos: dict[str, Curves] = field(default_factory=dict)
    attributes: dict[str, Curves] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpeScores:
    """All trackers on one data set, the best success first, those that could not be scored last."""

    dataset: str
    trackers: list[OpeScore]

    def __post_init__(self):
        object.__setattr__(self, "trackers", sorted(self.trackers, key=lambda score: (score.all is None, -score.all.auc if score.all else 0, score.name)))

    def to_json(self) -> dict:
        """{tracker: {auc, precision20, norm_precision20, ao, sr50, sr75, attributes: {name: auc}, videos: {name: {auc, precision20, norm_precision20, ao}}}} of
        the trackers that could be scored.
        """
        return {
            score.name: {
                **{what: getattr(score.all, what) for what in ("auc", "precision20", "norm_precision20", "ao", "sr50", "sr75")},
                "attributes": {name: curves.auc for name, curves in score.attributes.items()},
                "videos": {name: {what: getattr(curves, what) for what in ("auc", "precision20", "norm_precision20", "ao")}
                           for name, curves in score.videos.items()},
            }
            for score in self.trackers if score.all is not None
        }


def evaluate_one_pass_tracker(dataset: Dataset, tracker_dir: str | os.PathLike) -> OpeScore:
    """Score one tracker's folder; results that are missing or damaged end in `problems`, not in an exception."""
    name, videos, problems = Path(os.path.abspath(tracker_dir)).name, {}, []
    for sequence in dataset.sequences:
        try:
            boxes = load_ope(find_ope(tracker_dir, sequence.name), len(sequence))
            videos[sequence.name] = measure_video(upright(sequence.ground_truth), boxes, sequence.present)
        except ResultError as error:
            problems.append(str(error))
        except ValueError as error:
            problems.append(f"{sequence.name}: {error}")
    if problems:
        return OpeScore(name, None, problems=tuple(problems))
    attributes = sorted({attribute for sequence in dataset.sequences for attribute in sequence.attributes})
    by_attribute = {attribute: mean_curves([videos[sequence.name] for sequence in dataset.sequences if attribute in sequence.attributes])
                    for attribute in attributes}
    return OpeScore(name, mean_curves(list(videos.values())), videos, by_attribute)


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


def evaluate_one_pass(dataset: Dataset, tracker_dirs: list, workers: int = 1, on_done: Callable[[str], None] | None = None) -> OpeScores:
    """Score all folders, in `workers` processes if more than one; on_done(name) is called after each tracker."""
    if workers < 1:
        raise ValueError(f"needs at least one worker process, got {workers}")
    scores = []
    for score in in_processes(functools.partial(evaluate_one_pass_tracker, dataset), tracker_dirs, min(workers, len(tracker_dirs))):
        scores.append(score)
        if on_done:
            on_done(score.name)
    return OpeScores(dataset.name, scores)
