"""Folders of sequences that are tracked in one pass: OTB, LaSOT and GOT-10k.

<video>/img/*.jpg and groundtruth_rect.txt (OTB; .1.txt and .2.txt are two targets, <video>-1 and <video>-2), or groundtruth.txt (LaSOT; GOT-10k has its
images without img/). Videos may lie in folders of their classes.
"""

import re
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.native_layout import known_at_first
from pysot.toolkit.datasets.sequence import Sequence
from pysot.utils.names import image_paths
from pysot.utils.numbers import number_lines
from pysot.utils.otb import pair, with_boxes

TRUTH = ("groundtruth_rect*.txt", "groundtruth.txt")
LASOT_ABSENT = ("full_occlusion.txt", "out_of_view.txt")  # 1 in any of them: a frame without the target


def sequence_folders(folder: Path, deep: bool) -> list[Path]:
    """The folders with ground truth in `folder`, and, `deep`, in the folders in it."""
    found = {
        path.parent
        for depth in ("*", "*/*")[: 1 + deep]
        for pattern in TRUTH
        for path in folder.glob(f"{depth}/{pattern}")
    }
    return sorted(found)


def read_folder_layout(folders: list[Path], problems: list[str]) -> list[Sequence]:
    """The sequences in folders with ground truth. What is wrong is appended to `problems`."""
    sequences, origin = [], {}
    for video in folders:
        for path in with_boxes(path for pattern in TRUTH for path in video.glob(pattern)):
            target = re.search(r"\.(\d+)\.txt$", path.name)
            name = f"{video.name}-{target[1]}" if target else video.name
            if origin.setdefault(name, video) != video:
                problems.append(
                    f"{name}: two sequences have this name, that in {origin[name]} and that in {video}; rename one"
                )
                continue
            try:
                sequences.append(_sequence(name, video, path))
            except (ValueError, OSError) as error:
                problems.append(str(error) if name in str(error) else f"{name}: {error}")
    return sequences


def _sequence(name, video, truth_path):
    frames, truth = image_paths(video / "img") or image_paths(video), number_lines(truth_path)
    if truth_path.name == "groundtruth.txt":
        truth = known_at_first(truth, len(frames))
    else:
        frames, truth = pair(video.name, frames, truth)
    flags = [_flags(video / name, len(frames)) for name in LASOT_ABSENT if (video / name).is_file()]
    present = ~np.any(flags, axis=0) if flags else None
    visible = _visible(video, len(frames))
    return Sequence(name, frames, truth, *_size(video), present=present, visible=visible)


def _visible(video: Path, count: int) -> np.ndarray | None:
    """Frames in which some of the target can be seen: cover.label of GOT-10k, or else what absence.label leaves."""
    if (video / "cover.label").is_file():
        return _flags(video / "cover.label", count) > 0
    return _flags(video / "absence.label", count) == 0 if (video / "absence.label").is_file() else None


def _flags(path: Path, count: int) -> np.ndarray:
    """The numbers of a file, one for each of `count` frames, in lines or not. Raises ValueError for more or less."""
    lines = number_lines(path)
    flags = np.concatenate(lines) if lines else np.empty(0)
    if len(flags) != count:
        raise ValueError(f"{path} has {len(flags)} flags for {count} frames; it needs one for each")
    return flags


def _size(video: Path) -> tuple[int | None, int | None]:
    """Width and height as meta_info.ini of GOT-10k has them, resolution: (1920, 1080). Raises ValueError if they are not there."""
    path = video / "meta_info.ini"
    if not path.is_file():
        return None, None
    found = re.search(
        r"^resolution\s*[:=]\s*\(?\s*(\d+)\s*,\s*(\d+)",
        path.read_text(encoding="utf-8-sig", errors="replace"),
        re.MULTILINE,
    )
    if not found:
        raise ValueError(f"{path} needs a line such as resolution: (1920, 1080)")
    return int(found[1]), int(found[2])
