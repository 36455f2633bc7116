"""Read lines of numbers (ground truth, results, flags), for training data and evaluation."""

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def split_numbers(line: str) -> list[float]:
    """Return the numbers of a line between commas, semicolons, tabs or blanks; one separator at its end does not count.

    Raises ValueError for words, and for commas together with other separators: 1,5;2,5 may be two numbers or four.
    """
    with contextlib.suppress(ValueError):  # the common forms, in a tenth of the time
        if numbers := [float(word) for word in line.split("," if "," in line else None)]:
            return numbers
    text = re.sub(r"[,;]$", "", re.sub(r"\s*([,;])\s*", r"\1", line.strip()))
    if "," in text and re.search(r"[;\s]", text):
        raise ValueError(f"needs decimal points and one kind of separator, got {text[:60]!r}")
    try:
        return [float(word) for word in re.split(r"[,;]|\s+", text)]
    except ValueError:
        raise ValueError(f"needs numbers, got {text[:60]!r}") from None


def number_lines(path: str | os.PathLike, allow_blank: bool = False) -> list[np.ndarray]:
    """Read the numbers of each line, see `split_numbers`.

    Empty lines at the end do not count. With `allow_blank` other empty lines become arrays without numbers, else they
    are an error. Raises as `parse_lines`.
    """
    return parse_lines(path, lambda line: np.array(split_numbers(line) if line.strip() or not allow_blank else []))


def parse_lines(path: str | os.PathLike, read: Callable[[str], T]) -> list[T]:
    """Return read(line) of each line; empty lines at the end do not count.

    Raises ValueError with file and line if `read` raises it, and for a file that is no text; OSError.
    """
    values = []
    for number, line in enumerate(read_text(path).rstrip().splitlines(), start=1):
        try:
            values.append(read(line))
        except ValueError as error:
            raise ValueError(f"{path} line {number} {error}") from None
    return values


def listed_names(path: str | os.PathLike) -> list[str]:
    """Read the names in a list.txt, one per line. Raises ValueError for a file that is no text; OSError."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def read_text(path: str | os.PathLike) -> str:
    """Read a text file without its byte order mark. Raises ValueError that names it if it is not UTF-8; OSError."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from None
