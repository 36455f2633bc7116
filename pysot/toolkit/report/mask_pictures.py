"""Pictures of masks of objects, for an HTML page and for videos: the truth is tinted, the tracker's masks are outlines.

The colours are those of the palette of DAVIS, a third brighter.
"""

import cv2
import numpy as np

from pysot.toolkit.datasets.label_files import LabelFiles, LabelImages
from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.protocol import Timeline
from pysot.toolkit.report.page_parts import Picture, Strip, picture
from pysot.utils.image import read_image
from pysot.utils.label_images import davis_palette
from pysot.utils.masks import Mask
from pysot.utils.visualize import draw_outline

_FRAMES = 6  # of a strip through a sequence
_HEIGHT = 160  # pixels of a picture: more than others have, since outlines are thin
_GREY = 128  # behind masks without a frame
_TINT = 0.45  # opacity of the truth
_LINE = 120  # rows of a frame for each pixel of an outline's width
_WHITE = (255, 255, 255)
_TOLERANCE = 0.8  # pixels, of the outlines of a player


def mask_strip(sequence: Sequence, timeline: Timeline, name: str) -> list[Strip]:
    """Return frames from the first to the last one of a sequence with the masks of a tracker; nothing without masks."""
    frames = np.unique(np.linspace(0, len(sequence) - 1, _FRAMES).round().astype(int)).tolist()
    pictures = mask_pictures(sequence, timeline, frames)
    return [Strip(name, tuple(pictures))] if pictures else []


def mask_pictures(sequence: Sequence, timeline: Timeline, frames: list[int], lost: int | None = None) -> list[Picture]:
    """Return the pictures of frames, from 0, with their mean J below, and on the frame `lost` that word.

    A frame without any mask has no picture.
    """
    pictures = []
    for index in frames:
        image = draw_masks(sequence, timeline.labels, index) if timeline.labels else None
        if image is None:
            continue
        overlap = timeline.overlap[index]
        caption = f"frame {index + 1}" + (f", J {overlap:.2f}" if np.isfinite(overlap) else "")
        caption += ", lost" if index == lost else ""
        pictures.append(picture(image, caption, _HEIGHT))
    return pictures


def draw_masks(sequence: Sequence, results: LabelImages, index: int) -> np.ndarray | None:
    """Return a frame (H, W, 3) uint8 BGR, from 0, with the masks of the ground truth and of a tracker's results.

    Without the frame, or with one of another size, the masks are on grey. A mask that is missing or damaged is left
    out; None if both are.
    """
    assert sequence.labels is not None  # the sequences of this protocol have them
    truth, numbers = _read(sequence.labels, index), _read(results, index)
    known = truth if truth is not None else numbers
    if known is None:
        return None
    image, colours = _background(sequence.frame_paths[index], known.shape), _colours()[:, ::-1]
    if truth is not None:
        tinted = cv2.addWeighted(image, 1 - _TINT, colours[truth], _TINT, 0)
        image = np.where(truth[..., None] > 0, tinted, image)
    if numbers is not None:
        width = max(1, round(image.shape[0] / _LINE))
        for number in np.unique(numbers[numbers > 0]).tolist():
            mask = Mask(0, 0, numbers == number)
            draw_outline(image, mask, _WHITE, 2 * width)  # an edge, for dark colours on dark frames
            draw_outline(image, mask, colours[number].tolist(), width)
    return image


def label_outlines(labels: LabelImages, index: int) -> list[list[float]]:
    """Return the polygons of all objects of a label image, none if it is missing or damaged."""
    numbers = _read(labels, index)
    if numbers is None:
        return []
    masks = [Mask(0, 0, numbers == number) for number in np.unique(numbers[numbers > 0]).tolist()]
    return [polygon for mask in masks for polygon in mask_outlines(mask)]


def mask_outlines(mask: Mask) -> list[list[float]]:
    """Return the polygons x1, y1, x2, y2, ... of the parts of a mask, simplified by less than a pixel."""
    simple = [cv2.approxPolyDP(contour, _TOLERANCE, True).reshape(-1) for contour in mask.outline()]
    return [points.tolist() for points in simple if len(points) >= 6]


def mask_colours(labels: LabelFiles) -> tuple[tuple[str, str], ...]:
    """Return the objects and their colours #rrggbb."""
    colours = _colours()
    return tuple((f"object {number}", f"#{colours[number].tobytes().hex()}") for number in labels.objects)


def _colours() -> np.ndarray:
    """Return the colour of each number, (256, 3) uint8 RGB."""
    palette = davis_palette().astype(np.float64)
    return np.minimum(np.rint(palette * 255 / 191), 255).astype(np.uint8)


def _read(labels: LabelImages, index: int) -> np.ndarray | None:
    """Return the numbers of a label image, None if it is missing or damaged."""
    if labels.paths[index] is None:
        return None
    try:
        return labels.read(index)
    except (OSError, ValueError):
        return None


def _background(path: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        image = read_image(path)
    except (OSError, ValueError):
        image = None
    return image if image is not None and image.shape[:2] == shape else np.full((*shape, 3), _GREY, np.uint8)
