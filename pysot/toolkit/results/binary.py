"""Binary results (.bin) of the official toolkit.

A file has a version and the number of entries. Each entry, one per frame, has its kind first: a code (0), a box (1), a
polygon (2) or a mask (3). All numbers are little-endian; boxes and corners are float32.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pysot.toolkit.results.lines import Lines, ResultError, read_bytes
from pysot.toolkit.results.trajectory import TRACKED, Trajectory
from pysot.utils.masks import Mask, mask_from_runs

_CODE, _BOX, _POLYGON, _MASK = 0, 1, 2, 3
_HEADER, _VERSION = "<hI", 1
_LIMIT = 65535  # of a number without sign: a run, the number of runs, width and height of a mask


def binary_result(trajectory: Trajectory) -> bytes:
    """Return a trajectory as the content of a binary file.

    Raises ValueError that names the frame of a mask with more runs, or further away, than the file can hold.
    """
    entries = [struct.pack(_HEADER, _VERSION, len(trajectory))]
    for index, (code, region) in enumerate(zip(trajectory.codes.tolist(), trajectory.regions, strict=True)):
        if code != TRACKED:
            entries.append(struct.pack("<BI", _CODE, code))
        elif index in trajectory.masks:
            entries.append(_mask_entry(trajectory.masks[index].tight(), index + 1))
        else:
            numbers = region[~np.isnan(region)].astype("<f4")
            kind = struct.pack("<B", _BOX) if len(numbers) == 4 else struct.pack("<BH", _POLYGON, len(numbers) // 2)
            entries.append(kind + numbers.tobytes())
    return b"".join(entries)


def _mask_entry(mask: Mask, frame: int) -> bytes:
    runs: list[int] = []
    for run in mask.runs():
        full, rest = divmod(run, _LIMIT)
        runs += [_LIMIT, 0] * full + [rest]  # a longer run is several of its kind, with empty ones between them
    numbers = mask.x, mask.y, *mask.pixels.shape[::-1], len(runs)
    try:
        return struct.pack("<BhhHHH", _MASK, *numbers) + np.array(runs, "<u2").tobytes()
    except struct.error:
        raise ValueError(
            f"frame {frame}: a mask of {numbers[2]} x {numbers[3]} pixels at {mask.x}, {mask.y} with {len(runs)} runs "
            f"has no binary form (positions within 32767, at most {_LIMIT} pixels and runs); write text"
        ) from None


def read_binary(path: str | os.PathLike, frames: int | None = None) -> Lines:
    """Read a binary file with an entry for each frame; `frames` is the required number. Raises ResultError."""
    path = Path(path)
    entries = _read_entries(path)
    if frames is not None and len(entries) != frames:
        raise ResultError(f"{path} has {len(entries)} entries for {frames} frames; track this video again")
    return entries


def _read_entries(path: Path) -> Lines:
    data, offset = read_bytes(path), 0
    rows: list[np.ndarray | Sequence[float]] = []
    masks: dict[int, Mask] = {}

    def unpack_next(layout: str) -> tuple:
        nonlocal offset
        offset += struct.calcsize(layout)
        return struct.unpack_from(layout, data, offset - struct.calcsize(layout))

    try:
        version, count = unpack_next(_HEADER)
        for index in range(count if version == _VERSION else 0):
            (kind,) = unpack_next("<B")
            if kind == _CODE:
                rows.append(unpack_next("<I"))
            elif kind == _BOX:
                rows.append(unpack_next("<4f"))
            elif kind == _POLYGON:
                rows.append(unpack_next(f"<{2 * unpack_next('<H')[0]}f"))
            elif kind == _MASK:
                x, y, width, height, runs = unpack_next("<hhHHH")
                masks[index] = mask_from_runs(x, y, width, height, unpack_next(f"<{runs}H"))
                rows.append(masks[index].box)
            else:
                raise ValueError(f"it is of unknown kind {kind}")
    except (struct.error, ValueError) as error:
        raise ResultError(
            f"{path} is cut off or no binary result (entry {len(rows) + 1}: {error}); track this video again"
        ) from None
    if not rows:
        raise ResultError(f"{path} is empty or no binary result; track this video again")
    return Lines(path, np.concatenate(rows).astype(np.float64), np.array([len(numbers) for numbers in rows]), masks)
