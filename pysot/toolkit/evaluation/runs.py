"""Scores of runs without restarts: what long-term sets, sets of many starts (VOT since 2020) and VOT's unsupervised experiment have in common."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.loading import drops, shown_regions
from pysot.toolkit.protocol import NAN, Timeline, TrackerScore
from pysot.toolkit.region.masks import mask_overlap
from pysot.toolkit.region.official_raster import official_overlaps
from pysot.toolkit.region.raster import region_table
from pysot.toolkit.results.trajectory import START, Trajectory

UNBOUNDED = 1 << 20  # pixels: a width for images whose size nobody knows


@dataclass(frozen=True, kw_only=True)
class RunScore(TrackerScore):
    """Numbers of one tracker by name, the first one ranks; of each video; the number that ranks, of the videos with each attribute; the same three in the
    official toolkit's arithmetic where it differs and was asked for; and a curve, its values at `at`. All are empty where the tracker is not scored.
    """

    numbers: dict[str, float] = field(default_factory=dict)
    videos: dict[str, dict[str, float]] = field(default_factory=dict)
    attributes: dict[str, float] = field(default_factory=dict)
    official: dict[str, float] = field(default_factory=dict)
    official_videos: dict[str, dict[str, float]] = field(default_factory=dict)
    official_attributes: dict[str, float] = field(default_factory=dict)
    at: np.ndarray | None = field(default=None, compare=False)
    curve: np.ndarray | None = field(default=None, compare=False)

    @property
    def rank_by(self) -> float:
        """The first number."""
        return next(iter(self.numbers.values()), NAN)

    @property
    def by_video(self) -> dict[str, dict[str, float]]:
        """The numbers of each video."""
        return self.videos

    def to_json(self) -> dict:
        """{the numbers, videos: {name: the numbers}, attributes: {name: the first number}}, and vot: the same of the official ones, if asked for."""
        vot = (
            {"vot": {**self.official, "videos": self.official_videos, "attributes": self.official_attributes}}
            if self.official
            else {}
        )
        return {**self.numbers, "videos": self.videos, "attributes": self.attributes, **vot}


@dataclass(frozen=True)
class Run:
    """One run, and the sequence as it sees it: from frame `start`, counted from 0, of the whole one on, or `backwards` from there."""

    sequence: Sequence
    trajectory: Trajectory
    start: int = 0
    backwards: bool = False

    @property
    def frames(self) -> np.ndarray:
        """The frames (N,) of the whole sequence, in the order in which the run sees them."""
        return self.start + np.arange(len(self.sequence)) * (-1 if self.backwards else 1)

    @cached_property
    def overlap(self) -> np.ndarray:
        """Overlaps (N,), see `run_overlaps`."""
        return run_overlaps(self.sequence, self.trajectory)


def run_overlaps(sequence: Sequence, run: Trajectory) -> np.ndarray:
    """Overlaps (N,) as the official toolkit counts them: 0 where either has no region, 1 where neither has."""
    truth = region_table(sequence.ground_truth)
    width, height = sequence.width or UNBOUNDED, sequence.height or UNBOUNDED
    found = official_overlaps(run.regions, truth, width, height)
    for frame in {*sequence.masks, *run.masks}:
        if np.isfinite(run.regions[frame, :4]).all() and np.isfinite(truth[frame, :4]).all():
            known = [row[np.isfinite(row)] for row in (run.regions[frame], truth[frame])]
            found[frame] = mask_overlap(
                run.masks.get(frame, known[0]), sequence.masks.get(frame, known[1]), width, height
            )
    unknown, absent = (~np.isfinite(table[:, :4]).all(axis=1) for table in (run.regions, truth))
    found[unknown & absent] = 1.0
    return found


def score_runs(
    measure: Callable[[Dataset, dict, str], dict],
    dataset: Dataset,
    results: dict[str, list[Run]],
    mode: str,
    with_timelines: bool,
) -> RunScore:
    """Score the runs on each sequence. measure(dataset, results, mode) gives parts of a RunScore, of the whole set and of the sequences with each attribute."""
    parts = measure(dataset, results, mode)
    for attribute, names in dataset.by_attribute().items():
        of_it = measure(dataset.only(names), results, mode)
        for place, numbers in (("attributes", "numbers"), ("official_attributes", "official")):
            if numbers in of_it:
                parts.setdefault(place, {})[attribute] = next(iter(of_it[numbers].values()))
    timelines = (
        {sequence.name: _timeline(sequence, results[sequence.name][0]) for sequence in dataset.sequences}
        if with_timelines
        else {}
    )
    return RunScore(**parts, timelines=timelines)


def _timeline(sequence: Sequence, run: Run) -> Timeline:
    """The first run; of sets of many starts that of the first anchor, at the frames of the whole sequence."""
    overlap, regions, order, found = (
        np.full(len(sequence), np.nan),
        np.full((len(sequence), 8), np.nan),
        run.frames,
        run.overlap.copy(),
    )
    found[~np.isfinite([region[0] for region in run.sequence.ground_truth]) | (run.trajectory.codes == START)] = np.nan
    overlap[order], regions[order] = found, run.trajectory.regions
    return Timeline(overlap, [int(order[place]) for place in drops(found)], shown_regions(sequence, regions))
