"""Scores of runs without restarts: long-term sets, sets of many starts (VOT since 2020), unsupervised experiment."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.loading import drawable_regions, find_losses
from pysot.toolkit.protocol import NAN, Timeline, TrackerScore
from pysot.toolkit.region.masks import equals_none, mask_overlap
from pysot.toolkit.region.official_raster import official_overlaps
from pysot.toolkit.region.raster import region_table
from pysot.toolkit.results.trajectory import START, Trajectory

UNBOUNDED = 1 << 20  # pixels: width and height of images of unknown size


@dataclass(frozen=True, kw_only=True)
class RunScore(TrackerScore):
    """Values of one tracker by name, the first of which ranks; those of each video; the first one by attribute.

    The `official` fields are the same three in the official toolkit's arithmetic, if it differs and was asked for.
    `curve_x` and `curve` are x and y of a curve. All are empty if the tracker is not scored.
    """

    numbers: dict[str, float] = field(default_factory=dict)
    videos: dict[str, dict[str, float]] = field(default_factory=dict)
    attributes: dict[str, float] = field(default_factory=dict)
    official: dict[str, float] = field(default_factory=dict)
    official_videos: dict[str, dict[str, float]] = field(default_factory=dict)
    official_attributes: dict[str, float] = field(default_factory=dict)
    curve_x: np.ndarray | None = field(default=None, compare=False)
    curve: np.ndarray | None = field(default=None, compare=False)

    @property
    def rank_by(self) -> float:
        """First value."""
        return next(iter(self.numbers.values()), NAN)

    @property
    def by_video(self) -> dict[str, dict[str, float]]:
        """Values of each video."""
        return self.videos

    def to_json(self) -> dict[str, Any]:
        """Return the score as plain values.

        {the values, videos: {name: the values}, attributes: {name: the first value}}, and vot: the same of the
        official values, if they were asked for.
        """
        content: dict[str, Any] = {**self.numbers, "videos": self.videos, "attributes": self.attributes}
        if self.official:
            content["vot"] = {
                **self.official,
                "videos": self.official_videos,
                "attributes": self.official_attributes,
            }
        return content


@dataclass(frozen=True)
class Run:
    """One run and the part of a sequence it tracks: from frame `start`, counted from 0, to the end, or `backwards`."""

    sequence: Sequence
    trajectory: Trajectory
    start: int = 0
    backwards: bool = False

    @property
    def frames(self) -> np.ndarray:
        """Frames (N,) of the complete sequence, in the order in which the run tracks them."""
        return self.start + np.arange(len(self.sequence)) * (-1 if self.backwards else 1)

    @cached_property
    def overlap(self) -> np.ndarray:
        """Overlaps (N,), see `run_overlaps`."""
        return run_overlaps(self.sequence, self.trajectory)


def run_overlaps(sequence: Sequence, run: Trajectory) -> np.ndarray:
    """Return the overlaps (N,) as the official toolkit counts them.

    1 where neither tracker nor ground truth has a region; 0 where only one has, unless its extent is none, see
    `equals_none`.
    """
    truth = region_table(sequence.ground_truth)
    width, height = sequence.width or UNBOUNDED, sequence.height or UNBOUNDED
    overlaps = official_overlaps(run.regions, truth, width, height)
    for frame in {*sequence.masks, *run.masks}:
        if np.isfinite(run.regions[frame, :4]).all() and np.isfinite(truth[frame, :4]).all():
            run_region, true_region = (row[np.isfinite(row)] for row in (run.regions[frame], truth[frame]))
            overlaps[frame] = mask_overlap(
                run.masks.get(frame, run_region), sequence.masks.get(frame, true_region), width, height
            )
    no_region, no_truth = (~np.isfinite(table[:, :4]).all(axis=1) for table in (run.regions, truth))
    overlaps[no_region & no_truth] = 1.0
    for frame in np.flatnonzero(no_region != no_truth).tolist():
        of_one = sequence if no_region[frame] else run
        numbers = (truth if no_region[frame] else run.regions)[frame]
        overlaps[frame] = equals_none(of_one.masks.get(frame, numbers[np.isfinite(numbers)]))
    return overlaps


def score_runs(
    measure: Callable[[Dataset, dict[str, list[Run]], str], dict[str, Any]],
    dataset: Dataset,
    results: dict[str, list[Run]],
    mode: str,
    with_timelines: bool,
) -> RunScore:
    """Score the runs on each sequence.

    measure(dataset, results, mode) returns fields of a RunScore. It is called for the complete set and for the
    sequences with each attribute.
    """
    fields = measure(dataset, results, mode)
    for attribute, names in dataset.by_attribute().items():
        subset_fields = measure(dataset.only(names), results, mode)
        for by_attribute, numbers in (("attributes", "numbers"), ("official_attributes", "official")):
            if numbers in subset_fields:
                first_value = next(iter(subset_fields[numbers].values()))
                fields.setdefault(by_attribute, {})[attribute] = first_value
    timelines = {}
    if with_timelines:
        timelines = {sequence.name: _timeline(sequence, results[sequence.name][0]) for sequence in dataset.sequences}
    return RunScore(**fields, timelines=timelines)


def _timeline(sequence: Sequence, run: Run) -> Timeline:
    """Return the timeline of a run (the first one on its sequence) at the frames of the complete sequence."""
    overlap, regions = np.full(len(sequence), np.nan), np.full((len(sequence), 8), np.nan)
    frames, run_overlap = run.frames, run.overlap.copy()
    has_truth = np.isfinite([region[0] for region in run.sequence.ground_truth])
    run_overlap[~has_truth | (run.trajectory.codes == START)] = np.nan
    overlap[frames] = run_overlap
    regions[frames] = run.trajectory.regions
    losses = [int(frames[index]) for index in find_losses(run_overlap)]
    masks = {int(frames[index]): mask for index, mask in run.trajectory.masks.items()}
    return Timeline(overlap, losses, drawable_regions(sequence, regions), masks=masks)
