"""Score trackers' result folders on a data set: results.load -> metrics -> one score per tracker."""

import functools
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from pysot.toolkit import metrics
from pysot.toolkit.eao import expected_average_overlap
from pysot.toolkit.official import OfficialScore, official_score
from pysot.toolkit.results import ResultError, baseline_file, baseline_files, load_baseline
from pysot.toolkit.sequence import Dataset

NAN = float("nan")


@dataclass(frozen=True)
class TrackerScore:
    """Scores of one tracker: robustness is losses per 100 frames, eao per tag, videos {name: (accuracy, lost)}. With `problems` (sentences that name
    files and lines) the tracker is not scored: its numbers are NaN and videos is empty. `official` are the scores of the official toolkit's arithmetic,
    where they were asked for.
    """

    name: str
    accuracy: float
    robustness: float
    lost: float
    eao: dict[str, float]
    videos: dict[str, tuple[float, float]]
    problems: tuple[str, ...] = ()
    official: OfficialScore | None = None


@dataclass(frozen=True)
class Scores:
    """All trackers on one data set, best EAO first, those that could not be scored last."""

    dataset: str
    trackers: list[TrackerScore]

    def __post_init__(self):
        rank = sorted(self.trackers, key=lambda score: (bool(score.problems), score.eao["all"] != score.eao["all"], -score.eao["all"], score.name))
        object.__setattr__(self, "trackers", rank)

    def to_json(self) -> dict:
        """{tracker: {accuracy, robustness, lost, eao: {tag: value}, videos: {name: {accuracy, lost}}}} of the trackers that could be scored, and
        vot: {accuracy, robustness, lost, eao} where the official scores were asked for. A value that does not exist (a tag that no frame has) is NaN.
        """
        return {
            score.name: {
                "accuracy": score.accuracy,
                "robustness": score.robustness,
                "lost": score.lost,
                "eao": dict(score.eao),
                "videos": {name: {"accuracy": accuracy, "lost": lost} for name, (accuracy, lost) in score.videos.items()},
                **({"vot": asdict(score.official)} if score.official else {}),
            }
            for score in self.trackers if not score.problems
        }


def evaluate_tracker(dataset: Dataset, tracker_dir: str | os.PathLike, official: bool = False) -> TrackerScore:
    """Score one tracker's folder, with `official` also in the official toolkit's arithmetic; results that are missing or damaged end in `problems`, not in an
    exception.
    """
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
    return TrackerScore(name, accuracy, robustness, lost, eao, {video: (score.accuracy, score.lost) for video, score in videos.items()},
                        official=official_score(runs, dataset.settings) if official else None)


def evaluate_vot(
    dataset: Dataset, tracker_dirs: list, workers: int = 1, on_done: Callable[[str], None] | None = None, official: bool = False,
) -> Scores:
    """Score all folders, see `evaluate_tracker`, in `workers` processes if more than one; on_done(name) is called after each tracker."""
    if workers < 1:
        raise ValueError(f"needs at least one worker process, got {workers}")
    scores = []
    score_one = functools.partial(evaluate_tracker, dataset, official=official)
    for score in in_processes(score_one, tracker_dirs, min(workers, len(tracker_dirs))):
        scores.append(score)
        if on_done:
            on_done(score.name)
    return Scores(dataset.name, scores)


def in_processes(score_one: Callable, folders: list, workers: int) -> Iterator:
    """The scores of the folders in their order, computed by `workers` processes if more than one."""
    if workers <= 1:
        yield from map(score_one, folders)
        return
    # spawned, since a fork copies the threads of BLAS and of progress bars in a state they can't leave
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as executor:
        yield from executor.map(score_one, folders)
