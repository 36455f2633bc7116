"""Raw data sets whose folders are annotated sequences; each layout has a module of its own.

A layout is two functions: the folders of its sequences below a root, and the frames of one folder. A frame's number is
its place in the sequence, counted from 0 over the annotated frames.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pysot.datasets.raw.video import RawFrame, RawVideo, describe, track_name, usable
from pysot.utils.numbers import listed_names, number_lines

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SequenceSet:
    """A raw data set as `RawSet`. find: root -> sequence folders; read: folder, counts -> frames; shape: what a root
    looks like; reach: FRAME_RANGE of the config.
    """

    name: str
    find: Callable[[Path], list[Path]]
    read: Callable[[Path, Counter], list[RawFrame]]
    shape: str
    reach: int = 100

    def splits(self, root: Path) -> list[str]:
        """All sequences are for training."""
        return ["train"]

    def videos(
        self, root: Path, split: str, counts: Counter, only: Collection[str] = (), excluded: Collection[str] = ()
    ) -> Iterator[RawVideo]:
        """All sequences, or those named in `only`, without those in `excluded`.

        A sequence that can't be read is named in the log, counted and left out. Raises ValueError for a wrong root,
        unknown names (they are known before the sequences are read), or when none is left.
        """
        folders = unique_names(self.find(Path(root)), Path(root))
        if not folders:
            raise ValueError(f"no {self.name} sequence in {Path(root).absolute()}; expected {self.shape}")
        unknown = sorted({*only, *excluded} - set(folders))
        if unknown:
            raise ValueError(f"no sequence {', '.join(unknown)} in {root}; there are {', '.join(sorted(folders))}")
        chosen = [name for name in folders if name not in excluded and (not only or name in only)]
        found = 0
        for name in chosen:
            try:
                frames = self.read(folders[name], counts)
            except (OSError, ValueError) as error:
                logger.warning("sequence %s is left out: %s", name, error)
                counts["unreadable sequences"] += 1
                continue
            found += bool(frames)
            if frames:
                yield RawVideo(name, tuple(frames))
        if not found:
            raise ValueError(
                f"none of the {len(chosen)} chosen {self.name} sequences in {root} has a usable box "
                f"(left out: {describe(counts)})"
            )


def unique_names(folders: list[Path], root: Path) -> dict[str, Path]:
    """Folders by the names of their videos: their own, or where several have the same, in classes or parts, the path below the root."""
    known = Counter(folder.name for folder in folders)
    return {folder.name if known[folder.name] == 1 else _below(folder, root): folder for folder in folders}


def _below(folder: Path, root: Path) -> str:
    return "/".join(part for part in folder.relative_to(root).parts if part != "frames")


def folders_with(root: Path, entry: str) -> list[Path]:
    """Folders below root that have `entry` (a pattern), in the order of list.txt if there is one."""
    if (root / "list.txt").is_file():
        listed = [root / name for name in listed_names(root / "list.txt")]
        for folder in listed:
            if not folder.is_dir():
                logger.warning("sequence %s is left out: list.txt names it, but there is no %s", folder.name, folder)
        return [folder for folder in listed if folder.is_dir()]
    folders = root.iterdir() if root.is_dir() else ()
    return sorted(folder for folder in folders if folder.is_dir() and any(folder.glob(entry)))


def read_filled(path: Path, read: Callable[[Path], list[np.ndarray]] = number_lines) -> list[np.ndarray]:
    """The lines that `read` finds in a file. Raises what it raises, and ValueError for a file without any."""
    lines = read(path)
    if not lines:
        raise ValueError(f"{path} is empty; copy the data set again")
    return lines


def single_track(
    images: list[Path], rows: list, to_xyxy: Callable, counts: Counter, absent: Collection[int] = ()
) -> list[RawFrame]:
    """Frames of a single track from one line (or mask) per image; degenerate boxes are counted and give no frame.

    Raises ValueError for another number of lines than of images.
    """
    if len(images) != len(rows):
        raise ValueError(f"{len(images)} images, but {len(rows)} lines of ground truth; copy the sequence again")
    frames = []
    for number, (image, row) in enumerate(zip(images, rows, strict=True)):
        box = None if number in absent else to_xyxy(row)
        if box is not None and usable(box):
            frames.append(RawFrame(image, number, {track_name(0): box}))
        else:
            counts["absent" if number in absent else "degenerate"] += 1
    return frames


def xywh_to_xyxy(row: np.ndarray) -> tuple[float, float, float, float]:
    """The corners of a line x, y, width, height. Raises ValueError for another number of numbers."""
    if len(row) != 4:
        raise ValueError(f"expected x, y, width, height, got {row.tolist()}")
    x, y, w, h = row.tolist()
    return x, y, x + w, y + h
