"""What scored trackers did on sequences, read again from their results: overlap by frame, losses, regions; and their curves of expected overlap."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.accuracy_robustness import measure
from pysot.toolkit.evaluation.eao import expected_overlap
from pysot.toolkit.evaluation.evaluate_runs import RunScore, RunScores, kind_of, load_runs, run_overlaps
from pysot.toolkit.evaluation.official import expected_overlap_curve, with_official_overlaps
from pysot.toolkit.evaluation.one_pass import OpeScore, OpeScores, load_tracked
from pysot.toolkit.evaluation.ope import box_overlaps
from pysot.toolkit.evaluation.scoring import AnyScores
from pysot.toolkit.evaluation.supervised import Scores, TrackerScore, load_supervised
from pysot.toolkit.results.trajectory import START, TRACKED, Trajectory


@dataclass(frozen=True)
class Track:
    """What a tracker did on a sequence: overlap (N,), NaN where none counts; the frames of its losses; a region per frame or None; columns for the tables."""

    overlap: np.ndarray
    losses: list[int]
    regions: list
    numbers: tuple[float, ...]


def scored_folders(folders: list, scores: AnyScores) -> dict[str, Path]:
    """{tracker: folder} of the trackers that could be scored, the best first."""
    where = {Path(os.path.abspath(folder)).name: Path(folder) for folder in folders}
    return {score.name: where[score.name] for score in scores.trackers if not score.problems}


def load_tracks(dataset: Dataset, sequence: Sequence, where: dict[str, Path], scores: AnyScores, experiment: str) -> dict[str, Track]:
    """{tracker: its track} on one sequence, of those in `where` that were scored on it; the first repetition or anchor, where there are several. `numbers` are
    those of `heads`. Raises ResultError if a result has changed for the worse since it was scored.
    """
    load = _LOADERS[type(scores)]
    return {score.name: load(dataset, experiment, sequence, where[score.name], score)
            for score in scores.trackers if score.name in where and sequence.name in score.videos}


def heads(scores: AnyScores) -> tuple[str, ...]:
    """The names of a track's numbers."""
    if isinstance(scores, RunScores):
        return next((tuple(video) for score in scores.trackers for video in score.videos.values()), ())
    return ("success", "precision") if isinstance(scores, OpeScores) else ("accuracy", "losses")


def expected_overlap_curves(dataset: Dataset, where: dict[str, Path], experiment: str, vot: bool = False) -> dict[str, np.ndarray]:
    """{tracker: expected overlap (L,) by length}, over all repetitions, as EAO averages it; see `eao.expected_overlap`, or with `vot`
    `official.expected_overlap_curve`. Videos without usable results are left out.
    """
    curves = {}
    for name, folder in where.items():
        pairs = [(sequence, run) for sequence in dataset.sequences for run in _usable(folder, sequence, experiment, dataset)]
        runs = measure(*map(list, zip(*pairs, strict=True)))
        curves[name] = expected_overlap_curve(with_official_overlaps(runs)) if vot else expected_overlap(runs, ("all",), dataset.settings)[0]
    return curves


def _usable(folder: Path, sequence: Sequence, experiment: str, dataset: Dataset) -> list[Trajectory]:
    try:
        return load_supervised(folder, sequence, experiment, dataset.settings)
    except ValueError:  # told where the tracker was scored, on the other videos
        return []


def _supervised_track(dataset: Dataset, experiment: str, sequence: Sequence, folder: Path, score: TrackerScore) -> Track:
    run = measure([sequence], load_supervised(folder, sequence, experiment, dataset.settings)[:1])[0]
    return Track(run.overlap, run.trajectory.failures.tolist(), _regions(run.trajectory), tuple(map(float, score.videos[sequence.name])))


def _regions(run: Trajectory) -> list:
    return [region[np.isfinite(region)] if code == TRACKED else None for region, code in zip(run.regions, run.codes, strict=True)]


def _one_pass_track(dataset: Dataset, experiment: str, sequence: Sequence, folder: Path, score: OpeScore) -> Track:
    """The first repetition; frames without the target, by whatever the set says of that, have no overlap."""
    tracked = load_tracked(dataset, sequence, folder, [])
    counts = np.isfinite(tracked.truth).all(axis=1)
    for flags in (sequence.present, sequence.visible):
        counts &= True if flags is None else flags
    overlap = np.where(counts, box_overlaps(tracked.truth, tracked.boxes), np.nan)
    curves = score.videos[sequence.name]
    regions = [box if np.isfinite(box).all() and (box[2:] >= 0).all() else None for box in tracked.boxes]
    return Track(overlap, _drops(overlap), regions, (curves.auc, curves.precision20))


def _drops(overlap: np.ndarray) -> list[int]:
    """Frames at which an overlap becomes 0."""
    return (np.flatnonzero((overlap[1:] == 0) & (overlap[:-1] > 0)) + 1).tolist()


def _run_track(dataset: Dataset, experiment: str, sequence: Sequence, folder: Path, score: RunScore) -> Track:
    """The first run; of sets of many starts that of the first anchor, at the frames of the sequence."""
    kind = kind_of(dataset, experiment)
    run, numbers = load_runs(folder, sequence, experiment, kind)[0], tuple(score.videos[sequence.name].values())
    overlap, regions = np.full(len(sequence), np.nan), [None] * len(sequence)
    seen, order = sequence, np.arange(len(sequence))
    if kind == "multistart":
        frame, backwards = sequence.anchors[0]
        seen, order = sequence.run_from(frame, backwards), order[frame::-1] if backwards else order[frame:]
    found = run_overlaps(seen, run)
    found[~np.isfinite([region[0] for region in seen.ground_truth]) | (run.codes == START)] = np.nan
    overlap[order] = found
    for frame, region in zip(order, _regions(run), strict=True):
        regions[frame] = region
    return Track(overlap, [int(order[place]) for place in _drops(found)], regions, numbers)


_LOADERS: dict[type, Callable] = {Scores: _supervised_track, OpeScores: _one_pass_track, RunScores: _run_track}
