"""Expand patterns of file names as a shell does, on every system and for quoted patterns."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

import bracex

from pysot.utils.names import natural_key


def expand_paths(patterns: Iterable[str], option: str) -> list[Path]:
    """Return the files that `patterns` name: braces as in a shell ({1..3}, {a,b}), then *, ? and [...].

    The files of a glob are in natural order: numbers in names count as numbers. `option` names the source of the
    patterns in errors. Raises FileNotFoundError for a pattern, or an alternative in braces, without a file, and
    ValueError for two files of the same name.
    """
    paths: list[Path] = []
    for text in (part for pattern in patterns for part in bracex.expand(pattern)):
        files = [text] if os.path.isfile(text) else sorted(glob.glob(text), key=natural_key)
        if not files:
            raise FileNotFoundError(f"{option}: no file {text}")
        paths += [path for path in map(Path, files) if path not in paths]
    same_name = [path for path in paths if sum(path.stem == other.stem for other in paths) > 1]
    if same_name:
        raise ValueError(
            f"{option}: {' and '.join(map(str, same_name[:2]))} have the same name, and so would their results; give "
            "one at a time"
        )
    return paths
