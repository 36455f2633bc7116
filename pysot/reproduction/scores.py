"""Read what a run measured: scores from its result files, speeds from its logs."""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pysot.reproduction.claims import MEASURES
from pysot.reproduction.steps import TUNED, Plan, ResultSet
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.utils.files import read_json

_SPEED = re.compile(r"^Speed pairs/s : mean ([\d.]+), spread ([\d.]+|nan)", re.MULTILINE)


@dataclass(frozen=True)
class Score:
    """A measured value of a measure of `MEASURES`; NaN if the benchmark is too short for it."""

    measure: str
    value: float
    benchmark: str
    epoch: int
    seed: int


@dataclass(frozen=True)
class Speed:
    """Training speed of a seed in pairs/s, mean and standard deviation over the steps, read from `log`."""

    seed: int
    mean: float
    spread: float
    log: str


@dataclass(frozen=True)
class Measured:
    """Everything that a run measured. `tuned` is the best score of a search of settings, None without one."""

    scores: tuple[Score, ...]
    speeds: tuple[Speed, ...]
    tuned: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the values as plain ones."""
        return {
            "scores": [asdict(score) for score in self.scores],
            "speeds": [asdict(speed) for speed in self.speeds],
            "tuned": self.tuned,
        }


def measure(plan: Plan, datasets: dict[str, Dataset], folder: Path, trials: int) -> Measured:
    """Score the results of a plan and read its speeds. `datasets` are the benchmarks by name.

    Raises ValueError for results or speeds that are missing or damaged.
    """
    scores = [score for result in plan.results for score in score_results(result, datasets[result.benchmark], folder)]
    speeds = [read_speed(folder, seed, log) for seed, log in plan.speeds]
    tuned = best_tuned(folder / TUNED, datasets[plan.results[-1].benchmark]) if trials else None
    return Measured(tuple(scores), tuple(speeds), tuned)


def score_results(result: ResultSet, dataset: Dataset, folder: Path) -> list[Score]:
    """Score the results of one snapshot. Raises ValueError that says which are missing or damaged."""
    tracker = folder / result.folder
    if not tracker.is_dir():
        raise ValueError(
            f"no results: expected {tracker}, got nothing; run the same command again without {result.scores}"
        )
    score = score_trackers(dataset, [tracker]).trackers[0]
    if score.problems:
        raise ValueError(f"{tracker} cannot be scored: {'; '.join(score.problems[:3])}")
    values = score.to_json()
    return [
        Score(name, value_of(values, key), result.benchmark, result.epoch, result.seed)
        for name, key in MEASURES.items()
        if key in values and name != "success"
    ]


def value_of(values: dict[str, Any], key: str) -> float:
    """Return the value of a key in the scores of a tracker; of EAO that of all frames, NaN if there is none."""
    value = values[key]
    value = value.get("all") if isinstance(value, dict) else value
    return math.nan if value is None or value < 0 else float(value)


def written_scores(result: ResultSet, folder: Path) -> dict[str, float]:
    """Return {measure: value} of the scores file of a result. Raises ValueError or FileNotFoundError."""
    content = read_json(folder / result.scores, "scores of a run")
    tracker = Path(result.folder).name
    if not isinstance(content, dict) or tracker not in content:
        raise ValueError(f"{result.scores}: expected scores of {tracker}, got none")
    return {name: value_of(content[tracker], key) for name, key in MEASURES.items() if key in content[tracker]}


def read_speed(folder: Path, seed: int, log: str) -> Speed:
    """Read the training speed from a log, the last one if the step was interrupted. Raises ValueError without one."""
    text = (folder / log).read_text(encoding="utf-8", errors="replace") if (folder / log).is_file() else ""
    found = _SPEED.findall(text)
    if not found:
        raise ValueError(f"{folder / log}: expected a line 'Speed pairs/s : mean ..., spread ...', got none")
    return Speed(seed, float(found[-1][0]), float(found[-1][1]), log)


def best_tuned(folder: Path, dataset: Dataset) -> float:
    """Return the best score of the settings in a folder of a search that were tracked to the end; NaN without one."""
    trackers = sorted(path for path in (folder / dataset.name).glob("*") if path.is_dir() and path.name[0] != ".")
    ranks = [score.rank_by for score in _scored(trackers, dataset)]
    return max((rank for rank in ranks if not math.isnan(rank)), default=math.nan)


def _scored(trackers: Sequence[Path], dataset: Dataset) -> list[Any]:
    return list(score_trackers(dataset, trackers).scored) if trackers else []
