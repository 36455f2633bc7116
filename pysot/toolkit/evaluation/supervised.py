"""Scores of the supervised protocol: accuracy, robustness and EAO from the runs of a tracker."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.accuracy_robustness import Run, accuracy_robustness_lost, measure, tag_score, video_score
from pysot.toolkit.evaluation.eao import expected_average_overlap, expected_overlap
from pysot.toolkit.evaluation.loading import drawable_regions, repetition_notes
from pysot.toolkit.evaluation.official import OfficialScore, named_pairs, official_score
from pysot.toolkit.protocol import NAN, Timeline, TrackerScore
from pysot.toolkit.results.files import load_baseline
from pysot.toolkit.results.lines import ResultError
from pysot.toolkit.results.paths import vot_files
from pysot.toolkit.results.trajectory import Trajectory


@dataclass(frozen=True, kw_only=True)
class SupervisedScore(TrackerScore):
    """Score of one tracker in the supervised protocol.

    Robustness is losses per 100 frames, eao per tag, videos and tags {name: (accuracy, lost)}; if the tracker is not
    scored, numbers are NaN and the rest is empty. `curve` is the expected overlap (L,) by length, see
    `eao.expected_overlap`. `official` are the scores in the official toolkit's arithmetic, if they were asked for.
    """

    accuracy: float = NAN
    robustness: float = NAN
    lost: float = NAN
    eao: dict[str, float] = field(default_factory=dict)
    videos: dict[str, tuple[float, float]] = field(default_factory=dict)
    tags: dict[str, tuple[float, float]] = field(default_factory=dict)
    curve: np.ndarray | None = field(default=None, compare=False)
    official: OfficialScore | None = None

    @property
    def rank_by(self) -> float:
        """EAO of all frames."""
        return self.eao.get("all", NAN)

    @property
    def by_video(self) -> dict[str, dict[str, float]]:
        """Accuracy and losses of each video."""
        return {
            name: {"accuracy": float(accuracy), "losses": float(lost)} for name, (accuracy, lost) in self.videos.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return the score as plain values.

        {accuracy, robustness, lost, eao: {tag: value}, videos: {name: {accuracy, lost}}, tags: {name: {accuracy,
        lost}}}, and vot: {accuracy, robustness, lost, eao, videos} if the official scores were asked for. A value that
        does not exist (a tag that no frame has) is NaN.
        """
        return {
            "accuracy": self.accuracy,
            "robustness": self.robustness,
            "lost": self.lost,
            "eao": dict(self.eao),
            "videos": named_pairs(self.videos),
            "tags": named_pairs(self.tags),
            **({"vot": self.official.to_json()} if self.official else {}),
        }


def score_supervised(
    dataset: Dataset, results: dict[str, list[Trajectory]], mode: str, with_timelines: bool
) -> SupervisedScore:
    """Score the repetitions on each sequence, unless `mode` is "pysot" in the official toolkit's arithmetic too."""
    settings = dataset.settings
    assert settings is not None  # the protocol's check requires them
    pairs = [(sequence, run) for sequence in dataset.sequences for run in results[sequence.name]]
    runs = measure([sequence for sequence, _ in pairs], [run for _, run in pairs])
    grouped: dict[str, list[Run]] = {sequence.name: [] for sequence in dataset.sequences}
    for run in runs:
        grouped[run.sequence.name].append(run)
    videos = {video: video_score(group, settings.burn_in) for video, group in grouped.items()}
    accuracy, robustness, lost = accuracy_robustness_lost(list(videos.values()))
    curves = expected_overlap(runs, dataset.tags, settings)
    return SupervisedScore(
        accuracy=accuracy,
        robustness=robustness,
        lost=lost,
        eao=expected_average_overlap(curves, dataset.tags, settings),
        videos={video: (score.accuracy, score.lost) for video, score in videos.items()},
        tags={tag: tag_score(tag, grouped, videos) for tag in dataset.tags},
        curve=curves[dataset.tags.index("all")].copy(),
        official=official_score(runs, settings) if mode != "pysot" else None,
        notes=tuple(repetition_notes(map(len, results.values()))),
        timelines={video: _timeline(group[0]) for video, group in grouped.items()} if with_timelines else {},
    )


def _timeline(run: Run) -> Timeline:
    regions = drawable_regions(run.sequence, run.trajectory.regions)
    return Timeline(run.overlap, run.trajectory.failures.tolist(), regions)


def load_supervised(
    dataset: Dataset,
    sequence: Sequence,
    tracker_dir: Path,
    notes: list[str],
    experiment: str = "baseline",
    change: Callable[[Trajectory, Path], Trajectory] | None = None,
) -> list[Trajectory]:
    """Load all repetitions on a sequence from the folder of an experiment.

    Each one and its path are passed through `change`, if given. Raises ResultError that names each file which cannot be
    used.
    """
    runs, problems = [], []
    for path in vot_files(tracker_dir, sequence.name, experiment, sequence.similar_names):
        try:
            run = load_baseline(path, len(sequence))
            runs.append(change(run, path) if change else run)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ResultError("; ".join(problems))
    return runs
