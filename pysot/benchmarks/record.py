"""What a step of a device check is told, and what it tells: lines of JSON, each written at once, so that nothing is lost with a process that is killed."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """Where and how a step measures: the name of the device, as choose_device takes it; the folder of data; a folder for files of its own; whether small
    networks and few repetitions are wanted; the seconds that it has.
    """

    device: str
    data: Path
    work: Path
    short: bool
    seconds: float = 60.0

    @property
    def kind(self) -> str:
        """The kind of device: cpu, cuda or npu."""
        return self.device.partition(":")[0]

    def to_json(self) -> str:
        """As `from_json` reads it."""
        return json.dumps(asdict(self) | {"data": str(self.data), "work": str(self.work)})

    @classmethod
    def from_json(cls, text: str) -> "Setting":
        """The setting that `to_json` wrote."""
        values = json.loads(text)
        return cls(**values | {"data": Path(values["data"]), "work": Path(values["work"])})


@dataclass(frozen=True)
class Figure:
    """A measured value, and what is aimed at, where something is."""

    name: str
    value: float
    unit: str
    target: float | None = None


@dataclass(frozen=True)
class Check:
    """An error that was found, and the largest that is allowed; NaN is never right. `unit` says of what it is, '' for a relative error."""

    name: str
    error: float
    allowed: float
    unit: str = ""

    @property
    def right(self) -> bool:
        """Whether the device computes right, as far as this goes."""
        return self.error <= self.allowed


@dataclass
class Told:
    """All that a step has told."""

    figures: list[Figure] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Record:
    """Takes what a step finds, and writes it to a file of lines."""

    def __init__(self, path: Path):
        self.path = Path(path)

    def figure(self, name: str, value: float, unit: str, target: float | None = None) -> None:
        """A measured value."""
        self._write("figures", asdict(Figure(name, _plain(value), unit, target)))

    def check(self, name: str, error: float, allowed: float, unit: str = "") -> None:
        """A found error and the largest allowed one."""
        self._write("checks", asdict(Check(name, _plain(error), allowed, unit)))

    def note(self, text: str) -> None:
        """A sentence or a line of a table."""
        self._write("notes", text)

    def _write(self, kind: str, content) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([kind, content], ensure_ascii=False) + "\n")


def read_record(path: Path) -> Told:
    """What the lines of a file say; one that was cut off by the end of its process is left out."""
    told = Told()
    for line in Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else ():
        try:
            kind, content = json.loads(line)
        except ValueError:
            continue
        made = {"figures": Figure, "checks": Check}.get(kind)
        getattr(told, kind).append(
            content if made is None else made(**{key: _number(value) for key, value in content.items()})
        )
    return told


def _plain(value: float) -> float | str:
    """JSON has no NaN and no infinity: these become text."""
    value = float(value)
    return value if math.isfinite(value) else str(value)


def _number(value):
    return float(value) if value in ("nan", "inf", "-inf") else value
