"""Whose results a folder holds: `network.json` has a word for the network and its settings, and the runs that write there."""

import os
import platform
import shutil
import time
from pathlib import Path

from pysot.toolkit.results.files import holds_any_results
from pysot.utils.files import file_lock, read_json, write_json

CLAIM = "network.json"
_FORGOTTEN = 3600  # seconds for which a run of another machine is taken to go on


def claim_tracker_dir(tracker_dir: str | os.PathLike, fingerprint: str, replace: bool = False) -> None:
    """Note in `network.json` whose results the folder holds: `fingerprint` is a word for network and settings, and after a space what they were computed on.
    Results of another network, of other settings or computed otherwise are removed with `replace`, else a ValueError, and so is a claim of a run that goes on
    and has no result yet: two runs that start together cannot both write into it. Raises OSError where the folder cannot be made, or not be written and does
    not hold results of this network.
    """
    folder = Path(tracker_dir)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot make {folder.parent}: {error.strerror}. Choose another --results_dir"
        ) from error
    with file_lock(folder.parent / f".{folder.name}.lock", keep=True):
        content = _read(folder / CLAIM)
        known, runs = content.get("sha256"), [run for run in content.get("runs", []) if _goes_on(run, folder / CLAIM)]
        if known != fingerprint:
            if holds_any_results(folder) and not replace:
                raise ValueError(_refusal(folder, known, fingerprint))
            if runs and not replace:
                raise ValueError(
                    f"{folder} is being filled by another run with another network or other settings (process {runs[0][1]} on {runs[0][0]}); wait "
                    "for it, or choose another --results_dir"
                )
            if replace and folder.is_dir():
                shutil.rmtree(folder)
            runs = []
        try:
            write_json(folder / CLAIM, {"sha256": fingerprint, "runs": [*runs, [platform.node(), os.getpid()]]})
        except OSError:
            if known != fingerprint:  # finished results may lie where nothing can be written
                raise


def _refusal(folder: Path, known: str | None, fingerprint: str) -> str:
    """Why a run does not add its results to those of a folder."""
    network, _, computed = fingerprint.partition(" ")
    remedy = "remove or rename that folder, or choose another --results_dir"
    if known == network:
        return (
            f"{folder} holds results of this network and these settings by an earlier version, which did not note what they were computed on, so that this "
            f'run ({computed}) might mix them with its own; {remedy}. If they are of {computed} as well, write "sha256": "{fingerprint}" into its '
            f"{CLAIM}"
        )
    unknown = ", or of nobody knows what" * (known is None)
    before, _, otherwise = str(known or "").partition(" ")
    otherwise = f" (computed on {otherwise}, this run on {computed})" if before == network else ""
    return f"{folder} holds results of another network or of other settings{unknown}{otherwise}, which this run would mix with its own; {remedy}"


def _read(path: Path) -> dict:
    """The claim, empty where there is none or it is damaged."""
    try:
        content = read_json(path, "origin of results")
    except (FileNotFoundError, ValueError):
        return {}
    known = isinstance(content, dict) and all(
        isinstance(run, list) and len(run) == 2 and isinstance(run[1], int) for run in content.get("runs", [])
    )
    return content if known else {}


def _goes_on(run: list, claim: Path) -> bool:
    """Whether a run, [machine, process], other than this one may still write."""
    machine, process = run
    if machine != platform.node():
        return time.time() - claim.stat().st_mtime < _FORGOTTEN
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True
