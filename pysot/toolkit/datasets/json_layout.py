"""The benchmark json of pysot: {video: {video_dir, init_rect, img_names, gt_rect, <tags>, width, height}}."""

import os
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.settings import VOT_TAGS
from pysot.toolkit.sequence import Sequence
from pysot.utils.files import read_json
from pysot.utils.image import image_size


def read_json_layout(path: Path, folders: list[Path], problems: list[str], one_pass: bool = False, unbounded: bool = False) -> list[Sequence]:
    """Sequences of the json at `path`; frames are below the first of `folders` that has them. What is wrong is appended to `problems`. Those of one-pass sets
    have no sizes, which nothing needs; `unbounded`: sizes that are neither in the json nor on the disk are left out.
    """
    meta = read_json(path, "data set")
    if not isinstance(meta, dict) or not meta:
        problems.append(f"{path.name} holds no object of videos (got {type(meta).__name__})")
        return []
    folder = _frame_folder(meta, folders)
    sequences = []
    for name, video in meta.items():
        try:
            sequences.append(_sequence(name, video, folder, one_pass, unbounded))
        except (ValueError, TypeError, OverflowError, OSError) as error:
            problems.append(str(error) if name in str(error) else f"{name}: {error}")
    return sequences


def _frame_folder(meta, folders) -> str:
    """The first folder with the first video in it; where no frames are on the disk, the first that exists."""
    first = next(iter(meta.values()))
    inside = first.get("video_dir", "") if isinstance(first, dict) else ""
    for folder in folders:
        if isinstance(inside, str) and inside and os.path.isdir(folder / inside):
            return str(folder)
    return str(next((folder for folder in folders if folder.is_dir()), folders[0]))


def _sequence(name, video, folder, one_pass, unbounded):
    if not isinstance(video, dict) or not {"img_names", "gt_rect"} <= video.keys():
        got = sorted(video) if isinstance(video, dict) else type(video).__name__
        raise ValueError(f"{name}: needs the keys img_names and gt_rect, has {got}")
    odd = [image for image in video["img_names"] if not isinstance(image, str)]
    if odd:
        raise ValueError(f"{name}: img_names needs names of files, got {odd[0]!r}")
    inside = os.path.join(folder, "")  # joined once: LaSOT has 700 thousand images
    frames = [image if image.startswith(os.sep) else inside + image for image in video["img_names"]]
    attributes = tuple(video.get("attr") or ())
    if one_pass:
        present = None if video.get("absent") is None else np.asarray(video["absent"]) != 0  # pysot's word for: 1 where the target is there
        return Sequence(name, frames, video["gt_rect"], None, None, attributes=attributes, present=present)
    if "width" in video and "height" in video:
        width, height = video["width"], video["height"]
    elif unbounded and not (frames and os.path.isfile(frames[0])):
        width = height = None
    else:
        width, height = image_size(frames[0]) if frames else (1, 1)
    tags = {tag: video[tag] for tag in VOT_TAGS if tag in video}
    anchors = tuple((frame, sign < 0) for sign in (1, -1) for frame, value in enumerate(video.get("anchor", ())) if value * sign > 0)
    return Sequence(name, frames, video["gt_rect"], width, height, tags, attributes, anchors=anchors)
