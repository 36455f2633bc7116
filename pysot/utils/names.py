"""Names of frames and videos: natural order, the numbers in names, and the check of video names.

Numbers in names count as numbers: frame_2 comes before frame_10. The number of a frame is a group of digits in its name
that increases from frame to frame.
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
    """Return a sort key: text as text and groups of digits as numbers, the stem before the suffix."""
    stem, suffix = os.path.splitext(name)
    return tuple(int(part) if index % 2 else part for index, part in enumerate(_DIGITS.split(stem))), suffix, name


def is_image_name(name: str) -> bool:
    """Return whether a file of this name counts as an image; hidden files do not."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def image_names(folder: str | os.PathLike) -> list[str]:
    """Return the names of the images of a folder in natural order; none if the folder is missing."""
    if not os.path.isdir(folder):
        return []
    names = [name for name in os.listdir(folder) if is_image_name(name)]
    same_form = len({(len(name), os.path.splitext(name)[1]) for name in names}) == 1
    if same_form and all(name.partition(".")[0].isdecimal() for name in names):
        return sorted(names)  # 00000001.jpg, ...: the order as text is the same, and faster for a million names
    return sorted(names, key=natural_key)


def list_images(folder: str | os.PathLike) -> list[Path]:
    """Return the images of a folder in natural order; none if the folder is missing."""
    return [Path(folder) / name for name in image_names(folder)]


def image_paths(folder: str | os.PathLike) -> list[str]:
    """Return the images of a folder like `list_images`, but as text.

    Text takes a third of the time of a Path: evaluation lists sets of a million images that it never opens.
    """
    return [os.path.join(folder, name) for name in image_names(folder)]


def _frame_number_group(names: Sequence[str | os.PathLike]) -> int | None:
    """Return which group of digits in the stems, counted from 0, is the frame number.

    It is a group that increases in the natural order of the names. Of several, it is the last one if the names differ
    in digits only, else the first. None if no group does, or if a name has no digits.
    """
    ordered = sorted((Path(name).name for name in names), key=natural_key)
    groups = [[int(digits) for digits in _DIGITS.findall(Path(name).stem)] for name in ordered]
    if not groups or not all(groups):
        return None
    increasing = [
        group
        for group in range(min(map(len, groups)))
        if all(a[group] < b[group] for a, b in itertools.pairwise(groups))
    ]
    same_text = len({_DIGITS.sub("#", Path(name).stem) for name in ordered}) == 1
    return increasing[-1 if same_text else 0] if increasing else None


def _numbers_in_group(names: Sequence[str | os.PathLike], group: int) -> list[int]:
    return [int(_DIGITS.findall(Path(name).stem)[group]) for name in names]


def frame_numbers(names: Sequence[str | os.PathLike]) -> list[int] | None:
    """Return the numbers of frames, all of them different; None if the names do not number the frames."""
    group = _frame_number_group(names)
    return None if group is None else _numbers_in_group(names, group)


def index_by_number(names: Sequence[str | os.PathLike]) -> dict[int, int]:
    """Return {number in the name: index} of frames, without the names that have no digits.

    Raises ValueError with two of the names if the numbers do not distinguish all names with digits.
    """
    numbered = [index for index, name in enumerate(names) if _DIGITS.search(Path(name).stem)]
    numbers = frame_numbers([names[index] for index in numbered])
    if numbered and numbers is None:
        ordered = sorted((Path(names[index]).name for index in numbered), key=natural_key)
        same_stem = ((a, b) for a, b in itertools.pairwise(ordered) if Path(a).stem == Path(b).stem)
        one, other = next(same_stem, (ordered[0], ordered[-1]))
        raise ValueError(
            f"names such as {one} and {other} do not number the images: a number may mean either; keep only the frames "
            "in their folder"
        )
    return dict(zip(numbers or (), numbered, strict=True))


def _with_frame_number(name: str | os.PathLike, group: int, number: int) -> str:
    """Return a file name with another frame number, which is its group of digits `group`, in the same width."""
    path = Path(name)
    parts = _DIGITS.split(path.stem)
    index = [index for index in range(1, len(parts), 2)][group]
    parts[index] = f"{number:0{len(parts[index])}d}"
    return "".join(parts) + path.suffix


def missing_images(images: Sequence[str | os.PathLike]) -> list[str]:
    """Return the names that are missing between the first and the last image, if names are numbered and most exist.

    A video of every second frame is complete.
    """
    group = _frame_number_group(images)
    if group is None:
        return []
    numbers = set(_numbers_in_group(images, group))
    first, last = min(numbers), max(numbers)
    if last - first >= 2 * len(numbers) - 2:
        return []
    missing = sorted(set(range(first, last + 1)) - numbers)
    return [_with_frame_number(images[0], group, number) for number in missing]


def images_for_lines(images: Sequence[PathLike], count: int, first: int | None = None) -> list[PathLike]:
    """Return the images that belong to `count` lines of ground truth, if there are more images than lines.

    They are the first `count`, or those from number `first` on. Raises ValueError if an image between them is missing,
    or if the names have no numbers: lines would belong to other images.
    """
    numbers, folder = frame_numbers(images), Path(images[0]).parent
    if numbers is None:
        raise ValueError(
            f"{folder} has {len(images)} images for {count} lines of ground truth, and their names have no "
            f"numbers that show which are meant, such as {Path(images[0]).name} and {Path(images[-1]).name}; "
            "remove the files that are no frames of the video"
        )
    chosen = [path for path, number in zip(images, numbers, strict=True) if first is None or number >= first][:count]
    if missing := missing_images(chosen):
        raise ValueError(f"there is no {missing[0]} in {folder}")
    return chosen


def check_video_name(name: str, folders: bool = False) -> None:
    """Raise ValueError for an invalid name of a video, which is used in file names.

    Names that are empty, absolute, or have . or .. among their parts are invalid; so are names of several parts, unless
    `folders` are allowed.
    """
    parts = name.replace("\\", "/").split("/")
    invalid_part = not all(parts) or {".", ".."} & {*parts} or "\0" in name
    is_absolute = re.match(r"[A-Za-z]:[/\\]", name)
    if invalid_part or is_absolute or (len(parts) > 1 and not folders):
        rule = ", absolute, or have . or .. among its parts" if folders else ", have a slash, or be . or .."
        raise ValueError(f"{name!r} is no name of a video: it may not be empty{rule}; rename it")
