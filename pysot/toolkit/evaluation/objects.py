"""Scores of masks of objects: region similarity J and contour accuracy F, as in the evaluation of DAVIS 2017.

The first and the last frame of a sequence do not count, nor do frames without annotation, nor for an object the frames
up to the one on which its tracker starts. Pont-Tuset et al., The 2017 DAVIS challenge on video object segmentation,
2017; measures of Perazzi et al., CVPR 2016.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pysot.toolkit.datasets.label_files import LabelFiles, LabelImages
from pysot.toolkit.datasets.objects_layout import is_davis
from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.accuracy_robustness import nanmean
from pysot.toolkit.evaluation.loading import find_losses
from pysot.toolkit.protocol import NAN, Timeline, TrackerScore
from pysot.toolkit.region.mask_measures import measure_masks
from pysot.toolkit.results.label_results import check_label_files, label_folder, read_label_result, result_labels
from pysot.toolkit.results.lines import ResultError

THRESHOLDS = np.linspace(0, 1, 101)  # of the curves
_GOOD = 0.5  # J or F above which recall counts a frame


@dataclass(frozen=True)
class Statistics:
    """Statistics of J or F over the frames of an object.

    The mean; the share of frames above 0.5; the mean of the first quarter of the frames minus that of the last quarter.
    NaN if no frame counts.
    """

    mean: float = NAN
    recall: float = NAN
    decay: float = NAN

    def to_json(self) -> dict[str, float | None]:
        """Return {mean, recall, decay}, None for NaN."""
        return {"mean": _or_none(self.mean), "recall": _or_none(self.recall), "decay": _or_none(self.decay)}


@dataclass(frozen=True)
class MaskScore:
    """Statistics of J and F of an object, or their means over several objects."""

    j: Statistics = Statistics()
    f: Statistics = Statistics()

    @property
    def j_and_f(self) -> float:
        """Mean of the means of J and F."""
        return (self.j.mean + self.f.mean) / 2

    def to_json(self) -> dict[str, Any]:
        """Return {J&F, J: {mean, recall, decay}, F: {mean, recall, decay}}, None for NaN."""
        return {"J&F": _or_none(self.j_and_f), "J": self.j.to_json(), "F": self.f.to_json()}


@dataclass(frozen=True)
class ObjectMeasures:
    """J and F (K, N) of the objects with K `numbers` on the N frames of a sequence, and the tracker's label images.

    They are NaN on frames that do not count.
    """

    numbers: tuple[int, ...]
    j: np.ndarray
    f: np.ndarray
    labels: LabelImages


@dataclass(frozen=True, kw_only=True)
class ObjectsScore(TrackerScore):
    """Score of one tracker of masks: means over all objects, over those of each video, and each object.

    An object is named <video>_<number>. `curves` are the shares of the frames of all objects whose J, and whose F, is
    above each of THRESHOLDS. If the tracker is not scored, numbers are NaN and the rest is empty.
    """

    all: MaskScore = MaskScore()
    videos: dict[str, MaskScore] = field(default_factory=dict)
    objects: dict[str, MaskScore] = field(default_factory=dict)
    curves: dict[str, np.ndarray] = field(default_factory=dict, compare=False)

    @property
    def rank_by(self) -> float:
        """J&F."""
        return self.all.j_and_f

    @property
    def by_video(self) -> dict[str, dict[str, float]]:
        """J&F, and the means of J and F, of each video."""
        return {
            name: {"J&F": score.j_and_f, "J": score.j.mean, "F": score.f.mean} for name, score in self.videos.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return the score as plain values.

        The values of `MaskScore.to_json` over all, and in videos: {name: the same}, objects: {name: the same}.
        """
        parts = {"videos": self.videos, "objects": self.objects}
        return {
            **self.all.to_json(),
            **{key: {name: score.to_json() for name, score in scores.items()} for key, scores in parts.items()},
        }


