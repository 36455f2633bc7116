"""What a benchmark of tools/benchmark.py is asked for, and the rows that it answers with."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from pysot.benchmarks.case_builder import Case
from pysot.utils.distributed import Rank


@dataclass(frozen=True)
class Row:
    """A measured value; where there is something to compare with, how many times that it is, and what is aimed at: for
    the ratio, or without one for the value.
    """

    what: str
    value: float
    unit: str
    ratio: float | None = None
    target: float | None = None


@dataclass(frozen=True)
class Job:
    """The case, device and process that a benchmark measures, and how; the defaults are those of tools/benchmark.py.

    `claim_cores(rank, device)` binds this process to its cores and returns the loader processes that these can feed;
    `progress(items, description=words)` gives the items, and may show how far it is. `steps` make a repetition. The
    others are for one benchmark each: `backbone` for train, `videos` for index, `raw` (set, root) for prepare,
    `results` (folder, data set, its folder) for eval, `sequences` and `trackers` for eval-many.
    """

    case: Case
    device: torch.device
    rank: Rank
    claim_cores: Callable[[Rank, torch.device], int]
    progress: Callable[..., Iterable] = lambda items, description: items
    data_path: str | None = None
    steps: int = 10
    repeats: int = 5
    backbone: bool = False
    videos: int = 365_000
    raw: Sequence[str] | None = None
    results: Sequence[str] | None = None
    sequences: int = 1000
    trackers: int = 40


Result = tuple[list[Row], str]  # and a verdict in words
