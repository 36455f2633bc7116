"""A claim: a published result, and everything that is needed to measure it again."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SPEED = "pairs/s"  # the measure of training speed
NOTHING_RECORDED = "not recorded"


@dataclass(frozen=True)
class Total:
    """How many videos, frames, tracks or boxes a data set has, with the source of the number.

    With `is_limit` it is the number of the raw data: preparing may leave some out, how many has no source.
    """

    what: str
    number: int
    source: str
    is_limit: bool = False


@dataclass(frozen=True)
class DataSet:
    """A training set or benchmark that a claim needs.

    `where` says where to get it. `sha256` is that of a training set's json, or of a benchmark's ground truth as
    `truth_digest` computes it; empty if it is not recorded.
    """

    name: str
    where: str
    totals: tuple[Total, ...] = ()
    sha256: str = ""


@dataclass(frozen=True)
class Seeds:
    """Mean and standard deviation of a measure over training runs that differ in the seed only, and their number."""

    mean: float
    deviation: float
    runs: int


@dataclass(frozen=True)
class Figure:
    """One published number: a measure on a benchmark (empty for the speed), of an epoch (0: of the only snapshot).

    `stands_for` is the label of the figure that it takes the place of in the small form of a claim.
    """

    measure: str
    value: float
    benchmark: str = ""
    epoch: int = 0
    decimals: int = 3
    stands_for: str = ""

    @property
    def label(self) -> str:
        """Return the name of the figure in tables."""
        epoch = f" epoch {self.epoch}" if self.epoch else ""
        replaced = f" (in place of {self.stands_for})" if self.stands_for else ""
        return f"{self.benchmark}{epoch} {self.measure}{replaced}".strip()


@dataclass(frozen=True)
class Claim:
    """A published result.

    name        of the command line
    source      where it was published
    kind        how it is measured, a key of `steps.KINDS`: launch, pairs/s, train or track
    experiment  folder of its config in experiments/; config_sha256 is the hash of the parsed values of its file
    made_with   devices and software of the published measurement, "" if not published
    device      npu, cuda or cpu, if the result is of training or speed on such a device; else ""
    devices     number of devices, and `batch` pairs on each of them in a training step
    weights     file of weights, relative to the repository, its hash and how to get it; "" without
    last_epoch  epoch of the snapshot of a claim of the kind train
    epochs      first and last epoch whose snapshots are evaluated; their standard deviation is the unit of the verdict
    seeds       {measure: mean and standard deviation over seeds}, the unit of the verdict without epochs
    """

    name: str
    source: str
    kind: str
    experiment: str
    config_sha256: str
    figures: tuple[Figure, ...]
    made_with: str = ""
    device: str = ""
    devices: int = 1
    batch: int = 0
    training: tuple[DataSet, ...] = ()
    benchmarks: tuple[DataSet, ...] = ()
    weights: str = ""
    weights_sha256: str = ""
    weights_where: str = ""
    last_epoch: int = 0
    epochs: tuple[int, int] | None = None
    seeds: Mapping[str, Seeds] = field(default_factory=dict)

    @property
    def trains(self) -> bool:
        """Return whether the claim needs training data."""
        return self.kind != "track"

    @property
    def headline(self) -> str:
        """Return the published figures in one line."""
        return ", ".join(f"{figure.label} {figure.value:.{figure.decimals}f}" for figure in self.figures)
