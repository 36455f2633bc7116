"""Score trackers' result folders on a data set: results.load -> metrics -> one score per tracker."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pysot.toolkit import metrics
from pysot.toolkit.eao import expected_average_overlap
from pysot.toolkit.results import ResultError, baseline_file, baseline_files, load_baseline
from pysot.toolkit.sequence import Dataset

NAN = float("nan")


@dataclass(frozen=True)
class TrackerScore:
    """Scores of one tracker: robustness is losses per 100 frames, eao per tag, videos {name: (accuracy, lost)}. With `problems` (sentences that name
    files and lines) the tracker is not scored: its numbers are NaN and videos is empty.
    """

    name: str
    accuracy: float
    robustness: float
    lost: float
    eao: dict[str, float]
    videos: dict[str, tuple[float, float]]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scores:
    """All trackers on one data set, best EAO first, those that could not be scored last."""

    dataset: str
    trackers: list[TrackerScore]

    def __post_init__(self):
        rank = sorted(self.trackers, key=lambda score: (bool(score.problems), score.eao["all"] != score.eao["all"], -score.eao["all"], score.name))
        object.__setattr__(self, "trackers", rank)

    def to_json(self) -> dict:
        """{tracker: {accuracy, robustness, lost, eao: {tag: value}, videos: {name: {accuracy, lost}}}} of the trackers that could be scored. A value
        that does not exist (a tag that no frame has) is NaN.
        """
        return {
            score.name: {
                "accuracy": score.accuracy,
                "robustness": score.robustness,
                "lost": score.lost,
                "eao": dict(score.eao),
                "videos": {name: {"accuracy": accuracy, "lost": lost} for name, (accuracy, lost) in score.videos.items()},
            }
            for score in self.trackers if not score.problems
        }


def evaluate_tracker(dataset: Dataset, tracker_dir: str | os.PathLike) -> TrackerScore:
    """Score one tracker's folder; results that are missing or damaged end in `problems`, not in an exception."""
    name = Path(os.path.abspath(tracker_dir)).name
    sequences, trajectories, problems = [], [], []
    for sequence in dataset.sequences:
        for path in baseline_files(tracker_dir, sequence.name) or [baseline_file(tracker_dir, sequence.name)]:
            try:
                trajectories.append(load_baseline(path, len(sequence)))
                sequences.append(sequence)
            except ResultError as error:
                problems.append(str(error))
    if problems:
        return TrackerScore(name, NAN, NAN, NAN, dict.fromkeys(dataset.tags, NAN), {}, tuple(problems))
    runs = metrics.measure(sequences, trajectories)
    grouped = {sequence.name: [] for sequence in dataset.sequences}
    for run in runs:
        grouped[run.sequence.name].append(run)
    videos = {video: metrics.video_score(group, dataset.settings.burn_in) for video, group in grouped.items()}
    accuracy, robustness, lost = metrics.accuracy_robustness_lost(list(videos.values()))
    eao = expected_average_overlap(runs, dataset.tags, dataset.settings)
    return TrackerScore(name, accuracy, robustness, lost, eao, {video: (score.accuracy, score.lost) for video, score in videos.items()})


def evaluate_vot(dataset: Dataset, tracker_dirs: list, workers: int = 1, on_done: Callable[[str], None] | None = None) -> Scores:
    """Score all folders, in `workers` processes if more than one; on_done(name) is called after each tracker."""
    if workers < 1:
        raise ValueError(f"needs at least one worker process, got {workers}")
    scores = []
    for score in _each(dataset, tracker_dirs, min(workers, len(tracker_dirs))):
        scores.append(score)
        if on_done:
            on_done(score.name)
    return Scores(dataset.name, scores)


def _each(dataset, folders, workers):
    if workers <= 1:
        yield from (evaluate_tracker(dataset, folder) for folder in folders)
        return
    # spawned, since a fork copies the threads of BLAS and of progress bars in a state they can't leave
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as executor:
        yield from executor.map(evaluate_tracker, [dataset] * len(folders), folders)
