"""Score trackers' runs without restarts: long-term sets, sets of many starts (VOT since 2020), and VOT's unsupervised experiment."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation import longterm, multistart
from pysot.toolkit.evaluation.gather import gather, repetition_notes
from pysot.toolkit.region.masks import mask_overlap
from pysot.toolkit.region.official_raster import official_overlaps
from pysot.toolkit.region.raster import corners_of, overlaps, region_table
from pysot.toolkit.results.files import START, ResultError, Trajectory, anchor_file, anchor_files, load_run, vot_file, vot_files

UNBOUNDED = 1 << 20  # pixels: a width for images whose size nobody knows


@dataclass(frozen=True)
class RunScore:
    """Scores of one tracker by name, the first one ranks; of each video; the number that ranks, of the videos with each attribute; the same three in the
    official toolkit's arithmetic where it differs and was asked for; and a curve, its values at `at`. With `problems` it is not scored and all of these are
    empty. `notes` and `covers` as TrackerScore.
    """

    name: str
    numbers: dict[str, float] = field(default_factory=dict)
    videos: dict[str, dict[str, float]] = field(default_factory=dict)
    attributes: dict[str, float] = field(default_factory=dict)
    official: dict[str, float] = field(default_factory=dict)
    official_videos: dict[str, dict[str, float]] = field(default_factory=dict)
    official_attributes: dict[str, float] = field(default_factory=dict)
    at: np.ndarray | None = None
    curve: np.ndarray | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    covers: str = ""

    @property
    def rank_by(self) -> float:
        """The number that ranks, -1 where the tracker is not scored."""
        return next(iter(self.numbers.values()), -1.0)


@dataclass(frozen=True)
class RunScores:
    """All trackers on one data set, the best first, those that could not be scored last; `kind` is a key of KINDS, `axes` tells what their curves show."""

    dataset: str
    kind: str
    axes: str
    trackers: list[RunScore]

    def __post_init__(self):
        object.__setattr__(self, "trackers", sorted(self.trackers, key=lambda score: (bool(score.problems), -score.rank_by, score.name)))

    def to_json(self) -> dict:
        """{tracker: {the numbers, videos: {name: the numbers}, attributes: {name: the first number}}} of the trackers that could be scored, and vot: the
        same of the official ones, if asked for.
        """
        def vot(score: RunScore) -> dict:
            return {"vot": {**score.official, "videos": score.official_videos, "attributes": score.official_attributes}} if score.official else {}

        return {score.name: {**score.numbers, "videos": score.videos, "attributes": score.attributes, **vot(score)}
                for score in self.trackers if not score.problems}


def run_overlaps(sequence: Sequence, run: Trajectory) -> np.ndarray:
    """Overlaps (N,) as the official toolkit counts them: 0 where either has no region, 1 where neither has."""
    truth = region_table(sequence.ground_truth)
    width, height = sequence.width or UNBOUNDED, sequence.height or UNBOUNDED
    found = official_overlaps(run.regions, truth, width, height)
    for frame in {*sequence.masks, *run.masks}:
        if np.isfinite(run.regions[frame, :4]).all() and np.isfinite(truth[frame, :4]).all():
            known = [row[np.isfinite(row)] for row in (run.regions[frame], truth[frame])]
            found[frame] = mask_overlap(run.masks.get(frame, known[0]), sequence.masks.get(frame, known[1]), width, height)
    unknown, absent = (~np.isfinite(table[:, :4]).all(axis=1) for table in (run.regions, truth))
    found[unknown & absent] = 1.0
    return found


def score_long_term(dataset: Dataset, load: Callable[[Sequence], list[Trajectory]], mode: str) -> dict:
    """F1, precision and recall; parts of a RunScore."""
    runs = {sequence.name: load(sequence)[0] for sequence in dataset.sequences}
    official = [_video(run_overlaps(sequence, runs[sequence.name]), sequence, runs) for sequence in dataset.sequences] if mode != "pysot" else []
    original = [_video(_pysot_overlaps(sequence, runs[sequence.name]), sequence, runs) for sequence in dataset.sequences]
    score = longterm.long_term_score(original, official=False)
    their = {"official": _f1(longterm.long_term_score(official, True)), "official_videos": _by_video(dataset, official, True)} if official else {}
    return {"numbers": _f1(score), "videos": _by_video(dataset, original, False), "at": score.recalls, "curve": score.precisions, **their}


def _by_video(dataset: Dataset, videos: list[longterm.Video], official: bool) -> dict[str, dict[str, float]]:
    return {sequence.name: _f1(longterm.long_term_score([video], official)) for sequence, video in zip(dataset.sequences, videos, strict=True)}


def _f1(score: longterm.LongTermScore) -> dict[str, float]:
    return {"f1": score.f1, "precision": score.precision, "recall": score.recall}


def _video(overlap, sequence, runs) -> longterm.Video:
    visible = int(np.isfinite(region_table(sequence.ground_truth)[:, :4]).all(axis=1).sum())
    return longterm.Video(overlap, runs[sequence.name].scores, visible)


def _pysot_overlaps(sequence: Sequence, run: Trajectory) -> np.ndarray:
    width, height = sequence.width or UNBOUNDED, sequence.height or UNBOUNDED
    return overlaps(corners_of(run.regions), sequence.corners, width, height)


def score_many_starts(dataset: Dataset, load: Callable[[Sequence], list[Trajectory]], mode: str) -> dict:
    """EAO, accuracy and robustness; parts of a RunScore. There is the official toolkit's arithmetic only."""
    everything, scores, videos, settings = [], [], {}, dataset.settings
    for sequence in dataset.sequences:
        runs = []
        for (frame, backwards), run in zip(sequence.anchors, load(sequence), strict=True):
            seen = sequence.run_from(frame, backwards)
            visible = np.array([bool(np.isfinite(region).all()) and (len(region) == 8 or min(region[2:]) > 0) for region in seen.ground_truth])
            runs.append(multistart.AnchorRun(run_overlaps(seen, run), visible))
        scores.append(multistart.sequence_score(runs, len(sequence)))
        videos[sequence.name] = {"accuracy": scores[-1].accuracy, "robustness": scores[-1].robustness}
        everything += runs
    curve = multistart.expected_overlap(everything, settings.high)
    accuracy, robustness = multistart.accuracy_robustness(scores)
    numbers = {"eao": multistart.expected_average_overlap(curve, settings.low, settings.high), "accuracy": accuracy, "robustness": robustness}
    return {"numbers": numbers, "videos": videos, "at": np.arange(settings.high), "curve": curve}


