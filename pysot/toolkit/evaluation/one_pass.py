"""Scores of one-pass sets: success, precision and average overlap in pysot's and in the official arithmetic."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.loading import drawable_regions, find_losses, repetition_notes
from pysot.toolkit.evaluation.ope import Curves, box_overlaps, mean_curves, measure_video
from pysot.toolkit.evaluation.ope_official import (
    GOT10K,
    OfficialOpe,
    SequenceResults,
    official_rule,
    summarize_official,
)
from pysot.toolkit.protocol import NAN, Timeline, TrackerScore
from pysot.toolkit.results.files import load_ope, load_ope_seconds
from pysot.toolkit.results.paths import batch_file, find_ope_runs
from pysot.utils.bbox import get_axis_aligned_bbox

EXTRA_LINES_ALLOWED = ("lasot", "lasot_ext")  # sets whose toolkit cuts results that are longer than their video


@dataclass(frozen=True, kw_only=True)
class OnePassScore(TrackerScore):
    """Curves over all videos, of each video, and of the videos with each attribute.

    `all` is None if the tracker is not scored. `official` are the scores of the set's own toolkit, if they were asked
    for.
    """

    all: Curves | None = None
    videos: dict[str, Curves] = field(default_factory=dict)
    attributes: dict[str, Curves] = field(default_factory=dict)
    official: OfficialOpe | None = None

    @property
    def rank_by(self) -> float:
        """Success: the area under its curve."""
        return self.all.auc if self.all else NAN

    @property
    def by_video(self) -> dict[str, dict[str, float]]:
        """Success and precision of each video."""
        return {name: {"success": curves.auc, "precision": curves.precision20} for name, curves in self.videos.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the score as plain values.

        {auc, precision20, norm_precision20, norm_precision_auc, ao, sr50, sr75, attributes: {name: auc}, videos:
        {name: {auc, precision20, norm_precision20, ao}}}, and official: {the values of the set's own toolkit,
        attributes, videos} if these were asked for.
        """
        keys = ("auc", "precision20", "norm_precision20", "norm_precision_auc", "ao", "sr50", "sr75")
        video_keys = ("auc", "precision20", "norm_precision20", "ao")
        return {
            **{key: getattr(self.all, key) for key in keys},
            "attributes": {name: curves.auc for name, curves in self.attributes.items()},
            "videos": {name: {key: getattr(curves, key) for key in video_keys} for name, curves in self.videos.items()},
            **({"official": _official_to_json(self.official)} if self.official else {}),
        }


def _official_to_json(official: OfficialOpe) -> dict[str, Any]:
    """Return plain values; None for a value that does not exist, such as frames per second without times."""
    parts = asdict(official)
    parts |= {
        "numbers": _nan_to_none(official.numbers),
        "videos": {name: _nan_to_none(numbers) for name, numbers in official.videos.items()},
    }
    return {**parts.pop("numbers"), **parts}


def _nan_to_none(numbers: dict[str, float]) -> dict[str, float | None]:
    return {name: None if value != value else value for name, value in numbers.items()}


@dataclass(frozen=True)
class OnePassMeasurement:
    """Results of a tracker on a sequence, and their curves. `shared`: the seconds are those of a batch."""

    tracked: SequenceResults
    curves: Curves
    shared: bool


def load_one_pass(dataset: Dataset, sequence: Sequence, tracker_dir: Path, notes: list[str]) -> OnePassMeasurement:
    """Load and measure all repetitions on a sequence; remarks on its files are appended to `notes`.

    Raises ResultError, and ValueError if no frame has ground truth.
    """
    files = find_ope_runs(tracker_dir, sequence.name, sequence.similar_names)
    extra_lines_allowed = dataset.name.lower() in EXTRA_LINES_ALLOWED
    runs = [load_ope(path, len(sequence), notes, extra_lines_allowed) for path in files]
    tracked = SequenceResults(sequence, axis_aligned_boxes(sequence.ground_truth), runs, load_ope_seconds(files[0]))
    curves = measure_video(tracked.truth, tracked.boxes, sequence.present, tracked.counted_overlaps)
    return OnePassMeasurement(tracked, curves, any(batch_file(path).exists() for path in files))


def score_one_pass(
    dataset: Dataset, results: dict[str, OnePassMeasurement], mode: str, with_timelines: bool
) -> OnePassScore:
    """Score one tracker, unless `mode` is "pysot" in the arithmetic of the set's own toolkit too."""
    rule = official_rule(dataset)
    repetitions = [len(measured.tracked.runs) for measured in results.values()]
    notes = repetition_notes(repetitions, "AO and SR weigh the videos by these numbers")
    timed = sum(len(measured.tracked.seconds) > 0 for measured in results.values())
    if mode != "pysot" and rule is GOT10K and timed < len(results):
        notes.append(f"FPS covers {timed} of {len(results)} videos; the others have no times")
    shared = sum(measured.shared for measured in results.values())
    if mode != "pysot" and rule is GOT10K and shared:
        notes.append(
            f"FPS: {shared} of {len(results)} videos were tracked in a batch, whose targets share the time of a step; "
            "one target alone is slower"
        )
    videos = {name: measured.curves for name, measured in results.items()}
    videos_by_attribute = dataset.by_attribute()
    official = None
    if mode != "pysot":
        values = {name: rule.measure(measured.tracked) for name, measured in results.items()}
        official = summarize_official(values, videos_by_attribute)
    return OnePassScore(
        all=mean_curves(list(videos.values())),
        videos=videos,
        attributes={
            attribute: mean_curves([videos[name] for name in names]) for attribute, names in videos_by_attribute.items()
        },
        official=official,
        notes=tuple(notes),
        timelines={name: _timeline(measured.tracked) for name, measured in results.items()} if with_timelines else {},
    )


def _timeline(tracked: SequenceResults) -> Timeline:
    """Return the timeline of the first repetition; frames that the set marks as without the target have no overlap."""
    counts, sequence = np.isfinite(tracked.truth).all(axis=1), tracked.sequence
    for flags in (sequence.present, sequence.visible):
        counts &= True if flags is None else flags
    overlap = np.where(counts, box_overlaps(tracked.truth, tracked.boxes), np.nan)
    drawable = np.isfinite(tracked.boxes).all(axis=1) & (tracked.boxes[:, 2:] >= 0).all(axis=1)
    regions = np.where(drawable[:, None], tracked.boxes, np.nan)
    return Timeline(overlap, find_losses(overlap), drawable_regions(sequence, regions))


def axis_aligned_boxes(regions: list[np.ndarray]) -> np.ndarray:
    """Return ground truth as boxes (N, 4) xywh.

    A polygon becomes the box of its centre and area, with which trackers start on it.
    """
    if all(len(region) == 4 for region in regions):
        return np.stack(regions)
    boxes = np.full((len(regions), 4), np.nan)
    for box, region in zip(boxes, regions, strict=True):
        if np.isfinite(region).all():
            x, y, w, h = get_axis_aligned_bbox(region)
            box[:] = x - (w - 1) / 2, y - (h - 1) / 2, w, h
    return boxes
