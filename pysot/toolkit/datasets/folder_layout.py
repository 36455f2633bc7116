"""Folders of sequences that are tracked in one pass: OTB, LaSOT and GOT-10k.

<video>/img/*.jpg and groundtruth_rect.txt (OTB; .1.txt and .2.txt are two targets, <video>-1 and <video>-2), or groundtruth.txt (LaSOT; GOT-10k has its
images without img/). Videos may lie in folders of their classes.
"""

import re
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.native_layout import known_at_first
from pysot.toolkit.datasets.raw_layout import frames_of, number_lines, part_of
from pysot.toolkit.datasets.subsets import OTB_FIRST
from pysot.toolkit.sequence import Sequence

TRUTH = ("groundtruth_rect*.txt", "groundtruth.txt")
# Frames without the target: any 1 in full_occlusion.txt and out_of_view.txt (LaSOT) or absence.label (GOT-10k).
ABSENT = ("full_occlusion.txt", "out_of_view.txt", "absence.label")


def sequence_folders(folder: Path, deep: bool) -> list[Path]:
    """The folders with ground truth in `folder`, and, `deep`, in the folders in it."""
    found = {path.parent for depth in ("*", "*/*")[:1 + deep] for pattern in TRUTH for path in folder.glob(f"{depth}/{pattern}")}
    return sorted(found)


def read_folder_layout(folders: list[Path], problems: list[str]) -> list[Sequence]:
    """The sequences in folders with ground truth. What is wrong is appended to `problems`."""
    sequences = []
    for video in folders:
        for path in sorted(path for pattern in TRUTH for path in video.glob(pattern)):
            target = re.search(r"\.(\d+)\.txt$", path.name)
            name = f"{video.name}-{target[1]}" if target else video.name
            try:
                sequences.append(_sequence(name, video, path))
            except (ValueError, OSError) as error:
                problems.append(str(error) if name in str(error) else f"{name}: {error}")
    return sequences


def _sequence(name, video, truth_path):
    frames, truth = frames_of(video / "img") or frames_of(video), number_lines(truth_path)
    if truth_path.name == "groundtruth.txt":
        truth = known_at_first(truth, len(frames))
    if len(frames) > len(truth) and truth_path.name.startswith("groundtruth_rect"):  # OTB has videos with more images than lines
        frames = part_of(frames, len(truth), OTB_FIRST.get(video.name))
    flags = [np.concatenate(number_lines(video / name)) for name in ABSENT if (video / name).is_file()]
    present = ~np.any(flags, axis=0) if flags else None
    return Sequence(name, frames, truth, None, None, present=present)
