"""Score a tracker's results of the supervised protocol: results.load -> metrics -> one score."""

import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pysot.toolkit.datasets.sequence import Dataset, Sequence, VotSettings
from pysot.toolkit.evaluation import accuracy_robustness as metrics
from pysot.toolkit.evaluation.eao import expected_average_overlap
from pysot.toolkit.evaluation.gather import gather, repetition_notes
from pysot.toolkit.evaluation.official import OfficialScore, official_score
from pysot.toolkit.experiments.realtime import FPS, FrameClock, simulate
from pysot.toolkit.results.files import ResultError, Trajectory, holds_results, load_baseline, load_seconds, vot_file, vot_files

NAN = float("nan")


@dataclass(frozen=True)
class TrackerScore:
    """Scores of one tracker: robustness is losses per 100 frames, eao per tag, videos and tags {name: (accuracy, lost)}. With `problems` (sentences that
    name files and lines) the tracker is not scored: its numbers are NaN, videos and tags are empty. `official` are the scores of the official toolkit's
    arithmetic, where they were asked for. `notes` are sentences on what was left out, repaired or simulated, and `covers`, such as "5 of 6 videos", where it
    is not all.
    """

    name: str
    accuracy: float
    robustness: float
    lost: float
    eao: dict[str, float]
    videos: dict[str, tuple[float, float]]
    tags: dict[str, tuple[float, float]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    official: OfficialScore | None = None
    notes: tuple[str, ...] = ()
    covers: str = ""


@dataclass(frozen=True)
class Scores:
    """All trackers on one data set, best EAO first, those that could not be scored last."""

    dataset: str
    trackers: list[TrackerScore]

    def __post_init__(self):
        rank = sorted(self.trackers, key=lambda score: (bool(score.problems), score.eao["all"] != score.eao["all"], -score.eao["all"], score.name))
        object.__setattr__(self, "trackers", rank)

    def to_json(self) -> dict:
        """{tracker: {accuracy, robustness, lost, eao: {tag: value}, videos: {name: {accuracy, lost}}, tags: {name: {accuracy, lost}}}} of the trackers that
        could be scored, and vot: {accuracy, robustness, lost, eao, videos} where the official scores were asked for. A value that does not exist (a tag that
        no frame has) is NaN.
        """
        return {
            score.name: {
                "accuracy": score.accuracy,
                "robustness": score.robustness,
                "lost": score.lost,
                "eao": dict(score.eao),
                "videos": _named(score.videos),
                "tags": _named(score.tags),
                **({"vot": _as_json(score.official)} if score.official else {}),
            }
            for score in self.trackers if not score.problems
        }


def _as_json(official: OfficialScore) -> dict:
    return {**asdict(official), "videos": _named(official.videos)}


def _named(pairs: dict[str, tuple[float, float]]) -> dict:
    return {name: {"accuracy": accuracy, "lost": lost} for name, (accuracy, lost) in pairs.items()}


def evaluate_tracker(
    dataset: Dataset, tracker_dir: str | os.PathLike, experiment: str = "baseline", mode: str = "pysot", partial: bool = False,
) -> TrackerScore:
    """Score one tracker's folder, unless `mode` is "pysot" also in the official toolkit's arithmetic; results that are missing or damaged end in `problems`,
    not in an exception; with `partial` their videos are left out.

    The experiment `realtime` is simulated from the seconds that were noted with `baseline` where the tracker has no results of its own for it.
    """
    name, notes = Path(os.path.abspath(tracker_dir)).name, []
    found = gather(dataset, lambda sequence: load_supervised(Path(tracker_dir), sequence, experiment, dataset.settings), partial)
    if found.problems:
        return TrackerScore(name, NAN, NAN, NAN, dict.fromkeys(dataset.tags, NAN), {}, problems=found.problems)
    if _is_simulated(Path(tracker_dir), experiment):
        notes.append(f"simulated at {FPS:g} frames per second from the times of the baseline experiment")
    notes += repetition_notes(map(len, found.results.values()))
    pairs = [(sequence, run) for sequence in found.dataset.sequences for run in found.results[sequence.name]]
    runs = metrics.measure(*map(list, zip(*pairs, strict=True)))
    grouped = {sequence.name: [] for sequence in found.dataset.sequences}
    for run in runs:
        grouped[run.sequence.name].append(run)
    videos = {video: metrics.video_score(group, dataset.settings.burn_in) for video, group in grouped.items()}
    accuracy, robustness, lost = metrics.accuracy_robustness_lost(list(videos.values()))
    eao = expected_average_overlap(runs, dataset.tags, dataset.settings)
    tags = {tag: metrics.tag_score(tag, grouped, videos) for tag in dataset.tags}
    official = official_score(runs, dataset.settings) if mode != "pysot" else None
    return TrackerScore(name, accuracy, robustness, lost, eao, {video: (score.accuracy, score.lost) for video, score in videos.items()}, tags,
                        (), official, (*notes, *found.notes), found.covers)


def _is_simulated(tracker_dir: Path, experiment: str) -> bool:
    return experiment == "realtime" and not holds_results(tracker_dir, experiment)


def load_supervised(tracker_dir: Path, sequence: Sequence, experiment: str, settings: VotSettings) -> list[Trajectory]:
    """All repetitions on a sequence, or what realtime is simulated to make of them. Raises ResultError that names each file which cannot be used."""
    simulated = _is_simulated(tracker_dir, experiment)
    recorded, runs, problems = "baseline" if simulated else experiment, [], []
    files = vot_files(tracker_dir, sequence.name, recorded, sequence.alike)
    for path in files or [vot_file(tracker_dir, sequence.name, experiment=recorded, alike=sequence.alike)]:
        try:
            run = load_baseline(path, len(sequence))
            if simulated:
                run = simulate(sequence, replace(run, seconds=load_seconds(path, len(sequence))), FrameClock(), settings.skipping)
            runs.append(run)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ResultError("; ".join(problems))
    return runs
