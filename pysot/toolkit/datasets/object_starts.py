"""Objects of a sequence with masks, and the frames on which trackers start."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.label_files import LabelImages
from pysot.utils.vos_meta import META, read_vos_meta

_MAX_NAMED = 3  # objects in a sentence
_YOUTUBE_STEP = 5  # YouTube-VOS annotates every fifth frame, and has a set of all frames


def find_objects(
    video: str, labels: LabelImages, frames: Iterable[int], size: tuple[int, int], remarks: list[str]
) -> dict[int, int]:
    """Return {number: first frame, from 0, with a pixel of it} of the objects in the label images of `frames`.

    Numbers below the highest that have no pixel are a sentence of `remarks`. `size` is width and height of the frames.
    Raises ValueError or OSError for an image that cannot be used, and ValueError if there is no object.
    """
    starts: dict[int, int] = {}
    frames = list(frames)
    for index in frames:
        for number in _numbers(labels, index, size):
            starts.setdefault(number, index)
    first = labels.paths[frames[0]]
    if not starts:
        raise ValueError(f"mask {first} is empty: it has no object that a tracker could start on")
    unseen = [number for number in range(1, max(starts)) if number not in starts]
    if unseen:
        where = f"mask {first}" + (f" and {len(frames) - 1} later ones" if len(frames) > 1 else "")
        which, have, they = ("object", "has", "it is") if len(unseen) == 1 else ("objects", "have", "they are")
        listed = ", ".join(map(str, unseen[:_MAX_NAMED])) + (" ..." if len(unseen) > _MAX_NAMED else "")
        remarks.append(f"{video}: {which} {listed} {have} no pixel in {where}, so {they} never tracked")
    return dict(sorted(starts.items()))


def _numbers(labels: LabelImages, index: int, size: tuple[int, int]) -> list[int]:
    """Return the numbers of the objects that have a pixel on a frame."""
    pixels = labels.read_of_size(index, *size)
    return (np.flatnonzero(np.bincount(pixels.ravel(), minlength=2)[1:]) + 1).tolist()


def described_objects(root: Path, video: str, stems: list[str]) -> dict[int, list[int]]:
    """Return {number: frames, from 0} of the objects that the meta.json of a set names; empty without such a file.

    `stems` are the names of the video's frames. Raises ValueError for a video or a frame that is not described.
    """
    path = root / META
    if not path.is_file():
        return {}
    objects = read_vos_meta(root).get(video)
    if not isinstance(objects, dict) or not objects:
        raise ValueError(f"{path} does not have the objects of video {video}; download both again")
    indices = {stem: index for index, stem in enumerate(stems)}
    described: dict[int, list[int]] = {}
    for key, item in objects.items():
        frames = item.get("frames") if isinstance(item, dict) else None
        names = frames if isinstance(frames, list) and all(isinstance(name, str) for name in frames) else []
        if not key.isdecimal() or not names:
            raise ValueError(f"{path}: object {key} of video {video} needs a number and a list of frames, got {item!r}")
        missing = [name for name in names if name not in indices]
        if missing:
            raise ValueError(f"{path}: object {key} of video {video} is on frame {missing[0]}, which does not exist")
        described[int(key)] = sorted(indices[name] for name in names)
    return dict(sorted(described.items()))


def check_described(
    video: str, labels: LabelImages, described: dict[int, list[int]], size: tuple[int, int], remarks: list[str]
) -> dict[int, int]:
    """Return {number: first frame} of the described objects that have a mask there; the others are in `remarks`.

    Raises ValueError or OSError for an image that cannot be used, and ValueError if there is no object.
    """
    starts: dict[int, int] = {}
    present = {
        index: _numbers(labels, index, size) if labels.paths[index] else []
        for index in {frames[0] for frames in described.values()}
    }
    for number, frames in described.items():
        if number in present[frames[0]]:
            starts[number] = frames[0]
        else:
            where = labels.paths[frames[0]] or f"frame {frames[0] + 1}, which has no mask"
            remarks.append(f"{video}: object {number} of {META} has no pixel in {where}, so it is never tracked")
    if not starts:
        raise ValueError(
            f"none of the objects in {META} has a mask to start on: {'; '.join(remarks[-len(described) :])}"
        )
    return starts


def frames_for_server(stems: list[str], described: dict[int, list[int]]) -> tuple[int, ...]:
    """Return the frames, from 0, whose masks the server takes: all, or every fifth of YouTube-VOS's set of all frames.

    It is that set if meta.json names only frames whose numbers divide by five, and there are others.
    """
    everything = tuple(range(len(stems)))
    if not described or not all(stem.isdecimal() for stem in stems):
        return everything
    fifth = tuple(index for index in everything if int(stems[index]) % _YOUTUBE_STEP == 0)
    return fifth if set().union(*described.values()) <= {*fifth} else everything
