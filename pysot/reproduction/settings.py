"""How a claim is measured this time, and the small form of a claim."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from pysot.reproduction.claim import Claim, DataSet, Figure
from pysot.reproduction.data_sets import QUICKSTART, VOT_QUICKSTART
from pysot.reproduction.inputs import DIFFERS, Row

SMALL_EXPERIMENT = "quickstart"
SMALL_EPOCHS, SMALL_BATCH, SMALL_SEQUENCES = 2, 2, 3
# Config values of the small form: a network that trains in seconds.
SMALL_OPTS = (
    "BACKBONE.KWARGS.width_mult", "0.0625", "RPN.KWARGS.in_channels", "16", "RPN.KWARGS.out_channels", "16",
    "DATASET.VIDEOS_PER_EPOCH", "16", "TRAIN.PRINT_FREQ", "2",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Values of the command line that decide what a run folder holds.

    `device` is a kind, such as npu, with the number of a card as in npu:3 if one is chosen.
    """

    claim: str
    device: str
    seeds: tuple[int, ...]
    devices: int
    batch: int
    is_small: bool

    @property
    def device_kind(self) -> str:
        """Return npu, cuda or cpu."""
        return self.device.partition(":")[0]

    def to_json(self) -> dict[str, object]:
        """Return the settings as plain values."""
        return {**dataclasses.asdict(self), "seeds": list(self.seeds)}

    @classmethod
    def from_json(cls, values: dict) -> "Settings":
        """Return the settings that `to_json` wrote. Raises ValueError for other values."""
        try:
            return cls(**{**values, "seeds": tuple(values["seeds"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"expected the settings of a run, got {values!r} ({error})") from None


@dataclass(frozen=True)
class Place:
    """Where a run is: the repository, the run folder, the folder of training data, and that of the benchmark."""

    repository: Path
    folder: Path
    data: Path | None
    benchmarks: Path


def small_form(claim: Claim) -> Claim:
    """Return a claim that is measured in seconds on a CPU: generated data, a tiny network, two epochs.

    Raises ValueError for a claim that only tracks.
    """
    if not claim.trains:
        raise ValueError(
            f"--small: expected a claim that trains, got {claim.name}, which only tracks; leave out --small"
        )

    def shorten(figure: Figure) -> Figure:
        if not figure.benchmark:
            return figure
        last = claim.epochs[1] if claim.epochs else 0
        epoch = SMALL_EPOCHS - (last - figure.epoch) if claim.epochs else 0
        short = dataclasses.replace(figure, benchmark=VOT_QUICKSTART.name, epoch=epoch)
        return short if short == figure else dataclasses.replace(short, stands_for=figure.label)

    return dataclasses.replace(
        claim,
        experiment=SMALL_EXPERIMENT,
        figures=tuple(map(shorten, claim.figures)),
        devices=min(claim.devices, 2),
        batch=SMALL_BATCH,
        training=(DataSet(QUICKSTART.name, QUICKSTART.where),),
        benchmarks=(DataSet(VOT_QUICKSTART.name, VOT_QUICKSTART.where),) if claim.benchmarks else (),
        weights="",
        epochs=(1, SMALL_EPOCHS) if claim.epochs else None,
        last_epoch=SMALL_EPOCHS,
    )


def small_rows(claim: Claim) -> list[Row]:
    """Return what the small form of a claim changes."""
    sets = ", ".join(data_set.name for data_set in (*claim.training, *claim.benchmarks))
    pairs = f"{claim.devices} x {claim.batch}"
    rows = [
        Row("data", sets, f"{SMALL_SEQUENCES} generated sequences each", DIFFERS),
        Row("network", f"that of experiments/{claim.experiment}", "a tiny network", DIFFERS),
        Row("pairs of a step", pairs, f"{min(claim.devices, 2)} x {SMALL_BATCH}", DIFFERS),
    ]
    if claim.benchmarks:
        rows.append(Row("training", "all epochs of the config", f"{SMALL_EPOCHS} epochs of 16 pairs", DIFFERS))
    return rows


def is_made_here(claim: Claim) -> bool:
    """Return whether the data of a claim are made in its run folder."""
    return [data_set.name for data_set in claim.training] == [QUICKSTART.name]
