"""Raw folder of the VOT challenge.

It has list.txt, <video>/groundtruth.txt, <video>/color/%08d.jpg and <video>/*.tag or *.label.
"""

from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.utils.image import image_size
from pysot.utils.masks import region_lines
from pysot.utils.names import image_paths
from pysot.utils.numbers import listed_names, number_lines
from pysot.utils.progress import Bar


def read_vot_layout(folder: Path, problems: list[str], bar: Bar) -> list[Sequence]:
    """Read the sequences of a raw VOT folder. Errors are appended to `problems`."""
    names = listed_names(folder / "list.txt")
    if not names:
        problems.append("list.txt is empty")
    sequences = []
    for name in bar(names):
        try:
            sequences.append(_sequence(name, folder / name))
        except (ValueError, OSError) as error:
            problems.append(str(error) if name in str(error) else f"{name}: {error}")
    return sequences


def _sequence(name: str, folder: Path) -> Sequence:
    if not folder.is_dir():
        raise ValueError(f"{name}: listed, but there is no folder {folder}")
    truth_path = folder / "groundtruth.txt"
    if not truth_path.is_file():
        raise ValueError(f"{name}: no groundtruth.txt")
    frames = image_paths(folder / "color") or image_paths(folder)
    if not frames:
        raise ValueError(f"{name}: no frames in {folder / 'color'} or {folder}")
    width, height = image_size(frames[0])
    truth, masks = region_lines(truth_path)
    anchors = _anchors(folder, len(frames))
    return Sequence(name, frames, truth, width, height, _tags(folder), anchors=anchors, masks=masks)


def _anchors(folder: Path, count: int) -> tuple[tuple[int, bool], ...]:
    """Read (frame, backwards) of the runs from anchor.value, forward runs first.

    The file has one line for each of `count` frames: 1 (forwards), -1 (backwards) or 0. As in the official toolkit,
    missing lines at the end count as 0. Raises ValueError for more lines than frames.
    """
    path = folder / "anchor.value"
    values = [numbers[0] for numbers in number_lines(path)] if path.is_file() else []
    if len(values) > count:
        raise ValueError(f"{path} has {len(values)} lines for {count} frames; it needs one per frame")
    return tuple((frame, sign < 0) for sign in (1, -1) for frame, value in enumerate(values) if value * sign > 0)


def _tags(folder: Path) -> dict[str, np.ndarray]:
    files = sorted([*folder.glob("*.tag"), *folder.glob("*.label")])
    return {path.stem: np.array([numbers[0] for numbers in number_lines(path)]) for path in files}
