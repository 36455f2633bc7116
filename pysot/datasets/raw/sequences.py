"""Raw data sets whose folders are annotated sequences; each layout has its own module.

A layout is two functions: one finds the folders of its sequences below a root, the other reads the frames of one
folder. A frame's number is its index in the sequence, counted from 0 over the annotated frames.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pysot.datasets.raw.video import Box, RawFrame, RawVideo, format_counts, is_valid_box, track_name
from pysot.utils.numbers import listed_names, number_lines

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SequenceSet:
    """Raw data set of annotated sequences, with the interface of `RawSet`.

    `find_folders(root)` lists the sequence folders. `read_frames(folder, counts)` reads one of them, with masks if the
    set `has_masks`. `layout` describes the files below a root. `frame_range` is FRAME_RANGE of the config.
    """

    name: str
    find_folders: Callable[[Path], list[Path]]
    read_frames: Callable[[Path, Counter], list[RawFrame]]
    layout: str
    frame_range: int = 100
    has_masks: bool = False

    def splits(self, root: Path) -> list[str]:
        """Return the only split: all sequences are for training."""
        return ["train"]

    def videos(
        self,
        root: Path,
        split: str,
        counts: Counter,
        only: Collection[str] = (),
        excluded: Collection[str] = (),
        with_masks: bool = False,
    ) -> Iterator[RawVideo]:
        """Yield the sequences: all, or those named in `only`; never those named in `excluded`.

        A set that has masks yields them in any case, since it reads boxes from them: `with_masks` changes nothing. An
        unreadable sequence is logged, counted and left out. Raises ValueError for a wrong root, for unknown names
        (before any sequence is read), and when no sequence remains.
        """
        folders = unique_names(self.find_folders(Path(root)), Path(root))
        if not folders:
            raise ValueError(f"no {self.name} sequence in {Path(root).absolute()}; expected {self.layout}")
        unknown = sorted({*only, *excluded} - set(folders))
        if unknown:
            raise ValueError(f"no sequence {', '.join(unknown)} in {root}; there are {', '.join(sorted(folders))}")
        chosen = [name for name in folders if name not in excluded and (not only or name in only)]
        yielded = 0
        for name in chosen:
            try:
                frames = self.read_frames(folders[name], counts)
            except (OSError, ValueError) as error:
                logger.warning("sequence %s is left out: %s", name, error)
                counts["unreadable sequences"] += 1
                continue
            yielded += bool(frames)
            if frames:
                yield RawVideo(name, tuple(frames))
        if not yielded:
            raise ValueError(
                f"none of the {len(chosen)} chosen {self.name} sequences in {root} has a usable box "
                f"(left out: {format_counts(counts)})"
            )


def unique_names(folders: list[Path], root: Path) -> dict[str, Path]:
    """Return the folders by video name.

    The name is that of the folder. Folders with the same name (in classes or parts) are named by their path below the
    root.
    """
    known = Counter(folder.name for folder in folders)
    return {folder.name if known[folder.name] == 1 else _path_below(folder, root): folder for folder in folders}


def _path_below(folder: Path, root: Path) -> str:
    return "/".join(part for part in folder.relative_to(root).parts if part != "frames")


def folders_with(root: Path, pattern: str) -> list[Path]:
    """Return the folders below root that contain `pattern`, in the order of list.txt if there is one."""
    if (root / "list.txt").is_file():
        listed = [root / name for name in listed_names(root / "list.txt")]
        for folder in listed:
            if not folder.is_dir():
                logger.warning("sequence %s is left out: list.txt names it, but there is no %s", folder.name, folder)
        return [folder for folder in listed if folder.is_dir()]
    folders = root.iterdir() if root.is_dir() else ()
    return sorted(folder for folder in folders if folder.is_dir() and any(folder.glob(pattern)))


def read_lines(path: Path, read: Callable[[Path], list[np.ndarray]] = number_lines) -> list[np.ndarray]:
    """Return the lines that `read` finds in a file. Raises the errors of `read`, and ValueError if there are none."""
    lines = read(path)
    if not lines:
        raise ValueError(f"{path} is empty; copy the data set again")
    return lines


def single_track(
    images: Sequence[Path],
    rows: Sequence[Any],
    to_xyxy: Callable[[Any], Box | None],
    counts: Counter,
    absent: Collection[int] = (),
) -> list[RawFrame]:
    """Return the frames of a single track from one line (or mask) per image.

    Degenerate boxes are counted and give no frame. Raises ValueError if the numbers of lines and images differ.
    """
    if len(images) != len(rows):
        raise ValueError(f"{len(images)} images, but {len(rows)} lines of ground truth; copy the sequence again")
    frames = []
    for number, (image, row) in enumerate(zip(images, rows, strict=True)):
        box = None if number in absent else to_xyxy(row)
        if box is not None and is_valid_box(box):
            frames.append(RawFrame(image, number, {track_name(0): box}))
        else:
            counts["absent" if number in absent else "degenerate"] += 1
    return frames


def xywh_to_xyxy(row: np.ndarray) -> Box:
    """Return the corners of a line x, y, width, height. Raises ValueError unless it has 4 numbers."""
    if len(row) != 4:
        raise ValueError(f"expected x, y, width, height, got {row.tolist()}")
    x, y, w, h = row.tolist()
    return x, y, x + w, y + h
