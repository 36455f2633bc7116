"""Run folder: what was done in run.json, hashes of all files in manifest.json, and which files were edited since."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pysot.reproduction.inputs import DIFFERS, Row
from pysot.reproduction.settings import Settings
from pysot.utils.files import file_hash, lock_for_writing, read_json, write_json

RUN, MANIFEST, TABLE = "run.json", "manifest.json", "table.md"
_FORMAT = 1
_IMAGES = (".jpg", ".png")  # of data that were made here; what scores are computed from is text
_MAY_BE_LEFT_OUT = (".pth",)


@dataclass
class RunRecord:
    """Content of run.json: settings, inputs, machine, commit, deviations that were accepted, and finished steps."""

    settings: Settings
    started: str
    machine: dict[str, Any] = field(default_factory=dict)
    commit: str = ""
    modified: list[str] = field(default_factory=list)
    inputs: list[Row] = field(default_factory=list)
    trials: int = 0
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def deviations(self) -> list[Row]:
        """Return the inputs that differ."""
        return [row for row in self.inputs if row.verdict == DIFFERS]

    def is_done(self, name: str, command: tuple[str, ...]) -> bool:
        """Return whether a step with this command is finished."""
        return any(step["name"] == name and step["command"] == list(command) for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain values."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        inputs = [dataclasses.asdict(row) for row in self.inputs]
        return {"format": _FORMAT, **values, "settings": self.settings.to_json(), "inputs": inputs}

    @classmethod
    def from_json(cls, values: Any, path: Path) -> "RunRecord":
        """Return the record that `to_json` wrote. Raises ValueError that names the file."""
        try:
            if values.pop("format") != _FORMAT:
                raise ValueError("another format")
            inputs = [Row(**row) for row in values["inputs"]]
            return cls(**{**values, "settings": Settings.from_json(values["settings"]), "inputs": inputs})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: expected the record of a run of tools/reproduce.py, got another file ({error})"
            ) from None


def now() -> str:
    """Return the local time for records."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


@contextlib.contextmanager
def open_folder(folder: Path, settings: Settings) -> Iterator[RunRecord]:
    """Lock a run folder and yield its record: a new one, or that of an interrupted or finished run to go on with.

    Raises ValueError for a folder in use, of something else, of other settings, or with files edited after a run.
    """
    if folder.is_dir() and not (folder / RUN).exists() and any(not _is_hidden(path) for path in folder.iterdir()):
        raise ValueError(f"{folder}: expected an empty folder or one of a run, got other files; choose another --out")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock_for_writing(folder / ".lock", settings.claim))
        except BlockingIOError:
            raise ValueError(
                f"{folder} is in use by another run; wait until it ends, or choose another --out"
            ) from None
        record = read_record(folder) if (folder / RUN).exists() else RunRecord(settings, now())
        _check_settings(folder, record.settings, settings)
        problems, _ = compare_files(folder) if (folder / MANIFEST).exists() else ([], [])
        if problems:
            raise ValueError(
                f"{folder} was edited after its run: {'; '.join(problems[:5])}. Restore the files, or choose another "
                "--out"
            )
        if not (folder / RUN).exists():  # so that a run that ends in its first step can go on
            write_record(folder, record)
        yield record


def _check_settings(folder: Path, before: Settings, now: Settings) -> None:
    old, new = before.to_json(), now.to_json()
    differences = [f"{name} was {old[name]} and is {new[name]}" for name in new if old[name] != new[name]]
    if differences:
        raise ValueError(
            f"{folder} is of another run: {'; '.join(differences)}. Give the same values, or choose another --out"
        )


def read_record(folder: Path) -> RunRecord:
    """Return the record of a run folder. Raises FileNotFoundError or ValueError."""
    return RunRecord.from_json(read_json(folder / RUN, "record of a run"), folder / RUN)


def write_record(folder: Path, record: RunRecord) -> None:
    """Write run.json."""
    write_json(folder / RUN, record.to_json(), indent=1)


def write_manifest(folder: Path, content: dict[str, Any]) -> str:
    """Write manifest.json: `content`, and size and hash of each file. Return the hash of the manifest."""
    files = {name: {"size": path.stat().st_size, "sha256": file_hash(path)} for name, path in _files(folder).items()}
    write_json(folder / MANIFEST, {"format": _FORMAT, **content, "files": files}, indent=1)
    return file_hash(folder / MANIFEST)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the content of manifest.json.

    Raises FileNotFoundError without a finished run, ValueError for another file.
    """
    if not (folder / MANIFEST).is_file():
        raise FileNotFoundError(
            f"{folder}: expected the folder of a finished run, got one without {MANIFEST}; give the folder of --out, "
            "or finish the run with the command that began it"
        )
    content = read_json(folder / MANIFEST, "manifest of a run")
    if not isinstance(content, dict) or not {"files", "scores", "speeds"} <= content.keys():
        raise ValueError(
            f"{folder / MANIFEST}: expected the manifest of a run, got another file; copy the folder again"
        )
    return content


def compare_files(folder: Path) -> tuple[list[str], list[str]]:
    """Compare the files of a run folder with its manifest.

    Return what was edited, is missing or is new, as sentences; and the names of snapshots that are missing. Raises as
    `read_manifest`.
    """
    expected, found = read_manifest(folder)["files"], _files(folder)
    problems: list[str] = []
    left_out: list[str] = []
    for name, entry in expected.items():
        if name not in found:
            if name.endswith(_MAY_BE_LEFT_OUT):
                left_out.append(name)
            else:
                problems.append(f"{name} is missing")
        elif found[name].stat().st_size != entry["size"] or file_hash(found[name]) != entry["sha256"]:
            problems.append(f"{name} was edited")
    problems += [f"{name} is new" for name in found if name not in expected]
    return problems, left_out


def _files(folder: Path) -> dict[str, Path]:
    """Return the files that the manifest lists, by their names: not itself, hidden files, and images of made data."""
    paths = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name.as_posix(): path
        for name, path in paths.items()
        if name.as_posix() != MANIFEST
        and not any(part.startswith(".") for part in name.parts)
        and not (name.parts[0] == "data" and name.suffix in _IMAGES)
    }


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")
