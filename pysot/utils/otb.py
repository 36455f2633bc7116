"""Which images and lines of raw OTB videos the protocol uses (Wu, Lim, Yang, 2013 and 2015): some have images, or lines as well, that it leaves out."""

import logging
import os
from collections.abc import Iterable
from collections.abc import Sequence as Listing
from pathlib import Path

from pysot.utils.names import PathLike, frame_numbers, part_of

logger = logging.getLogger(__name__)

# The numbers of the first and the last image, by name in lower case; published results have as many lines.
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


def protocol_part(video: str, images: Listing[str | os.PathLike], lines: int) -> tuple[slice, slice]:
    """The images, and the lines of ground truth, that belong together, as slices: all of them, unless the video has a span (its name in any case of letters)
    and there are images whose numbers lie outside it. Lines may be of the span only, or of all images.
    """
    everything = slice(None), slice(None)
    first, last = SPANS.get(video.lower(), (None, None))
    numbers = None if first is None else frame_numbers(images)
    if numbers is None or lines == len(numbers) == last - first + 1:
        return everything
    inside = [place for place, number in enumerate(numbers) if first <= number <= last]
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


def pair(video: str, images: list[PathLike], lines: list) -> tuple[list[PathLike], list]:
    """The images of a raw video and the lines of ground truth of the protocol, one for one from the first on.

    Images beyond the lines are left out at the end; lines beyond the images are not. Raises ValueError as `part_of`.
    """
    part_of_images, part_of_lines = protocol_part(video, images, len(lines))
    chosen, lines = images[part_of_images], lines[part_of_lines]
    if len(chosen) > len(lines) or len(chosen) < len(images):
        chosen = part_of(chosen, len(lines))
    return chosen, lines


def with_boxes(files: Iterable[Path]) -> list[Path]:
    """The files of ground truth of a video in their order, without empty ones unless all are: Human4 of OTB100 has one
    for its first target.
    """
    ordered = sorted(files)
    return [path for path in ordered if path.stat().st_size] or ordered
