"""Names of frames and videos: one natural order everywhere, the numbers in names, and names that are none.

Numbers in names count as numbers (frame_2 comes before frame_10), and the number of a frame is a run of digits in its name that counts up from frame to frame.
"""

import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pysot.utils.image import IMAGE_SUFFIXES

PathLike = TypeVar("PathLike", str, Path)
_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple:
    """What to sort names by: text as text and runs of digits as numbers, the stem before the suffix."""
    stem, suffix = os.path.splitext(name)
    return tuple(int(part) if place % 2 else part for place, part in enumerate(_DIGITS.split(stem))), suffix, name


def is_image_name(name: str) -> bool:
    """Whether a file of this name counts as an image; hidden ones do not."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def image_names(folder: str | os.PathLike) -> list[str]:
    """Names of the images of a folder in natural order; none if there is no folder."""
    if not os.path.isdir(folder):
        return []
    names = [name for name in os.listdir(folder) if is_image_name(name)]
    plain = len({(len(name), os.path.splitext(name)[1]) for name in names}) == 1 and all(
        name.partition(".")[0].isdecimal() for name in names
    )
    return sorted(
        names, key=None if plain else natural_key
    )  # 00000001.jpg, ...: text has the same order, and there may be a million of them


def list_images(folder: str | os.PathLike) -> list[Path]:
    """The images of a folder in natural order; none if there is no folder."""
    return [Path(folder) / name for name in image_names(folder)]


def image_paths(folder: str | os.PathLike) -> list[str]:
    """As `list_images`, as text, which is made in a third of the time: evaluation lists sets of a million images that it
    never opens.
    """
    return [os.path.join(folder, name) for name in image_names(folder)]


def number_place(names: Sequence[str | os.PathLike]) -> int | None:
    """Which run of digits in the stems, counted from the first, numbers the frames: one that counts up in the natural order of the names; of several, the last
    where all names are made alike, else the first. None where none does, or where a name has no digits.
    """
    ordered = sorted((Path(name).name for name in names), key=natural_key)
    runs = [[int(run) for run in _DIGITS.findall(Path(name).stem)] for name in ordered]
    if not runs or not all(runs):
        return None
    count_up = [
        place for place in range(min(map(len, runs))) if all(a[place] < b[place] for a, b in itertools.pairwise(runs))
    ]
    alike = len({_DIGITS.sub("#", Path(name).stem) for name in ordered}) == 1
    return count_up[-1 if alike else 0] if count_up else None


def frame_numbers(names: Sequence[str | os.PathLike]) -> list[int] | None:
    """The numbers of frames, all of them different; None where the names do not number them."""
    place = number_place(names)
    return None if place is None else [int(_DIGITS.findall(Path(name).stem)[place]) for name in names]


def places_by_number(names: Sequence[str | os.PathLike]) -> dict[int, int]:
    """{number in the name: place} of frames; names without digits have none, and where no name has any it is empty. Raises ValueError, with two names, where
    the numbers do not tell all the others apart.
    """
    known = [place for place, name in enumerate(names) if _DIGITS.search(Path(name).stem)]
    numbers = frame_numbers([names[place] for place in known])
    if known and numbers is None:
        by_name = sorted((Path(names[place]).name for place in known), key=natural_key)
        twice = next(
            ((a, b) for a, b in itertools.pairwise(by_name) if Path(a).stem == Path(b).stem), (by_name[0], by_name[-1])
        )
        raise ValueError(
            f"names such as {twice[0]} and {twice[1]} do not number the images, so that a number may be of either; leave the frames alone in "
            "their folder"
        )
    return dict(zip(numbers or (), known, strict=True))


def name_of_number(like: str | os.PathLike, place: int, number: int) -> str:
    """The name of the frame of another number, as `like` is called, whose run of digits at `place` is its number."""
    path = Path(like)
    parts = _DIGITS.split(path.stem)
    at = [index for index in range(1, len(parts), 2)][place]
    parts[at] = f"{number:0{len(parts[at])}d}"
    return "".join(parts) + path.suffix


def missing_images(images: Sequence[str | os.PathLike]) -> list[str]:
    """Names of images that lack between the first and the last, if names are numbered and most are there; every second
    frame lacks none.
    """
    place = number_place(images)
    if place is None:
        return []
    known = set(frame_numbers(images))
    most = max(known) - min(known) < 2 * len(known) - 2
    lacking = sorted(set(range(min(known), max(known) + 1)) - known) if most else []
    return [name_of_number(images[0], place, number) for number in lacking]


def part_of(images: Sequence[PathLike], count: int, first: int | None = None) -> list[PathLike]:
    """Up to `count` of more images than there are lines of ground truth, from that of the number `first` on if it is given.

    Raises ValueError if one between them lacks, or if the names have no numbers: lines would belong to other images.
    """
    numbers, folder = frame_numbers(images), Path(images[0]).parent
    if numbers is None:
        raise ValueError(
            f"{folder} has {len(images)} images for {count} lines of ground truth, and their names have no "
            f"numbers that tell which are meant, such as {Path(images[0]).name} and {Path(images[-1]).name}; "
            "take away what is no frame of it"
        )
    chosen = [path for place, path in enumerate(images) if first is None or numbers[place] >= first][:count]
    if missing := missing_images(chosen):
        raise ValueError(f"there is no {missing[0]} in {folder}")
    return chosen


def check_video_name(name: str, folders: bool = False) -> None:
    """Raise ValueError for the name of a video that is no name, since files are called by it: empty, absolute, with . or .. among its parts, or, unless
    `folders` are allowed, of several parts.
    """
    parts = name.replace("\\", "/").split("/")
    if (
        not all(parts)
        or {".", ".."} & {*parts}
        or re.match(r"[A-Za-z]:[/\\]", name)
        or "\0" in name
        or (len(parts) > 1 and not folders)
    ):
        rule = ", absolute, or have . or .. among its parts" if folders else ", have a slash, or be . or .."
        raise ValueError(f"{name!r} is no name of a video: it may not be empty{rule}; rename it")
