"""Scores of one-pass sets: from boxes to success, precision and average overlap, in pysot's arithmetic and that of the set's own toolkit."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.loading import drops, repetition_notes, shown_regions
from pysot.toolkit.evaluation.ope import Curves, box_overlaps, mean_curves, measure_video
from pysot.toolkit.evaluation.ope_official import GOT10K, OfficialOpe, SequenceResults, gather_official, rule_of
from pysot.toolkit.protocol import NAN, Timeline, TrackerScore
from pysot.toolkit.results.files import find_ope_runs, load_ope, load_ope_seconds
from pysot.utils.bbox import get_axis_aligned_bbox

SPARE_LINES = ("lasot", "lasot_ext")  # sets whose toolkit cuts results that are longer than their video


@dataclass(frozen=True, kw_only=True)
class OnePassScore(TrackerScore):
    """Curves over all videos, of each video, and of the videos with each attribute; `all` is None where the tracker is not scored. `official` are the scores of
    the set's own toolkit, where they were asked for.
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

    def to_json(self) -> dict:
        """{auc, precision20, norm_precision20, norm_precision_auc, ao, sr50, sr75, attributes: {name: auc}, videos: {name: {auc, precision20, norm_precision20,
        ao}}}, and official: {the numbers of the set's own toolkit, attributes, videos} where these were asked for.
        """
        return {
            **{
                what: getattr(self.all, what)
                for what in ("auc", "precision20", "norm_precision20", "norm_precision_auc", "ao", "sr50", "sr75")
            },
            "attributes": {name: curves.auc for name, curves in self.attributes.items()},
            "videos": {
                name: {what: getattr(curves, what) for what in ("auc", "precision20", "norm_precision20", "ao")}
                for name, curves in self.videos.items()
            },
            **({"official": _as_json(self.official)} if self.official else {}),
        }


def _as_json(official: OfficialOpe) -> dict:
    """As plain values; None for a number that does not exist, such as frames a second without times."""
    parts = asdict(official)
    parts |= {
        "numbers": _known(official.numbers),
        "videos": {name: _known(numbers) for name, numbers in official.videos.items()},
    }
    return {**parts.pop("numbers"), **parts}


def _known(numbers: dict[str, float]) -> dict[str, float | None]:
    return {name: None if value != value else value for name, value in numbers.items()}


@dataclass(frozen=True)
class Measured:
    """What a tracker did on a sequence, and its curves."""

    tracked: SequenceResults
    curves: Curves


def load_one_pass(dataset: Dataset, sequence: Sequence, tracker_dir: Path, notes: list[str]) -> Measured:
    """What a tracker did on a sequence, in all repetitions; remarks on its files are added to `notes`. Raises ResultError, ValueError without ground truth."""
    files = find_ope_runs(tracker_dir, sequence.name, sequence.alike)
    spare = dataset.name.lower() in SPARE_LINES
    runs = [load_ope(path, len(sequence), notes, spare) for path in files]
    tracked = SequenceResults(sequence, upright(sequence.ground_truth), runs, load_ope_seconds(files[0]))
    return Measured(tracked, measure_video(tracked.truth, tracked.boxes, sequence.present, tracked.counted))


def score_one_pass(dataset: Dataset, results: dict[str, Measured], mode: str, with_timelines: bool) -> OnePassScore:
    """Score one tracker, unless `mode` is "pysot" also as the set's own toolkit."""
    rule, notes = (
        rule_of(dataset),
        repetition_notes([len(found.tracked.runs) for found in results.values()], "AO and SR weigh them by these"),
    )
    timed = sum(len(found.tracked.seconds) > 0 for found in results.values())
    if mode != "pysot" and rule is GOT10K and timed < len(results):
        notes.append(f"frames a second are of {timed} of {len(results)} videos, the others have no times")
    videos, attributes = {video: found.curves for video, found in results.items()}, dataset.by_attribute()
    return OnePassScore(
        all=mean_curves(list(videos.values())),
        videos=videos,
        attributes={
            attribute: mean_curves([videos[video] for video in having]) for attribute, having in attributes.items()
        },
        official=gather_official({video: rule.measure(found.tracked) for video, found in results.items()}, attributes)
        if mode != "pysot"
        else None,
        notes=tuple(notes),
        timelines={video: _timeline(found.tracked) for video, found in results.items()} if with_timelines else {},
    )


def _timeline(tracked: SequenceResults) -> Timeline:
    """The first repetition; frames without the target, by whatever the set says of that, have no overlap."""
    counts, sequence = np.isfinite(tracked.truth).all(axis=1), tracked.sequence
    for flags in (sequence.present, sequence.visible):
        counts &= True if flags is None else flags
    overlap = np.where(counts, box_overlaps(tracked.truth, tracked.boxes), np.nan)
    drawable = np.isfinite(tracked.boxes).all(axis=1) & (tracked.boxes[:, 2:] >= 0).all(axis=1)
    return Timeline(
        overlap, drops(overlap), shown_regions(sequence, np.where(drawable[:, None], tracked.boxes, np.nan))
    )


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
