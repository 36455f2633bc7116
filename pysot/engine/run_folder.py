"""The folder of a run's checkpoints: whose it is, who writes there, what a new run does with those of an earlier one.

A run has an identity: its seed, the config values that decide what is trained, and a fingerprint of its data. It is in every checkpoint and, for people, in
`run.json`. TRAIN.RESUME auto goes on from checkpoints of the same seed and values only. A run that starts anew, or from a checkpoint that is named, moves
the checkpoints that it does not go on from into `earlier_<n>`: nothing of an earlier run counts as its own, and nothing is lost.
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
_DYING = 10.0  # seconds that processes of a launch which is started again may take to end


@dataclass(frozen=True)
class Origin:
    """The checkpoint that a run goes on from: its path and content, and the files of the snapshot folder that stay there."""

    path: str
    content: dict
    kept: frozenset[Path]


@contextlib.contextmanager
def hold_folder(folder: str | os.PathLike) -> Iterator[None]:
    """Let no other run write checkpoints into the folder meanwhile. Raises ValueError if another one does, OSError if the folder can't be written."""
    lock, began = Path(folder) / LOCK, time.monotonic()
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock_for_writing(lock, f"process {os.getpid()} on {platform.node()}"))
                break
            except BlockingIOError as error:
                if time.monotonic() - began > _DYING:
                    raise ValueError(
                        f"{folder} is in use by another run ({error.strerror}), which writes its checkpoints there; wait until it ends, or give "
                        "this one another TRAIN.SNAPSHOT_DIR (--output_path of the scripts)"
                    ) from None
                time.sleep(0.2)
        yield


def find_origin(folder: str | os.PathLike, resume: str, identity: dict, launch: str = "") -> Origin | None:
    """What TRAIN.RESUME means: a checkpoint, or None for a run that starts anew. `launch` names the launch of torchrun that starts its processes again, if
    it does: one that has begun to train here goes on from its own checkpoints, whatever `resume` says.

    Raises ValueError for a checkpoint that training cannot go on from and, with 'auto', for one of a run with another identity.
    """
    folder = Path(folder)
    restarted = launch and _description(folder).get("launch") == launch
    found = checkpoints_by_progress(folder) if resume == "auto" or restarted else []
    if found:
        try:
            content = read_training_state(found[0])
        except ValueError as error:
            raise ValueError(
                f"{error}{f'; or go on from {found[1]} (TRAIN.RESUME)' if len(found) > 1 else ''}"
            ) from None
        _refuse_another(content.get("identity"), identity, found[0])
        return Origin(str(found[0]), content, frozenset(folder.iterdir()))
    if resume in ("", "auto"):
        return None
    content = read_training_state(resume)
    for words in differences(content.get("identity"), identity):
        logger.warning("%s: %s", resume, words)
    return Origin(resume, content, frozenset(_not_further(folder, resume, content)))


def _not_further(folder: Path, path: str, content: dict) -> Iterator[Path]:
    """The checkpoints of the folder that the one at `path` may have come from, if it lies there."""
    path = Path(path).resolve()
    if path.parent != folder.resolve():
        return
    for other in checkpoints_by_progress(folder):
        try:
            if (
                other.resolve() == path
                or read_training_state(other)["epoch"] <= content["epoch"]
                and other != latest_path(folder)
            ):
                yield other
        except ValueError:
            continue
    with contextlib.suppress(ValueError, FileNotFoundError):
        if read_training_state(folder / BEST)["epoch"] <= content["epoch"]:
            yield folder / BEST


def differences(before: dict | None, now: dict) -> list[str]:
    """In words, what in the identity of a run is another than it was; nothing where it was not noted, as in checkpoints of earlier versions."""
    if not isinstance(before, dict):
        return []
    rows = [("the seed", before.get("seed"), now.get("seed"))]
    config, values = before.get("config", {}), now.get("config", {})
    rows += [(key, config.get(key), values.get(key)) for key in sorted(set(config) | set(values))]
    words = [f"{name} was {_shown(old)} and is {_shown(new)}" for name, old, new in rows if old != new]
    data, fingerprints = before.get("data", {}), now.get("data", {})
    return words + [
        f"the data of {name} have changed"
        for name in sorted(set(data) & set(fingerprints))
        if data[name] != fingerprints[name]
    ]


def _shown(value) -> str:
    return "not set" if value is None else str(value) or "''"


def _refuse_another(before: dict | None, now: dict, path: Path) -> None:
    """Raise ValueError for a checkpoint of a run with another seed or config; data that have changed, and a longer schedule, are told."""
    words = differences(before, now)
    told = [text for text in words if text.startswith(("the data of ", "TRAIN.EPOCH "))]
    for text in told:
        logger.warning("%s: %s; this run goes on with what there is now", path, text)
    if len(words) > len(told):
        shown = [text for text in words if text not in told]
        more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
        raise ValueError(
            f"{path} is of another run: {'; '.join(shown[:5])}{more}. To start this run anew and move that one aside, set TRAIN.RESUME '' (--resume=none of "
            f"the scripts); to go on from it all the same, TRAIN.RESUME {path}; or give this run another TRAIN.SNAPSHOT_DIR (--output_path)"
        )


def claim_folder(folder: str | os.PathLike, origin: Origin | None, identity: dict, launch: str = "") -> None:
    """At the start of a run: move what it does not go on from into `earlier_<n>`, and write `run.json`. Raises OSError."""
    folder = Path(folder)
    kept = {path.name for path in origin.kept} if origin else set()
    left = [
        path
        for path in (*sorted(folder.glob("checkpoint_e*.pth")), latest_path(folder), folder / BEST)
        if path.exists() and path.name not in kept
    ]
    if left:
        number = next(n for n in itertools.count(1) if not (folder / f"earlier_{n}").exists())
        aside = folder / f"earlier_{number}"
        aside.mkdir()
        for path in (*left, folder / RUN):
            if path.exists():
                path.rename(aside / path.name)
        logger.warning("%s has %d checkpoint(s) of an earlier run; they are kept in %s", folder, len(left), aside)
    started = {"machine": platform.node(), "process": os.getpid(), "time": time.strftime("%Y-%m-%d %H:%M:%S")}
    write_json(
        folder / RUN,
        {"identity": identity, "from": origin.path if origin else None, "launch": launch, "started": started},
        indent=1,
    )


def _description(folder: Path) -> dict:
    """run.json, empty where there is none or it is damaged: it is written again."""
    try:
        content = read_json(folder / RUN, "description of a run")
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