def load_objects(dataset: Dataset, sequence: Sequence, tracker_dir: Path, notes: list[str]) -> ObjectMeasures:
    """Measure the masks of a sequence; each label image is read once, and none is kept.

    As in the official code, objects of DAVIS are all numbers up to the highest. Adds a note for objects that the
    annotation does not show, or shows on no frame that counts. Raises ResultError that names the results which cannot
    be used, as `LabelFiles.read` for the annotation, and ValueError for one of another size than the frames.
    """
    labels = sequence.labels
    # the protocol's data sets have all three
    assert labels is not None and sequence.width is not None and sequence.height is not None
    folder, frames = label_folder(tracker_dir, sequence), _counted_frames(sequence, labels)
    check_label_files(folder, sequence, frames)
    numbers = range(1, max(labels.objects) + 1) if is_davis(dataset.name) else tuple(labels.objects)
    starts = np.array([labels.objects.get(number, 0) for number in numbers])
    j, f = np.full((2, len(numbers), len(sequence)), np.nan)
    unseen, problems = {*numbers}, []
    for index in frames:
        truth = labels.read_of_size(index, sequence.width, sequence.height)
        try:
            result = read_label_result(folder, sequence, index, truth.shape)
        except ResultError as error:
            problems.append(str(error))
            continue
        counts = index > starts
        unseen -= {
            number for number, is_past in zip(numbers, counts, strict=True) if is_past and (truth == number).any()
        }
        if not problems:
            j[counts, index], f[counts, index] = (values[counts] for values in measure_masks(truth, result, numbers))
    if problems:
        more = len(problems) - 1
        others = f" ({more} more file{'s' if more > 1 else ''} of {folder} cannot be used either)" if more else ""
        raise ResultError(problems[0] + others)
    notes += [
        _unseen_note(sequence, number, np.isfinite(values).any())
        for number, values in zip(numbers, j, strict=True)
        if number in unseen
    ]
    return ObjectMeasures(tuple(numbers), j, f, result_labels(folder, sequence))


def _counted_frames(sequence: Sequence, labels: LabelFiles) -> list[int]:
    first = min(labels.objects.values())
    return [index for index in labels.annotated if first < index < len(sequence) - 1]


def _unseen_note(sequence: Sequence, number: int, is_counted: bool) -> str:
    name = f"object {number} of {sequence.name}"
    if is_counted:
        return f"{name} has no pixel in the annotation of frames that count: J and F are 1 where the result has none"
    return f"{name} has no annotated frame that counts, so the means leave it out"


def score_objects(
    dataset: Dataset, results: dict[str, ObjectMeasures], mode: str, with_timelines: bool
) -> ObjectsScore:
    """Score the measured masks of each sequence; there is one arithmetic, so `mode` has no effect."""
    objects, videos = {}, {}
    for sequence in dataset.sequences:
        measured = results[sequence.name]
        own = {
            f"{sequence.name}_{number}": MaskScore(statistics(j), statistics(f))
            for number, j, f in zip(measured.numbers, measured.j, measured.f, strict=True)
        }
        objects.update(own)
        videos[sequence.name] = mean_of(own.values())
    values = {"J": [measured.j for measured in results.values()], "F": [measured.f for measured in results.values()]}
    return ObjectsScore(
        all=mean_of(objects.values()),
        videos=videos,
        objects=objects,
        curves={
            name: _shares_above(np.concatenate([array.ravel() for array in arrays])) for name, arrays in values.items()
        },
        timelines={name: _timeline(measured) for name, measured in results.items()} if with_timelines else {},
    )


def statistics(values: np.ndarray) -> Statistics:
    """Return the statistics of J or F (N,) of an object by frame; NaN on frames that do not count.

    Quarters of the frames share the frame between them.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return Statistics()
    ends = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(int) - 1
    first, last = values[: ends[1] + 1], values[ends[3] :]
    return Statistics(float(values.mean()), float((values > _GOOD).mean()), float(first.mean() - last.mean()))


def mean_of(scores: Iterable[MaskScore]) -> MaskScore:
    """Return the mean of each statistic; values that are NaN are left out."""
    rows = [[[side.mean, side.recall, side.decay] for side in (score.j, score.f)] for score in scores]
    j, f = nanmean(np.array(rows), axis=0).tolist()
    return MaskScore(Statistics(*j), Statistics(*f))


def _shares_above(values: np.ndarray) -> np.ndarray:
    """Return the shares of the numbers in `values` that are above each of THRESHOLDS; NaN without a number."""
    ordered = np.sort(values[np.isfinite(values)])
    if not len(ordered):
        return np.full(len(THRESHOLDS), np.nan)
    return 1 - np.searchsorted(ordered, THRESHOLDS, side="right") / len(ordered)


def _timeline(measured: ObjectMeasures) -> Timeline:
    """Return the mean J of the objects by frame."""
    overlap = nanmean(measured.j, axis=0)
    return Timeline(overlap, find_losses(overlap), None, measured.labels)


def _or_none(value: float) -> float | None:
    return None if value != value else value
