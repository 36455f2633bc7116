"""Input and output of a benchmark of tools/benchmark.py."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pysot.benchmarks.case_builder import Case
from pysot.utils.distributed import Rank
from pysot.utils.progress import Bar, no_bar


@dataclass(frozen=True)
class Row:
    """Measured value.

    `ratio` is the number of times that a reference is reached, where there is a reference. `target` is the target of
    the ratio, or of the value if there is no ratio.
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None
    target: float | None = None


@dataclass(frozen=True)
class Job:
    """Case, device and process that a benchmark measures, and its options; defaults are those of tools/benchmark.py.

    `claim_cores(rank, device)` binds this process to its cores and returns how many loader processes they can feed.
    `progress` shows the repetitions; deploy needs one that also takes None, see `Bar`. A repetition has `steps` steps.
    Options of a single benchmark: `backbone` for train, `videos` for index, `raw` (set, root) for prepare, `results`
    (folder, data set, its folder) for eval, `sequences` and `trackers` for eval-many. For track, test, deploy
    and hp-search: the file of weights `snapshot` and `dataset` (name, folder), for the first three also the targets in
    a batch `batches`, for track and deploy `precisions`.

    `config` is the config file, `opts` are the config values that were given; the case has them already.
    """

    case: Case
    device: torch.device
    rank: Rank
    claim_cores: Callable[[Rank, torch.device], int]
    progress: Bar = no_bar
    data_path: str | None = None
    steps: int = 10
    repeats: int = 5
    backbone: bool = False
    videos: int = 365_000
    raw: Sequence[str] | None = None
    results: Sequence[str] | None = None
    sequences: int = 1000
    trackers: int = 40
    batches: Sequence[int] = ()
    precisions: Sequence[str] = ()
    snapshot: str | None = None
    dataset: tuple[str, str] | None = None
    config: str = ""
    opts: Sequence[object] = ()

    @property
    def experiment(self) -> str:
        """Name of the config's folder."""
        return Path(self.config).parent.name


# Rows, and a conclusion in words.
Result = tuple[list[Row], str]
