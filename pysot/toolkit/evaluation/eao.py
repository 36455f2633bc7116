"""Expected average overlap (EAO) of the supervised VOT protocol, in the arithmetic that papers built on pysot print.

A run is cut at each restart into fragments. A fragment that ends in a loss is followed by zeros without end, the last one of a run just ends. The
expected overlap at length i is the weighted mean, over the fragments that reach i, of their mean overlap on frames 1..i; EAO is its mean over
low..high. A tag weighs a fragment by the share of its frames that have the tag.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence, VotSettings
from pysot.toolkit.evaluation.accuracy_robustness import Run

_FRAGMENTS_AT_ONCE = 256


@dataclass(frozen=True)
class Fragment:
    """Overlaps (n,) of a piece of a run, whether it ends in a loss, and its weight per tag (T,)."""

    overlap: np.ndarray
    lost: bool
    weights: np.ndarray


def expected_average_overlap(curves: np.ndarray, tags: tuple[str, ...], settings: VotSettings) -> dict[str, float]:
    """EAO per tag of the curves of `expected_overlap`; NaN where no fragment has the tag or no sequence is as long as settings.low."""
    return {tag: average(curve, settings) for tag, curve in zip(tags, curves, strict=True)}


def average(curve: np.ndarray, settings: VotSettings) -> float:
    """Mean of an expected-overlap curve over lengths low..high."""
    # pysot-compat: the curve starts at length 0, the slice at low - 1. test: toolkit/evaluation/test_eao.py::test_average_slice
    part = curve[settings.low - 1 : settings.high]
    part = part[~np.isnan(part)]
    return float(part.mean()) if len(part) else float("nan")


def expected_overlap(runs: list[Run], tags: tuple[str, ...], settings: VotSettings) -> np.ndarray:
    """Expected overlap (T, L) per tag and length, L frames of the longest run; 1 at length 0. Repetitions of a sequence share its weight."""
    longest = max(len(run.overlap_eao) for run in runs)
    repetitions: dict[str, int] = {}
    for run in runs:
        repetitions[run.sequence.name] = repetitions.get(run.sequence.name, 0) + 1
    fragments = [
        part for run in runs for part in fragments_of(run, tags, settings.skipping, 1 / repetitions[run.sequence.name])
    ]
    total, weight = np.zeros((2, len(tags), longest))
    for start in range(0, len(fragments), _FRAGMENTS_AT_ONCE):
        part = fragments[start : start + _FRAGMENTS_AT_ONCE]
        mean, reached = _running_means(part, longest)
        weights = np.stack([fragment.weights for fragment in part], axis=1)
        total += weights @ mean
        weight += weights @ reached
    with np.errstate(divide="ignore", invalid="ignore"):
        curve = total / weight
    curve[:, 0] = 1
    return curve


def fragments_of(run: Run, tags: tuple[str, ...], skipping: int, share: float) -> Iterator[Fragment]:
    """Fragments of a run; `share` is the weight of the run."""
    overlap = np.nan_to_num(run.overlap_eao, nan=0.0)
    # pysot-compat: a fragment begins `skipping` frames after the loss, and that frame also ends the one before; a restart that would come after the
    # last frame cuts nothing, so that the run ends in the zeros it has. test: toolkit/evaluation/test_eao.py::test_fragments
    restarts = run.trajectory.failures + skipping
    cuts = [0, *(int(point) for point in restarts if point <= len(overlap))]
    for start, end in zip(cuts, cuts[1:], strict=False):
        yield Fragment(overlap[start : end + 1], True, share * _tag_shares(run.sequence, tags, start, end + 1))
    if cuts[-1] < len(overlap):
        yield Fragment(overlap[cuts[-1] :], False, share * _tag_shares(run.sequence, tags, cuts[-1], len(overlap)))


def _tag_shares(sequence: Sequence, tags, start, end):
    """Weight (T,) of frames start..end - 1 per tag: how much of the length has it."""
    counts = []
    for tag in tags:
        if tag == "all":
            counts.append(min(end, len(sequence)) - start)
        elif tag == "empty":
            # pysot-compat: `empty` counts the annotated tags that the sequence has nowhere, not frames. test: toolkit/evaluation/test_eao.py::test_empty_tag
            counts.append(sum(not sequence.tags[name].any() for name in tags if name in sequence.tags))
        else:
            counts.append(sequence.tags[tag][start:end].sum() if tag in sequence.tags else 0)
    return np.array(counts, np.float64) / (end - start)


def _running_means(fragments, longest):
    """Mean of frames 1..i of each fragment (F, L), and where it counts (F, L): up to its end, or everywhere after a loss."""
    table = np.zeros((len(fragments), longest))
    reached = np.zeros((len(fragments), longest))
    for row, fragment in enumerate(fragments):
        table[row, 1 : len(fragment.overlap)] = fragment.overlap[1:]
        reached[row, : longest if fragment.lost else len(fragment.overlap)] = 1
    np.cumsum(table, axis=1, out=table)
    table[:, 1:] /= np.arange(1, longest)
    table *= reached
    return table, reached
