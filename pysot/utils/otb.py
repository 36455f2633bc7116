"""Select the images and lines of raw OTB videos that the protocol uses (Wu, Lim, Yang, 2013 and 2015).

Some videos have images, or images and lines, that the protocol leaves out.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from pysot.utils.names import PathLike, frame_numbers, images_for_lines

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Numbers of the first and the last image, by name in lower case. Published results have a line for each of them.
SPANS = {
    "david": (300, 770),
    "blurcar1": (247, 988),
    "blurcar3": (3, 359),
    "blurcar4": (18, 397),
    "tiger1": (6, 354),
    "diving": (1, 215),
    "football1": (1, 74),
    "freeman3": (1, 460),
    "freeman4": (1, 283),
}


def protocol_slices(video: str, images: Sequence[str | os.PathLike], lines: int) -> tuple[slice, slice]:
    """Return slices of the images and of the lines of ground truth that belong together.

    They select everything, unless the video has a span (names are compared in lower case) and images with numbers
    outside it. The lines may cover the span only, or all images.
    """
    everything = slice(None), slice(None)
    if video.lower() not in SPANS:
        return everything
    first, last = SPANS[video.lower()]
    numbers = frame_numbers(images)
    if numbers is None or lines == len(numbers) == last - first + 1:
        return everything
    inside = [index for index, number in enumerate(numbers) if first <= number <= last]
    if not inside or len(inside) == len(numbers):
        return everything
    part = slice(inside[0], inside[-1] + 1)
    if lines != len(numbers):
        return part, slice(None)
    logger.info(
        "%s: images and lines %d to %d of %d are used, as in the protocol of OTB",
        video,
        numbers[inside[0]],
        numbers[inside[-1]],
        lines,
    )
    return part, part


def pair_images_with_lines(video: str, images: list[PathLike], lines: list[T]) -> tuple[list[PathLike], list[T]]:
    """Return the images and the lines of ground truth of a raw video that the protocol uses, one to one from the first.

    Surplus images at the end are left out, surplus lines are not. Raises ValueError as `images_for_lines`.
    """
    part_of_images, part_of_lines = protocol_slices(video, images, len(lines))
    chosen, lines = images[part_of_images], lines[part_of_lines]
    if len(chosen) > len(lines) or len(chosen) < len(images):
        chosen = images_for_lines(chosen, len(lines))
    return chosen, lines


def drop_empty_files(files: Iterable[Path]) -> list[Path]:
    """Return the ground-truth files of a video in order, without empty ones unless all are empty.

    Human4 of OTB100 has an empty file for its first target.
    """
    ordered = sorted(files)
    return [path for path in ordered if path.stat().st_size] or ordered
