"""Several files in a few words, as a shell writes them, on every system and where a shell has left them quoted."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

import bracex

from pysot.utils.names import natural_key


def expand_paths(patterns: Iterable[str], what: str) -> list[Path]:
    """The files that patterns name: braces as in a shell ({1..3}, {a,b}), then *, ? and [...]; numbers in names count as numbers in the order of a glob.

    Raises FileNotFoundError for a pattern, or a part of one in braces, that names no file, and ValueError for two files of the same name.
    """
    found: list[Path] = []
    for text in (part for pattern in patterns for part in bracex.expand(pattern)):
        files = [text] if os.path.isfile(text) else sorted(glob.glob(text), key=natural_key)
        if not files:
            raise FileNotFoundError(f"{what}: no file {text}")
        found += [path for path in map(Path, files) if path not in found]
    twice = [path for path in found if sum(path.stem == other.stem for other in found) > 1]
    if twice:
        raise ValueError(
            f"{what}: {' and '.join(map(str, twice[:2]))} have the same name, and so would their results; give one at a time"
        )
    return found
