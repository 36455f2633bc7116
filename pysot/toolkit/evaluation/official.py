"""The supervised VOT protocol in the arithmetic of the official toolkit (vot-toolkit 0.9, supervised experiment).

It differs from `accuracy_robustness` and `eao`:

* overlap: see `region.official_raster`
* accuracy: per video, the mean overlap of frames that are at least `burn_in` after a start; videos weigh by their
  length, even if few of their frames count
* robustness: losses per video, videos weighed by their length
* EAO: a fragment is the frames from a start to before the loss, every fragment has the same weight, and the mean is
  over the lengths low + 1 to high + 1 of the curve, whose first frame is the start itself
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pysot.toolkit.datasets.sequence import VotSettings
from pysot.toolkit.evaluation.accuracy_robustness import Run
from pysot.toolkit.region.official_raster import official_overlaps
from pysot.toolkit.region.raster import region_table
from pysot.toolkit.results.files import LOST, START, TRACKED

DIFFERENCE = (
    "Why they differ: vot counts an EAO fragment from its start to the loss and once, pysot from five frames after the "
    "loss before, by its tag share; vot's accuracy weighs videos by length and its boxes have w x h pixels; vot's "
    "robustness is losses per video, pysot's per 100 frames"
)


@dataclass(frozen=True)
class OfficialScore:
    """Score of one tracker in the official arithmetic.

    accuracy, robustness (losses per video), lost (losses per repetition) and eao, NaN if no fragment is as long as
    `low`. videos: {name: (accuracy, losses)}; `curve` is that of `expected_overlap_curve`.
    """

    accuracy: float
    robustness: float
    lost: float
    eao: float
    videos: dict[str, tuple[float, float]] = field(default_factory=dict)
    curve: np.ndarray | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return {accuracy, robustness, lost, eao, videos: {name: {accuracy, lost}}}."""
        return {
            "accuracy": self.accuracy,
            "robustness": self.robustness,
            "lost": self.lost,
            "eao": self.eao,
            "videos": named_pairs(self.videos),
        }


def named_pairs(pairs: dict[str, tuple[float, float]]) -> dict[str, dict[str, float]]:
    """Return {name: {accuracy, lost}} from {name: (accuracy, lost)}."""
    return {name: {"accuracy": accuracy, "lost": lost} for name, (accuracy, lost) in pairs.items()}


def official_score(runs: list[Run], settings: VotSettings) -> OfficialScore:
    """Score all repetitions on all sequences."""
    grouped: dict[str, list[Run]] = {}
    runs = with_official_overlaps(runs)
    for run in runs:
        grouped.setdefault(run.sequence.name, []).append(run)
    lengths = np.array([len(group[0].sequence) for group in grouped.values()], np.float64)
    accuracies = [np.mean([_accuracy(run, settings.burn_in) for run in group]) for group in grouped.values()]
    failures = np.array([np.mean([len(run.trajectory.failures) for run in group]) for group in grouped.values()])
    curve = expected_overlap_curve(runs)
    return OfficialScore(
        accuracy=float(lengths @ accuracies / lengths.sum()),
        robustness=float(lengths @ failures / lengths.sum()),
        lost=float(failures.sum()),
        eao=average(curve, settings),
        videos={
            name: (float(accuracy), float(lost))
            for name, accuracy, lost in zip(grouped, accuracies, failures, strict=True)
        },
        curve=curve,
    )


def with_official_overlaps(runs: list[Run]) -> list[Run]:
    """Return the runs with `overlap` as the official toolkit counts it."""
    lengths = [len(run.sequence) for run in runs]
    truth = np.concatenate([region_table(run.sequence.ground_truth) for run in runs])
    predicted = np.concatenate([run.trajectory.regions for run in runs])
    width, height = (np.repeat([getattr(run.sequence, side) for run in runs], lengths) for side in ("width", "height"))
    overlap = official_overlaps(predicted, truth, width, height)
    return [
        replace(run, overlap=part) for run, part in zip(runs, np.split(overlap, np.cumsum(lengths)[:-1]), strict=True)
    ]


def _accuracy(run: Run, burn_in: int) -> float:
    """Return the mean overlap of the frames that count; 0 if none does."""
    counts = run.trajectory.codes == TRACKED
    for start in np.flatnonzero(run.trajectory.codes == START):
        counts[start : start + burn_in] = False
    overlap = np.nan_to_num(run.overlap[counts])
    return float(overlap.mean()) if len(overlap) else 0.0


def average(curve: np.ndarray, settings: VotSettings) -> float:
    """Return the EAO of an expected-overlap curve; NaN if the curve is shorter than `low`."""
    values = curve[settings.low : settings.high + 1]
    return float(values.mean()) if len(values) else float("nan")


def expected_overlap_curve(runs: list[Run]) -> np.ndarray:
    """Return the expected overlap (L,); L is the length of the longest fragment.

    Entry i is the mean, over the fragments that reach it, of their mean overlap on frames 1..i.
    """
    fragments = [fragment for run in runs for fragment in fragments_of(run)]
    longest = max(len(overlap) for overlap, _ in fragments)
    total, reached = np.zeros(longest), np.zeros(longest)
    lengths = np.arange(1, longest)
    for overlap, lost in fragments:
        end = longest if lost else len(overlap)
        sums = np.cumsum(np.pad(overlap[1:].astype(np.float64), (0, longest - len(overlap))))
        total[1:end] += sums[: end - 1] / lengths[: end - 1]
        total[0] += overlap[0] if len(overlap) else 0
        reached[:end] += 1
    return np.divide(total, reached, out=np.full(longest, np.nan), where=reached > 0)


def fragments_of(run: Run) -> list[tuple[np.ndarray, bool]]:
    """Return the fragments of a run: their overlaps, and whether they end in a loss.

    A fragment goes from a start to before the next loss, or to the end of the run.
    """
    overlap, codes = np.nan_to_num(run.overlap), run.trajectory.codes
    starts, losses = np.flatnonzero(codes == START), np.flatnonzero(codes == LOST)
    ends = [*losses, len(codes)]
    if len(losses) == 0:
        return [(overlap, False)]
    return [
        (overlap[start:end], index < len(losses)) for index, (start, end) in enumerate(zip(starts, ends, strict=False))
    ]
