"""Expected average overlap (EAO) of the supervised VOT protocol, in the arithmetic of papers built on pysot.

A run is cut at each restart into fragments. A fragment that ends in a loss is followed by zeros without end; the last
fragment of a run just ends. The expected overlap at length i is the weighted mean, over the fragments that reach i, of
their mean overlap on frames 1..i; EAO is its mean over low..high. With a tag, the weight of a fragment is the share of
its frames that have the tag.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence, VotSettings
from pysot.toolkit.evaluation.accuracy_robustness import Run

_FRAGMENTS_AT_ONCE = 256


@dataclass(frozen=True)
class Fragment:
    """Part of a run between restarts: its overlaps (n,), whether it ends in a loss, and its weight per tag (T,)."""

    overlap: np.ndarray
    lost: bool
    weights: np.ndarray


def expected_average_overlap(curves: np.ndarray, tags: tuple[str, ...], settings: VotSettings) -> dict[str, float]:
    """Return the EAO per tag of the curves of `expected_overlap`.

    NaN where no fragment has the tag or no sequence is as long as settings.low.
    """
    return {tag: average(curve, settings) for tag, curve in zip(tags, curves, strict=True)}


def average(curve: np.ndarray, settings: VotSettings) -> float:
    """Return the mean of an expected-overlap curve over lengths low..high."""
    # pysot-compat: the curve starts at length 0, the slice at low - 1.
    # test: toolkit/evaluation/test_eao.py::test_average_slice
    values = curve[settings.low - 1 : settings.high]
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def expected_overlap(runs: list[Run], tags: tuple[str, ...], settings: VotSettings) -> np.ndarray:
    """Return the expected overlap (T, L) per tag and length; 1 at length 0.

    L is the number of frames of the longest run. Repetitions of a sequence share its weight.
    """
    longest = max(len(run.overlap_eao) for run in runs)
    repetitions: dict[str, int] = {}
    for run in runs:
        repetitions[run.sequence.name] = repetitions.get(run.sequence.name, 0) + 1
    fragments = [
        fragment
        for run in runs
        for fragment in fragments_of(run, tags, settings.skipping, 1 / repetitions[run.sequence.name])
    ]
    total, weight = np.zeros((2, len(tags), longest))
    for start in range(0, len(fragments), _FRAGMENTS_AT_ONCE):
        block = fragments[start : start + _FRAGMENTS_AT_ONCE]
        mean, reached = _running_means(block, longest)
        weights = np.stack([fragment.weights for fragment in block], axis=1)
        total += weights @ mean
        weight += weights @ reached
    with np.errstate(divide="ignore", invalid="ignore"):
        curve = total / weight
    curve[:, 0] = 1
    return curve


def fragments_of(run: Run, tags: tuple[str, ...], skipping: int, run_weight: float) -> Iterator[Fragment]:
    """Yield the fragments of a run whose weight is `run_weight`."""
    overlap = np.nan_to_num(run.overlap_eao, nan=0.0)
    # pysot-compat: a fragment begins `skipping` frames after the loss, and that frame also ends the previous fragment;
    # a restart that would come after the last frame cuts nothing, so the run ends in its zeros.
    # test: toolkit/evaluation/test_eao.py::test_fragments
    restarts = run.trajectory.failures + skipping
    cuts = [0, *(int(point) for point in restarts if point <= len(overlap))]
    for start, end in zip(cuts, cuts[1:], strict=False):
        yield Fragment(overlap[start : end + 1], True, run_weight * _tag_shares(run.sequence, tags, start, end + 1))
    if cuts[-1] < len(overlap):
        weights = run_weight * _tag_shares(run.sequence, tags, cuts[-1], len(overlap))
        yield Fragment(overlap[cuts[-1] :], False, weights)


def _tag_shares(sequence: Sequence, tags: tuple[str, ...], start: int, end: int) -> np.ndarray:
    """Return the share (T,) of frames start..end - 1 that have each tag."""
    counts = []
    for tag in tags:
        if tag == "all":
            counts.append(min(end, len(sequence)) - start)
        elif tag == "empty":
            # pysot-compat: `empty` counts the annotated tags that no frame of the sequence has, not frames.
            # test: toolkit/evaluation/test_eao.py::test_empty_tag
            counts.append(sum(not sequence.tags[name].any() for name in tags if name in sequence.tags))
        else:
            counts.append(sequence.tags[tag][start:end].sum() if tag in sequence.tags else 0)
    return np.array(counts, np.float64) / (end - start)


def _running_means(fragments: list[Fragment], longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of frames 1..i of each fragment (F, L), and 1 where it counts, else 0 (F, L).

    A fragment counts up to its end, or everywhere if it ends in a loss.
    """
    table = np.zeros((len(fragments), longest))
    reached = np.zeros((len(fragments), longest))
    for row, fragment in enumerate(fragments):
        table[row, 1 : len(fragment.overlap)] = fragment.overlap[1:]
        reached[row, : longest if fragment.lost else len(fragment.overlap)] = 1
    np.cumsum(table, axis=1, out=table)
    table[:, 1:] /= np.arange(1, longest)
    table *= reached
    return table, reached
