"""Parts of the data preparation, for several machines: --part of prepare_data.py and par_crop.py, and their merge."""

import argparse
import functools
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _arguments
from pysot.datasets.parts import Merged, Part, PartSettings, merge_parts, open_part, write_part
from pysot.datasets.raw.video import RawVideo, format_counts
from pysot.utils.progress import progress_bar


def add_part_argument(parser: Any, then: str) -> None:
    """Add --part I/N; `then` is what follows when all parts are finished."""
    parser.add_argument(
        "--part",
        type=_arguments.parse_part,
        metavar="I/N",
        help=f"only part I of N of the videos; then {then}",
    )


def part_of(args: argparse.Namespace, split: str, splits: list[str], settings: PartSettings) -> Part | None:
    """Return the part that --part asks for, None without it."""
    return None if args.part is None else Part(*args.part, split, splits, settings, sys.argv)


def prepare_part(
    part: Part,
    videos: list[RawVideo],
    counts: Counter,
    crops: Path,
    make: Callable[[list[RawVideo]], str],
    dry_run: bool,
) -> str:
    """Make the crops of a part of the `videos` and record it; return a sentence about it.

    `make` crops the videos it is given, `counts` are those of their reader.
    """
    chosen = [video for _, video in part.choose(videos)]
    label = f"{part}: {len(chosen)} of {len(videos)} videos"
    if dry_run:
        return f"{label}, {make(chosen)}"
    with open_part(part, crops):
        done = make(chosen)
        made = write_part(part, crops, videos, counts)
    return f"{label}, {done}; recorded: {format_counts(made)}"


def merge(crops: Path, split: str, **expected: Any) -> Merged:
    """Join the parts of a split, with a progress bar for the check of their crops."""
    return merge_parts(crops, split, expected, functools.partial(progress_bar, description=f"crops of {split}"))
