"""Build the part of a report about a sequence: values, overlap by frame, frames to play, pictures around losses."""

import os
from collections.abc import Mapping

import numpy as np

from pysot.toolkit.content.page_tables import PageTable, page_table, tracker_cell, value_cell
from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.protocol import Scores, Timeline
from pysot.toolkit.report.draw_page import page_figures
from pysot.toolkit.report.mask_pictures import label_outlines, mask_colours, mask_outlines, mask_pictures, mask_strip
from pysot.toolkit.report.page_parts import Picture, Player, SequencePart, Strip, picture
from pysot.toolkit.report.score_plots import sequence_plot
from pysot.toolkit.report.styles import style_of
from pysot.utils.image import image_size, read_image
from pysot.utils.masks import Mask
from pysot.utils.visualize import TRUTH, draw_label, draw_outline, draw_region

STRIP_OFFSETS = (-8, -4, 0, 4)  # frames of a strip, relative to the loss
# Per sequence and tracker. VOT's sequences have fewer losses, long one-pass sequences may have hundreds.
MAX_STRIPS = 10
MOST_STRIPS = 60  # of a sequence, shared by the trackers; the best ones come first
MAX_LABEL_FRAMES = 40  # of a sequence with masks of objects that can be played
TRUTH_PLACE = -1  # of the ground truth among the outlines of a player


