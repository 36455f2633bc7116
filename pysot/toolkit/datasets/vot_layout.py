"""The folder that the VOT challenge hands out: list.txt, <video>/groundtruth.txt, <video>/color/%08d.jpg, <video>/*.tag or *.label."""

from pathlib import Path

from pysot.toolkit.datasets.sequence import Sequence
from pysot.utils.image import image_size
from pysot.utils.masks import region_lines
from pysot.utils.names import image_paths
from pysot.utils.numbers import listed_names, number_lines


def read_vot_layout(folder: Path, problems: list[str]) -> list[Sequence]:
    """Sequences of a raw VOT folder. What is wrong is appended to `problems`."""
    names = listed_names(folder / "list.txt")
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
    frames = image_paths(folder / "color") or image_paths(folder)
    if not frames:
        raise ValueError(f"{name}: no frames in {folder / 'color'} or {folder}")
    width, height = image_size(frames[0])
    truth, masks = region_lines(truth)
    anchors = _anchors(folder, len(frames))
    return Sequence(name, frames, truth, width, height, _tags(folder), anchors=anchors, masks=masks)


def _anchors(folder: Path, count: int) -> tuple[tuple[int, bool], ...]:
    """Frames at which runs begin, those forwards first: 1 and -1 in anchor.value, which has a line for each of `count` frames; as in the official
    toolkit, lines that lack at the end are 0. Raises ValueError for more.
    """
    path = folder / "anchor.value"
    values = [numbers[0] for numbers in number_lines(path)] if path.is_file() else []
    if len(values) > count:
        raise ValueError(f"{path} has {len(values)} lines for {count} frames; it needs one for each")
    return tuple((frame, sign < 0) for sign in (1, -1) for frame, value in enumerate(values) if value * sign > 0)


def _tags(folder):
    files = sorted([*folder.glob("*.tag"), *folder.glob("*.label")])
    return {path.stem: [numbers[0] for numbers in number_lines(path)] for path in files}