def score_unsupervised(dataset: Dataset, load: Callable[[Sequence], list[Trajectory]], mode: str) -> dict:
    """Mean overlap of the frames `burn_in` or more after the first, videos weighed by their length; parts of a RunScore. There is the official toolkit's
    arithmetic only. The curve is the share of frames above an overlap.
    """
    burn_in = 1 if dataset.protocol == "multistart" else dataset.settings.burn_in
    videos, everything = {}, []
    for sequence in dataset.sequences:
        means = []
        for run in load(sequence):
            counts = np.isfinite(run.regions[:, :4]).all(axis=1) & np.isfinite(region_table(sequence.ground_truth)[:, :4]).all(axis=1)
            counts[:burn_in if run.codes[0] == START else 0] = False
            overlap = run_overlaps(sequence, run)[counts]
            means.append(float(overlap.mean()) if len(overlap) else 0.0)
            everything.append(overlap)
        videos[sequence.name] = {"accuracy": float(np.mean(means))}
    accuracy = np.average([video["accuracy"] for video in videos.values()], weights=[len(sequence) for sequence in dataset.sequences])
    at, together = np.linspace(0, 1, 101), np.sort(np.concatenate(everything))
    above = 1 - np.searchsorted(together, at, side="right") / max(1, len(together))
    return {"numbers": {"accuracy": float(accuracy)}, "videos": videos, "at": at, "curve": above}


# What runs without restarts are scored by: the function, and what its curve shows.
KINDS = {
    "longterm": (score_long_term, "precision by recall"),
    "multistart": (score_many_starts, "expected overlap by length in frames"),
    "unsupervised": (score_unsupervised, "share of frames above an overlap"),
}


def kind_of(dataset: Dataset, experiment: str) -> str:
    """The key of KINDS for an experiment of a data set, "" for one with restarts or in one pass."""
    if experiment in ("unsupervised", "longterm"):
        return experiment
    return "multistart" if dataset.protocol == "multistart" else ""


def evaluate_runs(dataset: Dataset, tracker_dir: str | os.PathLike, experiment: str, mode: str = "pysot", partial: bool = False) -> RunScore:
    """Score one tracker's folder; results that are missing or damaged end in `problems`, with `partial` in `notes`."""
    name, kind = Path(os.path.abspath(tracker_dir)).name, kind_of(dataset, experiment)
    found = gather(dataset, lambda sequence: load_runs(Path(tracker_dir), sequence, experiment, kind), partial)
    if found.problems:
        return RunScore(name, problems=found.problems)
    score = functools.partial(KINDS[kind][0], load=lambda sequence: found.results[sequence.name])
    sequences = found.dataset.sequences
    attributes = sorted({attribute for sequence in sequences for attribute in sequence.attributes})
    try:
        parts = score(found.dataset, mode=mode)
        for attribute in attributes:
            with_it = found.dataset.only([sequence.name for sequence in sequences if attribute in sequence.attributes])
            of_it = score(with_it, mode=mode)
            for place, numbers in (("attributes", "numbers"), ("official_attributes", "official")):
                if numbers in of_it:
                    parts.setdefault(place, {})[attribute] = next(iter(of_it[numbers].values()))
    except ValueError as error:
        return RunScore(name, problems=(str(error),))
    told = repetition_notes(map(len, found.results.values()) if kind == "unsupervised" else [])
    return RunScore(name, notes=(*told, *found.notes), covers=found.covers, **parts)


def load_runs(tracker_dir: Path, sequence: Sequence, experiment: str, kind: str) -> list[Trajectory]:
    """The runs of a tracker on a sequence: one per anchor, or per repetition. Raises ResultError."""
    if kind != "multistart":
        files = vot_files(tracker_dir, sequence.name, experiment, sequence.alike) or [
            vot_file(tracker_dir, sequence.name, experiment=experiment, alike=sequence.alike)]
        runs = [load_run(path, len(sequence)) for path in files]
        if kind == "longterm" and runs[0].masks:
            raise ResultError(f"{files[0]} has masks, which long-term scores do not know; track with boxes")
        if kind == "longterm" and runs[0].scores is None:
            missing = files[0].with_name(f"{files[0].stem}_confidence.value")
            raise ResultError(f"no result file {missing}: long-term scores need the tracker's confidence in each frame")
        return runs
    runs, files = [], anchor_files(tracker_dir, sequence.name, experiment, sequence.alike)
    for frame, backwards in sequence.anchors:
        path = files.get(frame) or anchor_file(tracker_dir, sequence.name, frame, experiment, sequence.alike)
        runs.append(load_run(path, frame + 1 if backwards else len(sequence) - frame))
    return runs