def sequence_part(scores: Scores, sequence: Sequence, key: str, most_frames: int | None) -> SequencePart:
    """Return the part about a sequence on which a tracker has a timeline.

    Its player has `most_frames` frames at most, evenly spaced; None stands for all of them.
    """
    timelines = scores.timelines(sequence.name)
    places = {score.name: place for place, score in enumerate(scores.scored)}
    most = max(1, min(MAX_STRIPS, MOST_STRIPS // len(timelines)))
    shown = list(timelines)[:MOST_STRIPS]
    strips = [strip for name in shown for strip in _strips(sequence, timelines, places, name, most)]
    if strips and len(shown) < len(timelines):
        strips.append(
            Strip(note=f"The losses of the other {len(timelines) - len(shown)} trackers have no pictures here.")
        )
    return SequencePart(
        key,
        sequence.name,
        len(sequence),
        _values(scores, sequence.name, places),
        page_figures(sequence_plot(scores, sequence.name))[0],
        tuple(strips),
        mask_colours(sequence.labels) if strips and sequence.labels else (),
        _player(sequence, timelines, places, most_frames),
    )


def _values(scores: Scores, name: str, places: Mapping[str, int]) -> PageTable:
    """Return the table of each tracker's values on a sequence."""
    values = {score.name: score.by_video[name] for score in scores.scored if name in score.by_video}
    columns = list(next(iter(values.values()), {}))
    rows = [
        [
            tracker_cell(tracker, places[tracker]),
            *(value_cell(column, row[column]) for column in columns),
        ]
        for tracker, row in values.items()
    ]
    return page_table(name, ["tracker", *columns], rows)


def _strips(
    sequence: Sequence, timelines: Mapping[str, Timeline], places: Mapping[str, int], name: str, most: int
) -> list[Strip]:
    """Return `most` strips of a tracker's losses and a note on further ones; of masks, a strip of all frames first."""
    losses = timelines[name].losses
    strips = mask_strip(sequence, timelines[name], name) if sequence.labels else []
    for loss in losses[:most]:
        strips += _strip(sequence, timelines, places, name, loss)
    if strips and len(losses) > most:
        strips.append(Strip(note=f"{len(losses) - most} more losses of {name} have no pictures here."))
    return strips


def _strip(
    sequence: Sequence, timelines: Mapping[str, Timeline], places: Mapping[str, int], name: str, loss: int
) -> list[Strip]:
    """Return frames around a loss with the ground truth and all trackers; a note where a frame cannot be read.

    Masks are those of the tracker that lost its objects. Without frames on the disk there is no strip.
    """
    frames = sorted({min(max(loss + offset, 0), len(sequence) - 1) for offset in STRIP_OFFSETS})
    lost = "all objects" if sequence.labels and len(sequence.labels.objects) > 1 else "it"
    title = f"{name} loses {lost} at frame {loss + 1}"
    if sequence.labels:
        pictures = mask_pictures(sequence, timelines[name], frames, loss)
    elif not any(os.path.isfile(sequence.frame_paths[index]) for index in frames):
        return []
    else:
        try:
            pictures = [_picture(sequence, timelines, places, index, name if index == loss else "") for index in frames]
        except (OSError, ValueError) as error:
            return [Strip(title, note=f"No pictures: {error}")]
    return [Strip(title, tuple(pictures))] if pictures else []


def _picture(
    sequence: Sequence, timelines: Mapping[str, Timeline], places: Mapping[str, int], index: int, loser: str
) -> Picture:
    """Return a frame with the regions of the ground truth and all trackers. Raises as `read_image`."""
    image = read_image(sequence.frame_paths[index])
    _draw(image, sequence.masks.get(index), sequence.ground_truth[index], TRUTH, 3)
    for name, timeline in timelines.items():
        if timeline.regions is not None:
            region = timeline.regions[index][np.isfinite(timeline.regions[index])]
            if len(region):
                _draw(image, timeline.masks.get(index), region, _bgr(places[name]), 2)
    if loser:
        draw_label(image, "lost", (6, 0), _bgr(places[loser]))
    return picture(image, f"frame {index + 1}")


def _draw(image: np.ndarray, mask: Mask | None, region: np.ndarray, colour: tuple[int, int, int], width: int) -> None:
    """Draw the outline of a mask on an image, or without a mask a region."""
    if mask is None:
        draw_region(image, region, colour, thickness=width)
    else:
        draw_outline(image, mask, colour, width)


def _bgr(place: int) -> tuple[int, int, int]:
    colour = style_of(place).colour
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)


def _player(
    sequence: Sequence, timelines: Mapping[str, Timeline], places: Mapping[str, int], most_frames: int | None
) -> Player | None:
    """Return the frames with all outlines; None without a first frame."""
    try:
        size = image_size(sequence.frame_paths[0])
    except (OSError, ValueError):
        return None
    if sequence.labels:  # label images take their time to read
        most_frames = min(most_frames or MAX_LABEL_FRAMES, MAX_LABEL_FRAMES)
    count = len(sequence) if most_frames is None else min(len(sequence), most_frames)
    frames = np.unique(np.linspace(0, len(sequence) - 1, count).round().astype(int)).tolist()
    outlines = {}
    if sequence.labels:
        outlines[TRUTH_PLACE] = [label_outlines(sequence.labels, index) for index in frames]
    else:
        outlines[TRUTH_PLACE] = [_outlines(sequence.masks.get(i), sequence.ground_truth[i]) for i in frames]
    for name, timeline in timelines.items():
        if timeline.labels:
            outlines[places[name]] = [label_outlines(timeline.labels, index) for index in frames]
        elif timeline.regions is not None:
            outlines[places[name]] = [_outlines(timeline.masks.get(i), timeline.regions[i]) for i in frames]
    paths = tuple(sequence.frame_paths[index] for index in frames)
    return Player(paths, tuple(index + 1 for index in frames), size, outlines)


def _outlines(mask: Mask | None, region: np.ndarray) -> list[list[float]]:
    """Return the polygons x1, y1, x2, y2, ... of a region in pixels, none without a region."""
    if mask is not None:
        return mask_outlines(mask)
    numbers = region[np.isfinite(region)]
    if len(numbers) == 4:
        x, y, width, height = numbers
        numbers = np.array([x, y, x + width, y, x + width, y + height, x, y + height])
    return [np.round(numbers, 1).tolist()] if len(numbers) == 8 else []
