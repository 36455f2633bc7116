"""Ownership of result folders.

`network.json` in a tracker's folder has the fingerprint of the network and its settings, and the processes that write
there.
"""

import os
import platform
import shutil
import time
from pathlib import Path

from pysot.toolkit.results.paths import holds_any_results
from pysot.utils.files import file_lock, read_json, write_json

CLAIM = "network.json"
_EXPIRY = 3600  # seconds after which the process of another machine is considered finished


def claim_tracker_dir(tracker_dir: str | os.PathLike, fingerprint: str, replace: bool = False) -> None:
    """Record in `network.json` which network the results in a folder are from.

    `fingerprint` has a hash of network and settings and, after a space, the device and precision of the computation.
    With `replace`, results of another network, of other settings or of another device are removed; without it, they
    raise a ValueError. The same holds for the claim of an active process that has no result yet: of two processes that
    start together, only one can write into the folder. Raises OSError if the folder cannot be made, or if it cannot be
    written and does not hold results of this network.
    """
    folder = Path(tracker_dir)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot make {folder.parent}: {error.strerror}. Choose another --results_dir"
        ) from error
    with file_lock(folder.parent / f".{folder.name}.lock", keep_file=True):
        content = _read(folder / CLAIM)
        known = content.get("sha256")
        active = [process for process in content.get("runs", []) if _is_active(process, folder / CLAIM)]
        if known != fingerprint:
            if holds_any_results(folder) and not replace:
                raise ValueError(_refusal(folder, known, fingerprint))
            if active and not replace:
                machine, process_id = active[0]
                raise ValueError(
                    f"{folder} is being filled by another run with another network or other settings "
                    f"(process {process_id} on {machine}); wait for it, or choose another --results_dir"
                )
            if replace and folder.is_dir():
                shutil.rmtree(folder)
            active = []
        try:
            write_json(folder / CLAIM, {"sha256": fingerprint, "runs": [*active, [platform.node(), os.getpid()]]})
        except OSError:
            if known != fingerprint:  # finished results of this network may be in a read-only folder
                raise


def claimed_network(tracker_dir: str | os.PathLike) -> str | None:
    """Return the fingerprint of the network that the results in a folder are from, None if it is not known."""
    return _read(Path(tracker_dir) / CLAIM).get("sha256")


def _refusal(folder: Path, known: str | None, fingerprint: str) -> str:
    """Return the message for results of another network, of other settings or of another device."""
    network, _, computed = fingerprint.partition(" ")
    remedy = "remove or rename that folder, or choose another --results_dir"
    if known == network:
        return (
            f"{folder} holds results of this network and these settings by an earlier version, which did not record "
            f"what they were computed on. This run ({computed}) might mix them with its own; {remedy}. "
            f'If they were computed on {computed} as well, write "sha256": "{fingerprint}" into its {CLAIM}'
        )
    unknown = ", or of unknown origin" if known is None else ""
    known_network, _, known_device = str(known or "").partition(" ")
    devices = f" (computed on {known_device}, this run on {computed})" if known_network == network else ""
    return (
        f"{folder} holds results of another network or of other settings{unknown}{devices}, "
        f"which this run would mix with its own; {remedy}"
    )


def _read(path: Path) -> dict:
    """Read the claim, empty if it is missing or damaged."""
    try:
        content = read_json(path, "origin of results")
    except (FileNotFoundError, ValueError):
        return {}
    valid = isinstance(content, dict) and all(
        isinstance(process, list) and len(process) == 2 and isinstance(process[1], int)
        for process in content.get("runs", [])
    )
    return content if valid else {}


def _is_active(process: list, claim: Path) -> bool:
    """Return whether a process, [machine, process id], other than this one may still write."""
    machine, process_id = process
    if machine != platform.node():
        return time.time() - claim.stat().st_mtime < _EXPIRY
    if process_id == os.getpid():
        return False
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except OSError:  # the process of another user
        return True
    return True
