"""Setting and findings of one step of a device check, exchanged with the step's process as JSON.

Each finding is written at once, as one line, so a process that is killed loses none.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Setting:
    """Device, folders and limits of a step.

    `device` is a name that `choose_device` takes. `data` is the folder of the data, `work` a folder for temporary
    files. `short` asks for small networks and few repetitions. `seconds` is the time limit of the step.
    """

    device: str
    data: Path
    work: Path
    short: bool
    seconds: float = 60.0

    @property
    def kind(self) -> str:
        """Return the kind of device: cpu, cuda or npu."""
        return self.device.partition(":")[0]

    def to_json(self) -> str:
        """Return the JSON that `from_json` reads."""
        return json.dumps(asdict(self) | {"data": str(self.data), "work": str(self.work)})

    @classmethod
    def from_json(cls, text: str) -> "Setting":
        """Return the setting that `to_json` wrote."""
        values = json.loads(text)
        return cls(**values | {"data": Path(values["data"]), "work": Path(values["work"])})


@dataclass(frozen=True)
class Measurement:
    """Measured value, with a target where there is one."""

    name: str
    value: float
    unit: str
    target: float | None = None


@dataclass(frozen=True)
class Check:
    """Error of a computation and the largest allowed error.

    `unit` is the unit of the error, "" for a relative error.
    """

    name: str
    error: float
    allowed: float
    unit: str = ""

    @property
    def right(self) -> bool:
        """Return whether the error is allowed; NaN never is."""
        return self.error <= self.allowed


@dataclass
class Findings:
    """All findings of a step."""

    measurements: list[Measurement] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Record:
    """Writes the findings of a step to a file, one JSON line each."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def measurement(self, name: str, value: float, unit: str, target: float | None = None) -> None:
        """Write a measured value."""
        self._write("figures", asdict(Measurement(name, value, unit, target)) | {"value": _to_json(value)})

    def check(self, name: str, error: float, allowed: float, unit: str = "") -> None:
        """Write an error and the largest allowed error."""
        self._write("checks", asdict(Check(name, error, allowed, unit)) | {"error": _to_json(error)})

    def note(self, text: str) -> None:
        """Write a sentence or a line of a table."""
        self._write("notes", text)

    def _write(self, kind: str, content: str | dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([kind, content], ensure_ascii=False) + "\n")


def read_record(path: Path) -> Findings:
    """Return the findings in a file; a line that was cut off when its process ended is skipped."""
    findings = Findings()
    for line in Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else ():
        try:
            kind, content = json.loads(line)
        except ValueError:
            continue
        if kind == "notes":
            findings.notes.append(content)
            continue
        values = {key: _from_json(value) for key, value in content.items()}
        if kind == "figures":
            findings.measurements.append(Measurement(**values))
        elif kind == "checks":
            findings.checks.append(Check(**values))
    return findings


def _to_json(value: float) -> float | str:
    """Return a finite number as it is, NaN and infinities as text, which JSON can hold."""
    value = float(value)
    return value if math.isfinite(value) else str(value)


def _from_json(value: Any) -> Any:
    """Return the value that `_to_json` wrote."""
    return float(value) if value in ("nan", "inf", "-inf") else value
