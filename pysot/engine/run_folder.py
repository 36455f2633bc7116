"""Snapshot folder of a training run: its lock, the checkpoint to resume from, and checkpoints of earlier training runs.

A training run has an identity: its seed, the config values that determine what is trained, and a fingerprint of its
data. It is part of every checkpoint and, for human readers, of `run.json`. TRAIN.RESUME auto resumes only from
checkpoints of the same seed and values. A training run that starts from scratch, or from a named checkpoint, moves the
checkpoints that it does not resume from into `earlier_<n>`. So no checkpoint of an earlier training run counts as its
own, and none is lost.
"""

import contextlib
import itertools
import logging
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pysot.engine.checkpoint import BEST, checkpoints_by_progress, latest_path, read_training_state
from pysot.utils.files import lock_for_writing, read_json, write_json

logger = logging.getLogger(__name__)
RUN, LOCK = "run.json", ".lock"
_SHUTDOWN_SECONDS = 10.0  # seconds that the old processes of a restarted launch may take to end


@dataclass(frozen=True)
class Origin:
    """Checkpoint to resume from: its path and content, and the files that stay in the snapshot folder."""

    path: str
    content: dict
    kept: frozenset[Path]


@contextlib.contextmanager
def lock_folder(folder: str | os.PathLike) -> Iterator[None]:
    """Lock the folder against other training runs.

    Raises ValueError if another training run holds the lock, and OSError if the folder cannot be written.
    """
    lock = Path(folder) / LOCK
    start_time = time.monotonic()
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock_for_writing(lock, f"process {os.getpid()} on {platform.node()}"))
                break
            except BlockingIOError as error:
                if time.monotonic() - start_time > _SHUTDOWN_SECONDS:
                    raise ValueError(
                        f"{folder} is in use by another run ({error.strerror}), which writes its checkpoints there; "
                        "wait until it ends, or choose another TRAIN.SNAPSHOT_DIR (--output_path of the scripts)"
                    ) from None
                time.sleep(0.2)
        yield


def find_origin(folder: str | os.PathLike, resume: str, identity: dict, launch: str = "") -> Origin | None:
    """Return the checkpoint that TRAIN.RESUME selects, or None for a start from scratch.

    `launch` names the torchrun launch if torchrun has restarted its processes, else it is "". A restarted launch that
    has begun to train in this folder resumes from its own checkpoints, for any `resume`. Raises ValueError for a
    checkpoint that training cannot resume from and, with 'auto', for one of a training run with another identity.
    """
    folder = Path(folder)
    restarted = launch and _read_description(folder).get("launch") == launch
    own = checkpoints_by_progress(folder) if resume == "auto" or restarted else []
    if own:
        try:
            content = read_training_state(own[0])
        except ValueError as error:
            alternative = f"; or resume from {own[1]} (TRAIN.RESUME)" if len(own) > 1 else ""
            raise ValueError(f"{error}{alternative}") from None
        _check_identity(content.get("identity"), identity, own[0])
        return Origin(str(own[0]), content, frozenset(folder.iterdir()))
    if resume in ("", "auto"):
        return None
    content = read_training_state(resume)
    for difference in differences(content.get("identity"), identity):
        logger.warning("%s: %s", resume, difference)
    return Origin(resume, content, frozenset(_predecessors(folder, resume, content)))


def _predecessors(folder: Path, resume: str, content: dict) -> Iterator[Path]:
    """Yield the checkpoint `resume` and those of the folder that may precede it, if it lies in the folder."""
    path = Path(resume).resolve()
    if path.parent != folder.resolve():
        return
    for other in checkpoints_by_progress(folder):
        try:
            if other.resolve() == path:
                yield other
            elif read_training_state(other)["epoch"] <= content["epoch"] and other != latest_path(folder):
                yield other
        except ValueError:
            continue
    with contextlib.suppress(ValueError, FileNotFoundError):
        if read_training_state(folder / BEST)["epoch"] <= content["epoch"]:
            yield folder / BEST


def differences(before: dict | None, now: dict) -> list[str]:
    """Return the differences between two identities of a training run, as texts.

    The list is empty if there is no identity `before`, as in checkpoints of earlier versions.
    """
    if not isinstance(before, dict):
        return []
    rows = [("the seed", before.get("seed"), now.get("seed"))]
    config, values = before.get("config", {}), now.get("config", {})
    rows += [(key, config.get(key), values.get(key)) for key in sorted(set(config) | set(values))]
    texts = [f"{name} was {_format_value(old)} and is {_format_value(new)}" for name, old, new in rows if old != new]
    old_data, new_data = before.get("data", {}), now.get("data", {})
    for name in sorted(set(old_data) & set(new_data)):
        if old_data[name] != new_data[name]:
            texts.append(f"the data of {name} have changed")
    return texts


def _format_value(value: object) -> str:
    return "not set" if value is None else str(value) or "''"


def _check_identity(before: dict | None, now: dict, path: Path) -> None:
    """Raise ValueError for a checkpoint of another seed or config; changed data and TRAIN.EPOCH cause a warning."""
    texts = differences(before, now)
    allowed = [text for text in texts if text.startswith(("the data of ", "TRAIN.EPOCH "))]
    for text in allowed:
        logger.warning("%s: %s; training continues with this change", path, text)
    if len(texts) > len(allowed):
        refused = [text for text in texts if text not in allowed]
        more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
        raise ValueError(
            f"{path} is of another run: {'; '.join(refused[:5])}{more}. To start from scratch and move its checkpoints "
            "aside, set TRAIN.RESUME '' (--resume=none of the scripts); to resume from it nevertheless, set "
            f"TRAIN.RESUME {path}; or choose another TRAIN.SNAPSHOT_DIR (--output_path)"
        )


def claim_folder(folder: str | os.PathLike, origin: Origin | None, identity: dict, launch: str = "") -> None:
    """Move the checkpoints that training does not resume from into `earlier_<n>`, and write `run.json`.

    Called once, when training starts. Raises OSError.
    """
    folder = Path(folder)
    kept = {path.name for path in origin.kept} if origin else set()
    moved = [
        path
        for path in (*sorted(folder.glob("checkpoint_e*.pth")), latest_path(folder), folder / BEST)
        if path.exists() and path.name not in kept
    ]
    if moved:
        number = next(n for n in itertools.count(1) if not (folder / f"earlier_{n}").exists())
        aside = folder / f"earlier_{number}"
        aside.mkdir()
        for path in (*moved, folder / RUN):
            if path.exists():
                path.rename(aside / path.name)
        logger.warning("%s had %d checkpoint(s) of an earlier run; they are kept in %s", folder, len(moved), aside)
    started = {"machine": platform.node(), "process": os.getpid(), "time": time.strftime("%Y-%m-%d %H:%M:%S")}
    source = origin.path if origin else None
    description = {"identity": identity, "from": source, "launch": launch, "started": started}
    write_json(folder / RUN, description, indent=1)


def _read_description(folder: Path) -> dict:
    """Return the content of run.json; empty if it is missing or damaged, because it is rewritten at the start."""
    try:
        content = read_json(folder / RUN, "description of a run")
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
