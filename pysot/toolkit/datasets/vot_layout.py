"""The folder that the VOT challenge hands out: list.txt, <video>/groundtruth.txt, <video>/color/%08d.jpg, <video>/*.tag or *.label."""

import os
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence, missing_images
from pysot.toolkit.region.masks import Mask, parse_mask
from pysot.toolkit.results.lines import split_numbers
from pysot.utils.image import image_size
from pysot.utils.names import frame_numbers, image_names


def read_raw_layout(folder: Path, problems: list[str]) -> list[Sequence]:
    """Sequences of a raw VOT folder. What is wrong is appended to `problems`."""
    names = [line.strip() for line in _text(folder / "list.txt").splitlines() if line.strip()]
    if not names:
        problems.append("list.txt is empty")
    sequences = []
    for name in names:
        try:
            sequences.append(_sequence(name, folder / name))
        except (ValueError, OSError) as error:
            problems.append(str(error) if name in str(error) else f"{name}: {error}")
    return sequences


def _sequence(name, folder):
    if not folder.is_dir():
        raise ValueError(f"{name}: listed, but there is no folder {folder}")
    truth = folder / "groundtruth.txt"
    if not truth.is_file():
        raise ValueError(f"{name}: no groundtruth.txt")
    frames = frames_of(folder / "color") or frames_of(folder)
    if not frames:
        raise ValueError(f"{name}: no frames in {folder / 'color'} or {folder}")
    width, height = image_size(frames[0])
    truth, masks = _truth(truth)
    return Sequence(name, frames, truth, width, height, _tags(folder), anchors=_anchors(folder, len(frames)), masks=masks)


def _truth(path: Path) -> tuple[list[np.ndarray], dict[int, Mask]]:
    """Regions, and the masks by frame; a mask's region is its box, NaN where nothing is painted."""
    lines = _text(path).rstrip().splitlines()
    if not any(line.startswith("m") for line in lines):
        return number_lines(path), {}
    masks, regions = {}, []
    for index, line in enumerate(lines):
        try:
            region = parse_mask(line) if line.startswith("m") else np.array(split_numbers(line))
        except ValueError as error:
            raise ValueError(f"{path} line {index + 1} {error}") from None
        if isinstance(region, Mask) and region.pixels.any():
            masks[index], region = region, region.box
        regions.append(np.full(4, np.nan) if isinstance(region, Mask) or len(region) == 1 else region)
    return regions, masks


def _anchors(folder: Path, count: int) -> tuple[tuple[int, bool], ...]:
    """Frames at which runs begin, those forwards first: 1 and -1 in anchor.value, which has a line for each of `count` frames; as in the official
    toolkit, lines that lack at the end are 0. Raises ValueError for more.
    """
    path = folder / "anchor.value"
    values = [numbers[0] for numbers in number_lines(path)] if path.is_file() else []
    if len(values) > count:
        raise ValueError(f"{path} has {len(values)} lines for {count} frames; it needs one for each")
    return tuple((frame, sign < 0) for sign in (1, -1) for frame, value in enumerate(values) if value * sign > 0)


def number_lines(path: Path) -> list[np.ndarray]:
    """Numbers of each line, see `split_numbers`; empty lines at the end do not count. Raises ValueError with the line."""
    regions = []
    for number, line in enumerate(_text(path).rstrip().splitlines(), start=1):
        try:
            regions.append(np.array(split_numbers(line)))
        except ValueError as error:
            raise ValueError(f"{path} line {number} {error}") from None
    return regions


def _text(path):
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from None


def frames_of(folder: Path) -> list[str]:
    """Paths of the images of a folder in natural order; none if there is no folder."""
    return [os.path.join(folder, name) for name in image_names(folder)]


def part_of(frames: list[str], count: int, first: int | None = None) -> list[str]:
    """Up to `count` frames of more than there are lines for, from the one of the number `first` on if that is given. Raises ValueError if one between them
    lacks, or if the names have no numbers: ground truth would belong to other frames.
    """
    numbers = frame_numbers(frames)
    if numbers is None:
        raise ValueError(f"{os.path.dirname(frames[0])} has {len(frames)} images for {count} lines of ground truth, and their names have no numbers that tell "
                         f"which are meant, such as {os.path.basename(frames[0])} and {os.path.basename(frames[-1])}; take away what is no frame of it")
    chosen = [path for place, path in enumerate(frames) if first is None or numbers[place] >= first][:count]
    if missing := missing_images(chosen):
        raise ValueError(f"there is no {missing[0]} in {os.path.dirname(frames[0])}")
    return chosen


def _tags(folder):
    files = sorted([*folder.glob("*.tag"), *folder.glob("*.label")])
    return {path.stem: [numbers[0] for numbers in number_lines(path)] for path in files}
