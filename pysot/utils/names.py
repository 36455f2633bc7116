"""Names of frames and videos: one natural order everywhere, the numbers in names, and names that are none.

Numbers in names count as numbers (frame_2 comes before frame_10), and the number of a frame is the run of digits in its name that differs from frame to
frame, the last of several.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from pysot.utils.image import IMAGE_SUFFIXES

_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple:
    """What to sort names by: text as text and runs of digits as numbers, the stem before the suffix."""
    stem, suffix = os.path.splitext(name)
    return tuple(int(part) if place % 2 else part for place, part in enumerate(_DIGITS.split(stem))), suffix, name


def image_names(folder: str | os.PathLike) -> list[str]:
    """Names of the images of a folder in natural order; none if there is no folder."""
    if not os.path.isdir(folder):
        return []
    names = (entry.name for entry in os.scandir(folder))
    return sorted((name for name in names if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")), key=natural_key)


def list_images(folder: str | os.PathLike) -> list[Path]:
    """The images of a folder in natural order; none if there is no folder."""
    return [Path(folder) / name for name in image_names(folder)]


def number_place(names: Sequence[str | os.PathLike]) -> int | None:
    """Which run of digits in the stems, counted from the end (-1 is the last), numbers the frames: one that differs between all of them. None where none does,
    or where a name has no digits.
    """
    runs = [_DIGITS.findall(Path(name).stem) for name in names]
    if not runs or not all(runs):
        return None
    for place in range(1, min(map(len, runs)) + 1):
        if len({int(found[-place]) for found in runs}) == len(runs):
            return -place
    return None


def frame_numbers(names: Sequence[str | os.PathLike]) -> list[int] | None:
    """The numbers of frames, all of them different; None where the names do not number them."""
    place = number_place(names)
    return None if place is None else [int(_DIGITS.findall(Path(name).stem)[place]) for name in names]


def name_of_number(like: str | os.PathLike, place: int, number: int) -> str:
    """The name of the frame of another number, as `like` is called, whose run of digits at `place` is its number."""
    path = Path(like)
    parts = _DIGITS.split(path.stem)
    at = [index for index in range(1, len(parts), 2)][place]
    parts[at] = f"{number:0{len(parts[at])}d}"
    return "".join(parts) + path.suffix


def check_video_name(name: str) -> None:
    """Raise ValueError for the name of a video that is no name, since files are called by it: empty, absolute, or with . or .. among its parts."""
    parts = name.replace("\\", "/").split("/")
    if not all(parts) or {".", ".."} & {*parts} or re.match(r"[A-Za-z]:[/\\]", name) or "\0" in name:
        raise ValueError(f"{name!r} is no name of a video: it may not be empty, absolute, or have . or .. among its parts; rename it")
