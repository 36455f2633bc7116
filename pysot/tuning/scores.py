"""Scores of settings, and the parts of a data set that they are tuned and checked on."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.protocol import Protocol

DEFAULT_HOLD_OUT = "0.3"


@dataclass(frozen=True)
class Split:
    """Sequences to tune on, and those that are kept aside for the score of the winner, None without."""

    tune: Dataset
    hold_out: Dataset | None


def split_dataset(dataset: Dataset, tune_on: str | None, hold_out: str, seed: int) -> Split:
    """Return the parts of a data set.

    Each is a number of sequences, a share such as 0.3, or names separated by commas; those of numbers are drawn. By
    default all others are tuned on. A hold_out of "0" keeps none aside. Raises ValueError for sequences that do not
    exist or are in both parts, and for a part without a sequence.
    """
    names = [sequence.name for sequence in dataset.sequences]
    order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    fixed = _names(tune_on)
    aside = _take(hold_out, [name for name in order if name not in fixed], names, "--hold-out")
    left = [name for name in order if name not in aside]
    tuned = left if tune_on is None else _take(tune_on, left, names, "--tune-on")
    both = sorted({*tuned} & {*aside})
    if both:
        raise ValueError(f"--tune-on and --hold-out both name {', '.join(both)}; a sequence has one part")
    if not tuned:
        raise ValueError(
            f"{dataset.name} has {len(names)} sequences and {len(aside)} of them are kept aside (--hold-out "
            f"{hold_out}): none is left to tune on; keep fewer aside, or 0"
        )
    chosen = [dataset.only([name for name in names if name in part]) if part else None for part in (tuned, aside)]
    assert chosen[0] is not None
    return Split(chosen[0], chosen[1])


def _names(text: str | None) -> list[str]:
    """Return the sequences that a part names, none if it is a number or a share."""
    return [name.strip() for name in text.split(",")] if text and not _is_number(text) else []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _take(text: str, candidates: list[str], names: list[str], flag: str) -> list[str]:
    """Return the sequences of a part: the first of the candidates, or those that it names."""
    named = _names(text)
    if named:
        unknown = [name for name in named if name not in names]
        if unknown:
            raise ValueError(f"{flag}: no sequence {', '.join(unknown)}; there are {', '.join(names)}")
        return named
    number = float(text)
    if not (math.isfinite(number) and number >= 0 and (number < 1 or number == round(number))):
        raise ValueError(f"{flag}: expected a number of sequences, a share below 1 or names, got {text!r}")
    count = round(number) if number >= 1 else math.ceil(number * len(names))
    if count > len(candidates):
        raise ValueError(
            f"{flag} {text}: expected at most {len(candidates)} sequences of {len(names)}, {count} are asked for"
        )
    return candidates[:count]


def sequence_score(dataset: Dataset, sequence: Sequence, folder: Path, protocol: Protocol) -> float:
    """Return the mean overlap of a tracker's result on a sequence; 0 on frames after a loss that restarts it.

    It is comparable between settings from the first sequence on, other than EAO. Raises ValueError for an invalid
    result.
    """
    scores = score_trackers(
        dataset.only([sequence.name]), [folder], experiment=protocol.experiment or None, with_timelines=True
    ).trackers[0]
    if scores.problems:
        raise ValueError("; ".join(scores.problems))
    timeline = scores.timelines[sequence.name]
    overlap = timeline.overlap.copy()
    if protocol.restarts and timeline.losses:
        overlap[timeline.losses[0] :] = 0
    counted = overlap[np.isfinite(overlap)]
    return float(counted.mean()) if len(counted) else 0.0


def rank_score(dataset: Dataset, folder: Path, protocol: Protocol) -> float:
    """Return the value that ranks a tracker on a data set, such as EAO. Raises ValueError if it has none."""
    (score,) = score_trackers(dataset, [folder], experiment=protocol.experiment or None).trackers
    if score.problems:
        raise ValueError("; ".join(score.problems))
    if not math.isfinite(score.rank_by):
        raise ValueError(
            f"{dataset.name} has no score on {len(dataset)} of its sequences: they are too short for it; take more"
        )
    return score.rank_by
