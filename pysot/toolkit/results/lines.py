"""Parse lines of result files into numbers.

Variants with a clear meaning are accepted (CRLF, byte order mark, tabs, blanks or semicolons between numbers, empty
lines at the end). Anything else raises a ResultError that names file and line. Masks are read as their bounding boxes,
and kept. For binary files, see `binary`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from pysot.utils.masks import Mask, parse_region_mask
from pysot.utils.numbers import split_numbers


class ResultError(ValueError):
    """Error for a result file that cannot be scored; the message names the file, the line and the reason."""


@dataclass(frozen=True)
class Lines:
    """Parsed lines of the file at `path`.

    `numbers` has the numbers of all lines in one array, `counts` (N,) how many of them are on each line, `masks` the
    masks by line from 0; the numbers of a mask are its bounding box. `extra` is the number of ignored lines at the end.
    """

    path: str | os.PathLike
    numbers: np.ndarray
    counts: np.ndarray
    masks: dict[int, Mask] = field(default_factory=dict)
    extra: int = 0

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def first(self) -> np.ndarray:
        """Return the first number of each line (N,)."""
        return self.numbers[np.cumsum(self.counts) - self.counts]

    @property
    def are_regions(self) -> np.ndarray:
        """Return a bool array (N,) that is True for lines with 4 or 8 numbers."""
        return (self.counts == 4) | (self.counts == 8)

    @cached_property
    def regions(self) -> np.ndarray:
        """Return the lines with 4 or 8 numbers as a table (N, 8), filled up with NaN; other lines are NaN."""
        starts = np.cumsum(self.counts) - self.counts
        table = np.full((len(self), 8), np.nan)
        for size in (4, 8):
            rows = np.flatnonzero(self.counts == size)
            table[rows, :size] = self.numbers[starts[rows, None] + np.arange(size)]
        return table

    def refuse(self, wrong: np.ndarray, reason: str) -> None:
        """Raise ResultError with the reason for the first line where `wrong` (N,) is True."""
        if wrong.any():
            row = int(np.argmax(wrong))
            line = np.split(self.numbers, np.cumsum(self.counts)[:-1])[row]
            raise ResultError(f"{self.path} line {row + 1} {reason}, got {','.join(f'{value:g}' for value in line)}")

    def refuse_masks(self) -> None:
        """Raise ResultError if there is a mask, for protocols that score only boxes and polygons."""
        if self.masks:
            raise ResultError(
                f"{self.path} line {min(self.masks) + 1} is a mask; masks are scored only on multi-start sets and in "
                "unsupervised runs"
            )

    def refuse_invalid_regions(self) -> None:
        """Raise ResultError for a non-finite number, or a negative width or height."""
        finite = np.add.reduceat(~np.isfinite(self.numbers), np.cumsum(self.counts) - self.counts) == 0
        self.refuse(~finite, "has a number that is not finite")
        self.refuse(
            (self.counts == 4) & (np.nan_to_num(self.regions[:, 2:4]) < 0).any(axis=1), "has a negative width or height"
        )


def read_lines(path: str | os.PathLike, frames: int | None = None, allow_extra: bool = False) -> Lines:
    """Read the lines of a file. Raises ResultError.

    If `frames` is given, the file must have that many lines; with `allow_extra` it may have more, which are ignored.
    """
    path = Path(path)
    text = _decode(path, read_bytes(path)).rstrip()
    lines = text.split("\n")
    if not text:
        raise ResultError(f"{path} is empty; track this video again")
    extra = 0
    if allow_extra and frames is not None and len(lines) > frames:
        extra = len(lines) - frames
        lines = lines[:frames]
        text = "\n".join(lines)
    if frames is not None and len(lines) != frames:
        raise ResultError(f"{path} has {len(lines)} lines for {frames} frames; track this video again")
    try:
        counts = np.array([line.count(",") for line in lines]) + 1
        return Lines(path, np.array(list(map(float, text.replace("\n", ",").split(",")))), counts, extra=extra)
    except ValueError:
        return _read_other_formats(path, lines, extra)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file. Raises ResultError that names it."""
    if path.is_fifo():  # reading would block until a process writes into it
        raise ResultError(f"{path} is a pipe; replace it by a file")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ResultError(f"no result file {path}; track this video") from None
    except OSError as error:
        raise ResultError(f"{path} cannot be read ({error.strerror}); make it a readable file") from None


def _decode(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise ResultError(f"{path} is not a text file; track this video again") from None


def _read_other_formats(path: Path, lines: list[str], extra: int) -> Lines:
    """Parse lines with other separators, or with masks."""
    rows: list[np.ndarray | Sequence[float]] = []
    masks: dict[int, Mask] = {}
    for number, line in enumerate(lines, start=1):
        try:
            if line.startswith("m"):
                masks[number - 1] = parse_region_mask(line)
                rows.append(masks[number - 1].box)
            else:
                rows.append(split_numbers(line))
        except ValueError as error:
            raise ResultError(f"{path} line {number} {error}") from None
    return Lines(path, np.concatenate(rows), np.array([len(numbers) for numbers in rows]), masks, extra)


def read_values(path: str | os.PathLike, frames: int | None = None) -> np.ndarray | None:
    """Read one number per line (N,), NaN for an empty line; None if the file does not exist. Raises ResultError."""
    path = Path(path)
    if not path.exists():
        return None
    lines = _decode(path, read_bytes(path)).removesuffix("\n").split("\n")
    if frames is not None and len(lines) != frames:
        raise ResultError(f"{path} has {len(lines)} lines for {frames} frames; track this video again")
    values = np.full(len(lines), np.nan)
    for row, line in enumerate(lines):
        try:
            values[row] = float(line) if line.strip() else np.nan
        except ValueError:
            raise ResultError(f"{path} line {row + 1} needs a number, got {line.strip()[:60]!r}") from None
    return values
