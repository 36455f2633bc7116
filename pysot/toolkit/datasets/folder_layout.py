"""Folders of sequences that are tracked in one pass: OTB, LaSOT and GOT-10k.

A sequence folder has <video>/img/*.jpg and groundtruth_rect.txt (OTB; .1.txt and .2.txt are two targets, <video>-1 and
<video>-2), or groundtruth.txt (LaSOT; GOT-10k has its images without img/). Sequences may be grouped in class folders.
"""

import re
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.native_layout import fill_hidden_truth
from pysot.toolkit.datasets.sequence import Sequence
from pysot.utils.names import image_paths
from pysot.utils.numbers import number_lines
from pysot.utils.otb import drop_empty_files, pair_images_with_lines
from pysot.utils.progress import Bar, no_bar

TRUTH = ("groundtruth_rect*.txt", "groundtruth.txt")
LASOT_ABSENT = ("full_occlusion.txt", "out_of_view.txt")  # 1 in either file: a frame without the target


def sequence_folders(folder: Path, deep: bool) -> list[Path]:
    """Return the folders with ground truth in `folder`; with `deep`, also those one level further down."""
    levels = ("*", "*/*") if deep else ("*",)
    return sorted({path.parent for level in levels for name in TRUTH for path in folder.glob(f"{level}/{name}")})


def read_folder_layout(folders: list[Path], problems: list[str], bar: Bar = no_bar) -> list[Sequence]:
    """Read the sequences of folders with ground truth. Errors are appended to `problems`."""
    sequences = []
    origins: dict[str, Path] = {}  # by the name of the sequence
    for video in bar(folders):
        for path in drop_empty_files(path for pattern in TRUTH for path in video.glob(pattern)):
            target = re.search(r"\.(\d+)\.txt$", path.name)
            name = f"{video.name}-{target[1]}" if target else video.name
            if origins.setdefault(name, video) != video:
                problems.append(
                    f"{name}: two sequences have this name, that in {origins[name]} and that in {video}; rename one"
                )
                continue
            try:
                sequences.append(_sequence(name, video, path))
            except (ValueError, OSError) as error:
                problems.append(str(error) if name in str(error) else f"{name}: {error}")
    return sequences


def _sequence(name: str, video: Path, truth_path: Path) -> Sequence:
    frames = image_paths(video / "img") or image_paths(video)
    truth = number_lines(truth_path)
    if truth_path.name == "groundtruth.txt":
        truth = fill_hidden_truth(truth, len(frames))
    else:
        frames, truth = pair_images_with_lines(video.name, frames, truth)
    flags = [_flags(video / name, len(frames)) for name in LASOT_ABSENT if (video / name).is_file()]
    present = ~np.any(flags, axis=0) if flags else None
    visible = _visible(video, len(frames))
    return Sequence(name, frames, truth, *_size(video), present=present, visible=visible)


def _visible(video: Path, count: int) -> np.ndarray | None:
    """Read in which frames the target is visible: from cover.label of GOT-10k, else from absence.label, else None."""
    if (video / "cover.label").is_file():
        return _flags(video / "cover.label", count) > 0
    if (video / "absence.label").is_file():
        return _flags(video / "absence.label", count) == 0
    return None


def _flags(path: Path, count: int) -> np.ndarray:
    """Read one number for each of `count` frames, on one line or several. Raises ValueError for another count."""
    lines = number_lines(path)
    flags = np.concatenate(lines) if lines else np.empty(0)
    if len(flags) != count:
        raise ValueError(f"{path} has {len(flags)} flags for {count} frames; it needs one per frame")
    return flags


def _size(video: Path) -> tuple[int | None, int | None]:
    """Read width and height from meta_info.ini of GOT-10k, None without that file.

    The line is `resolution: (1920, 1080)`. Raises ValueError if it is missing.
    """
    path = video / "meta_info.ini"
    if not path.is_file():
        return None, None
    match = re.search(
        r"^resolution\s*[:=]\s*\(?\s*(\d+)\s*,\s*(\d+)",
        path.read_text(encoding="utf-8-sig", errors="replace"),
        re.MULTILINE,
    )
    if not match:
        raise ValueError(f"{path} needs a line such as resolution: (1920, 1080)")
    return int(match[1]), int(match[2])
