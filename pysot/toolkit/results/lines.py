"""Lines of result files as numbers.

Read leniently where the meaning is clear (CRLF, byte order mark, tabs, blanks or semicolons between numbers, empty lines at the end); anything else is a
ResultError that names file and line. Masks are read as their boxes, and kept. The official toolkit's binary files (.bin) are read as well.
"""

import os
import struct
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from pysot.utils.masks import Mask, mask_of_runs, parse_mask
from pysot.utils.numbers import split_numbers


class ResultError(ValueError):
    """A result file that cannot be scored; the message names the file, the line and what is wrong."""


@dataclass(frozen=True)
class Lines:
    """All numbers of the file at `path` in one array, how many of them are on each line (N,), and the masks by line from 0; a mask has four numbers, its
    box. `spare` lines at the end of the file were left out.
    """

    path: str | os.PathLike
    numbers: np.ndarray
    counts: np.ndarray
    masks: dict[int, Mask] = field(default_factory=dict)
    spare: int = 0

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def first(self) -> np.ndarray:
        """The first number of each line (N,)."""
        return self.numbers[np.cumsum(self.counts) - self.counts]

    @property
    def are_regions(self) -> np.ndarray:
        """Which lines have 4 or 8 numbers (N,)."""
        return (self.counts == 4) | (self.counts == 8)

    @cached_property
    def regions(self) -> np.ndarray:
        """The lines with 4 or 8 numbers as a table (N, 8), NaN elsewhere."""
        starts, table = np.cumsum(self.counts) - self.counts, np.full((len(self), 8), np.nan)
        for size in (4, 8):
            rows = np.flatnonzero(self.counts == size)
            table[rows, :size] = self.numbers[starts[rows, None] + np.arange(size)]
        return table

    def refuse(self, wrong: np.ndarray, what: str) -> None:
        """Raise ResultError for the first line where `wrong` (N,) holds."""
        if wrong.any():
            row = int(np.argmax(wrong))
            line = np.split(self.numbers, np.cumsum(self.counts)[:-1])[row]
            raise ResultError(f"{self.path} line {row + 1} {what}, got {','.join(f'{value:g}' for value in line)}")

    def refuse_masks(self) -> None:
        """Raise ResultError for a mask, where only boxes and polygons are scored."""
        if self.masks:
            raise ResultError(
                f"{self.path} line {min(self.masks) + 1} is a mask; masks are scored on sets of many starts and in unsupervised runs only"
            )

    def refuse_odd_regions(self) -> None:
        """Raise ResultError for a number that is not finite, or a negative width or height."""
        finite = np.add.reduceat(~np.isfinite(self.numbers), np.cumsum(self.counts) - self.counts) == 0
        self.refuse(~finite, "has a number that is not finite")
        self.refuse(
            (self.counts == 4) & (np.nan_to_num(self.regions[:, 2:4]) < 0).any(axis=1), "has a negative width or height"
        )


def read_lines(path: str | os.PathLike, frames: int | None = None, spare: bool = False) -> Lines:
    """The lines of a file of `frames` lines, if that is given; with `spare`, the first `frames` of one that has more. Raises ResultError."""
    path = Path(path)
    if path.suffix == ".bin":
        lines = _read_binary(path)
        if frames is not None and len(lines) != frames:
            raise ResultError(f"{path} has {len(lines)} entries for {frames} frames; track this video again")
        return lines
    text = _decode(path, _read(path)).rstrip()
    lines = text.split("\n")
    if not text:
        raise ResultError(f"{path} is empty; track this video again")
    more = len(lines) - frames if spare and frames is not None and len(lines) > frames else 0
    if more:
        lines = lines[:frames]
        text = "\n".join(lines)
    if frames is not None and len(lines) != frames:
        raise ResultError(f"{path} has {len(lines)} lines for {frames} frames; track this video again")
    try:
        counts = np.array([line.count(",") for line in lines]) + 1
        return Lines(path, np.array(list(map(float, text.replace("\n", ",").split(",")))), counts, spare=more)
    except ValueError:
        return _read_odd(path, lines, more)


def _read(path: Path) -> bytes:
    if path.is_fifo():  # nobody may ever write into it
        raise ResultError(f"{path} is a pipe; make it a file")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ResultError(f"no result file {path}; track this video") from None
    except OSError as error:
        raise ResultError(f"{path} cannot be read ({error.strerror}); make it a file that you may read") from None


def _decode(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise ResultError(f"{path} is not a text file; track this video again") from None


def _read_odd(path: Path, lines: list[str], spare: int) -> Lines:
    """Lines with other separators, or with masks."""
    listed, masks = [], {}
    for number, line in enumerate(lines, start=1):
        try:
            if line.startswith("m"):
                masks[number - 1] = parse_mask(line)
                listed.append(masks[number - 1].box)
            else:
                listed.append(split_numbers(line))
        except ValueError as error:
            raise ResultError(f"{path} line {number} {error}") from None
    return Lines(path, np.concatenate(listed), np.array([len(numbers) for numbers in listed]), masks, spare)


def _read_binary(path: Path) -> Lines:
    """A file of the official toolkit: version and number of entries, then each with its kind: a code, a box, a polygon of four corners, or a mask."""
    data, at, listed, masks = _read(path), 0, [], {}

    def take(form: str) -> tuple:
        nonlocal at
        at += struct.calcsize(form)
        return struct.unpack_from(form, data, at - struct.calcsize(form))

    try:
        version, count = take("<hI")
        for index in range(count if version == 1 else 0):
            (kind,) = take("<B")
            if kind == 0:
                listed.append(take("<I"))
            elif kind == 1:
                listed.append(take("<4f"))
            elif kind == 2:
                listed.append(take(f"<{2 * take('<H')[0]}f"))
            elif kind == 3:
                x, y, width, height, runs = take("<hhHHH")
                masks[index] = mask_of_runs(x, y, width, height, take(f"<{runs}H"))
                listed.append(masks[index].box)
            else:
                raise ValueError(f"entry {index + 1} is of kind {kind}")
    except (struct.error, ValueError) as error:
        raise ResultError(f"{path} is cut off or no binary result ({error}); track this video again") from None
    if not listed:
        raise ResultError(f"{path} is empty or no binary result; track this video again")
    return Lines(path, np.concatenate(listed).astype(np.float64), np.array([len(numbers) for numbers in listed]), masks)


def read_values(path: str | os.PathLike, frames: int | None = None) -> np.ndarray | None:
    """One number per line (N,), NaN on an empty line; None if there is no such file. Raises ResultError."""
    path = Path(path)
    if not path.exists():
        return None
    lines = _decode(path, _read(path)).removesuffix("\n").split("\n")
    if frames is not None and len(lines) != frames:
        raise ResultError(f"{path} has {len(lines)} lines for {frames} frames; track this video again")
    values = np.full(len(lines), np.nan)
    for row, line in enumerate(lines):
        try:
            values[row] = float(line) if line.strip() else np.nan
        except ValueError:
            raise ResultError(f"{path} line {row + 1} needs a number, got {line.strip()[:60]!r}") from None
    return values
