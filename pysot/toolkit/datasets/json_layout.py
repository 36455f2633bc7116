"""The benchmark json of pysot: {video: {video_dir, init_rect, img_names, gt_rect, <tags>, width, height}}."""

import os
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.native_layout import known_at_first
from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.datasets.settings import VOT_TAGS, is_got_10k, protocol_of
from pysot.utils.files import read_json
from pysot.utils.image import image_size


def read_json_layout(name: str, path: Path, folders: list[Path], problems: list[str]) -> tuple[str, list[Sequence]]:
    """The protocol of the set `name`, whose json is at `path`, and its sequences; frames are below the first of `folders` that has them. What is wrong is
    appended to `problems`. Those of one-pass sets have sizes where these count, GOT-10k's; of long-term sets, where they are in the json or on the disk.
    """
    meta = read_json(path, "data set")
    if not isinstance(meta, dict) or not meta:
        problems.append(f"{path.name} holds no object of videos (got {type(meta).__name__})")
        return "one pass", []
    videos = [video for video in meta.values() if isinstance(video, dict)]
    tags, anchors = (
        any(tag in video for video in videos for tag in VOT_TAGS),
        any(any(video.get("anchor") or ()) for video in videos),
    )
    protocol = protocol_of(name, tags, anchors)
    folder = _frame_folder(meta, folders)
    sequences = []
    for video_name, video in meta.items():
        try:
            sequences.append(_sequence(video_name, video, folder, protocol, is_got_10k(name)))
        except (ValueError, TypeError, OverflowError, OSError) as error:
            problems.append(str(error) if video_name in str(error) else f"{video_name}: {error}")
    return protocol, sequences


def _frame_folder(meta, folders) -> str:
    """The first folder with the first video in it; where no frames are on the disk, the first that exists."""
    first = next(iter(meta.values()))
    inside = first.get("video_dir", "") if isinstance(first, dict) else ""
    for folder in folders:
        if isinstance(inside, str) and inside and os.path.isdir(folder / inside):
            return str(folder)
    return str(next((folder for folder in folders if folder.is_dir()), folders[0]))


def _sequence(name, video, folder, protocol, got_10k):
    if not isinstance(video, dict) or "img_names" not in video or not {"gt_rect", "init_rect"} & video.keys():
        got = sorted(video) if isinstance(video, dict) else type(video).__name__
        raise ValueError(f"{name}: needs the keys img_names and gt_rect, has {got}")
    odd = [image for image in video["img_names"] if not isinstance(image, str)]
    if odd:
        raise ValueError(f"{name}: img_names needs names of files, got {odd[0]!r}")
    inside = os.path.join(folder, "")  # joined once: LaSOT has 700 thousand images
    frames = [image if image.startswith(os.sep) else inside + image for image in video["img_names"]]
    attributes = video.get("attr") or ()
    attributes = (attributes,) if isinstance(attributes, str) else tuple(attributes)
    if protocol == "one pass":
        size, present, visible = (
            _size(video, frames) if got_10k else (None, None),
            _flags(video, "absent"),
            _flags(video, "cover"),
        )
        if got_10k:
            absence = _flags(video, "absence")
            present, visible = (
                None,
                next(
                    (flags for flags in (visible, None if absence is None else ~absence, present) if flags is not None),
                    None,
                ),
            )
        return Sequence(
            name,
            frames,
            _one_pass_truth(video, len(frames)),
            *size,
            attributes=attributes,
            present=present,
            visible=visible,
        )
    width, height = _size(video, frames) if frames else (1, 1)
    if width is None and protocol != "longterm":
        raise ValueError(
            f"{name}: the size of its images is needed: give it the keys width and height, or put its first frame at {frames[0]}"
        )
    tags = {tag: video[tag] for tag in VOT_TAGS if tag in video}
    anchors = tuple(
        (frame, sign < 0)
        for sign in (1, -1)
        for frame, value in enumerate(video.get("anchor") or ())
        if value * sign > 0
    )
    return Sequence(name, frames, video["gt_rect"], width, height, tags, attributes, anchors=anchors)


def _flags(video, key: str) -> np.ndarray | None:
    """Where a list of the json is not 0, None where it has no such list. pysot's `absent` is 1 where the target is present."""
    return None if video.get(key) is None else np.nan_to_num(np.asarray(video[key], np.float64)) != 0


def _size(video, frames) -> tuple:
    """Width and height, None where they are neither in the json nor on the disk."""
    if "width" in video and "height" in video:
        return video["width"], video["height"]
    return image_size(frames[0]) if frames and os.path.isfile(frames[0]) else (None, None)


def _one_pass_truth(video, frames: int) -> list:
    """A box for each frame, NaN after the first where only that is handed out: gt_rect has it alone, in a list or without one, or there is init_rect only."""
    truth = video.get("gt_rect") or [video["init_rect"]]
    if len(truth) in (4, 8) and all(isinstance(number, (int, float)) for number in truth):
        truth = [truth]
    if None in truth:
        truth = [[np.nan] * 4 if region is None else region for region in truth]
    return known_at_first([np.asarray(region, np.float64) for region in truth], frames) if len(truth) == 1 else truth
