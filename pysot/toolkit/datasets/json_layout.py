"""Benchmark JSON of pysot: {video: {video_dir, init_rect, img_names, gt_rect, <tags>, width, height}}."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from pysot.toolkit.datasets.native_layout import fill_hidden_truth
from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.datasets.settings import VOT_TAGS, is_got_10k, protocol_of
from pysot.utils.files import read_json
from pysot.utils.image import image_size
from pysot.utils.progress import Bar


def read_json_layout(
    name: str, path: Path, folders: list[Path], problems: list[str], bar: Bar
) -> tuple[str, list[Sequence]]:
    """Read the protocol and the sequences of the set `name` from the JSON at `path`.

    Frames are below the first of `folders` that has them. Errors are appended to `problems`. Sequences of one-pass sets
    have a frame size only where scores depend on it (GOT-10k); those of long-term sets have one if it is in the JSON or
    if the first frame is on the disk.
    """
    meta = read_json(path, "data set")
    if not isinstance(meta, dict) or not meta:
        problems.append(f"{path.name} needs a non-empty object of videos, got {type(meta).__name__}")
        return "one pass", []
    videos = [video for video in meta.values() if isinstance(video, dict)]
    has_tags = any(tag in video for video in videos for tag in VOT_TAGS)
    has_anchors = any(any(video.get("anchor") or ()) for video in videos)
    protocol = protocol_of(name, has_tags, has_anchors)
    folder = _frame_folder(meta, folders)
    sequences = []
    for video_name, video in bar(meta.items()):
        try:
            sequences.append(_sequence(video_name, video, folder, protocol, is_got_10k(name)))
        except (ValueError, TypeError, OverflowError, OSError) as error:
            problems.append(str(error) if video_name in str(error) else f"{video_name}: {error}")
    return protocol, sequences


def _frame_folder(meta: dict[str, Any], folders: list[Path]) -> str:
    """Return the first folder that contains the first video; without frames on the disk, the first that exists."""
    first = next(iter(meta.values()))
    video_dir = first.get("video_dir", "") if isinstance(first, dict) else ""
    for folder in folders:
        if isinstance(video_dir, str) and video_dir and os.path.isdir(folder / video_dir):
            return str(folder)
    return str(next((folder for folder in folders if folder.is_dir()), folders[0]))


def _sequence(name: str, video: Any, folder: str, protocol: str, got_10k: bool) -> Sequence:
    if not isinstance(video, dict) or "img_names" not in video or not {"gt_rect", "init_rect"} & video.keys():
        got = sorted(video) if isinstance(video, dict) else type(video).__name__
        raise ValueError(f"{name}: needs the keys img_names and gt_rect, has {got}")
    invalid = [image for image in video["img_names"] if not isinstance(image, str)]
    if invalid:
        raise ValueError(f"{name}: img_names needs file names, got {invalid[0]!r}")
    prefix = os.path.join(folder, "")  # joined once: LaSOT has 700 thousand images
    frames = [image if image.startswith(os.sep) else prefix + image for image in video["img_names"]]
    attributes = video.get("attr") or ()
    attributes = (attributes,) if isinstance(attributes, str) else tuple(attributes)
    if protocol == "one pass":
        width, height = _size(video, frames) if got_10k else (None, None)
        present, visible = _one_pass_flags(video, got_10k)
        truth = _one_pass_truth(video, len(frames))
        return Sequence(name, frames, truth, width, height, attributes=attributes, present=present, visible=visible)
    width, height = _size(video, frames) if frames else (1, 1)
    if width is None and protocol != "longterm":
        raise ValueError(
            f"{name}: the size of its images is needed: give it the keys width and height, "
            f"or put its first frame at {frames[0]}"
        )
    tags = {tag: video[tag] for tag in VOT_TAGS if tag in video}
    anchors = tuple(
        (frame, sign < 0)
        for sign in (1, -1)
        for frame, value in enumerate(video.get("anchor") or ())
        if value * sign > 0
    )
    return Sequence(name, frames, video["gt_rect"], width, height, tags, attributes, anchors=anchors)


def _one_pass_flags(video: dict[str, Any], got_10k: bool) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Read `present` and `visible` of a Sequence. GOT-10k has `visible` only, from the first of three keys that exists.

    The key `absent` of pysot is 1 where the target is present.
    """
    present, visible = _flags(video, "absent"), _flags(video, "cover")
    if not got_10k:
        return present, visible
    absence = _flags(video, "absence")
    if visible is not None:
        return None, visible
    return None, present if absence is None else ~absence


def _flags(video: dict[str, Any], key: str) -> np.ndarray | None:
    """Return where a list of the JSON is not 0, None if the key is missing."""
    return None if video.get(key) is None else np.nan_to_num(np.asarray(video[key], np.float64)) != 0


def _size(video: dict[str, Any], frames: list[str]) -> tuple[int | None, int | None]:
    """Return width and height from the JSON or from the first frame, (None, None) if both are missing."""
    if "width" in video and "height" in video:
        return video["width"], video["height"]
    return image_size(frames[0]) if frames and os.path.isfile(frames[0]) else (None, None)


def _one_pass_truth(video: dict[str, Any], frames: int) -> list[np.ndarray]:
    """Return one box per frame, NaN after the first where only the first is published.

    That first box is the only one in gt_rect, with or without a list around it, or it is in init_rect.
    """
    truth = video.get("gt_rect") or [video["init_rect"]]
    if len(truth) in (4, 8) and all(isinstance(number, (int, float)) for number in truth):
        truth = [truth]
    if None in truth:
        truth = [[np.nan] * 4 if region is None else region for region in truth]
    if len(truth) == 1:
        return fill_hidden_truth([np.asarray(region, np.float64) for region in truth], frames)
    return truth
