"""Published folder layouts of one-pass sets whose ground truth is not beside the images.

These sets are UAV123, NFS, TC128 and TrackingNet.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Sequence
from pysot.toolkit.datasets.subsets import UAV123_STARTS
from pysot.utils.names import image_paths, images_for_lines
from pysot.utils.numbers import number_lines, parse_lines
from pysot.utils.progress import Bar

NFS_STEP = 8  # lines of the 240 Hz ground truth per frame at 30 Hz


@dataclass(frozen=True)
class Layout:
    """Folder layout of a set.

    `truth` is the pattern of ground-truth files below the root; images(path) returns the image folder of such a file;
    read(path) returns lines of x, y, width, height. first(name) returns the number of the image that the first line
    belongs to, None if it is the first image. `tree` describes the layout in error messages.
    """

    truth: str
    images: Callable[[Path], Path]
    tree: str
    read: Callable[[Path], list[np.ndarray]] = number_lines
    first: Callable[[str], int | None] = lambda name: None

    def name(self, path: Path) -> str:
        """Return the name of the sequence whose ground truth is at `path`."""
        return path.stem.removesuffix("_gt")


def _uav(folder: str, annotation: str, step: int = 1) -> Layout:
    """Layout of UAV123 and its variants, where several sequences may be parts of one video.

    bird1_2 begins at image 775 of bird1; at 10 Hz, which has every third image (`step`), it begins at 259.
    """

    def images(path: Path) -> Path:
        own = path.parents[2] / "data_seq" / folder / path.stem
        if own.is_dir() or path.stem not in UAV123_STARTS:
            return own
        return own.with_name(re.sub(r"_\d+$", "", path.stem))

    def first(name: str) -> int | None:
        return (UAV123_STARTS[name] - 1) // step + 1 if name in UAV123_STARTS else None

    return Layout(
        f"anno/{annotation}/*.txt",
        images,
        f"data_seq/{folder}/<video>/000001.jpg, anno/{annotation}/<sequence>.txt",
        first=first,
    )


def _read_nfs(path: Path) -> list[np.ndarray]:
    """Read the boxes of lines with id, x1, y1, x2, y2, frame, flags and a label."""
    return parse_lines(path, _nfs_box)


def _nfs_box(line: str) -> np.ndarray:
    try:
        x1, y1, x2, y2 = map(float, line.split()[1:5])
    except ValueError:
        raise ValueError(f"needs an id, x1 y1 x2 y2 and flags, got {line.strip()[:60]!r}") from None
    return np.array([x1, y1, x2 - x1, y2 - y1])


def _nfs(rate: int) -> Layout:
    tree = f"<sequence>/{rate}/<sequence>.txt, <sequence>/{rate}/<sequence>/00001.jpg"
    return Layout(f"*/{rate}/*.txt", lambda path: path.parent / path.stem, tree, _read_nfs)


def _read_first_frame_number(path: Path) -> int | None:
    """Read the first of the two numbers in <sequence>_frames.txt (TC128)."""
    numbers = number_lines(path) if path.is_file() else []
    return int(numbers[0][0]) if numbers else None


# By name in lower case; the first layout that exists is used.
NATIVE_LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "uav123": (_uav("UAV123", "UAV123"),),
    "uav20l": (_uav("UAV123", "UAV20L"), _uav("UAV20L", "UAV20L")),
    "uav123_10fps": (_uav("UAV123_10fps", "UAV123_10fps", step=3),),
    "nfs30": (_nfs(30),),
    "nfs240": (_nfs(240),),
    "tc128": (
        Layout(
            "*/*_gt.txt",
            lambda path: path.parent / "img",
            "<sequence>/<sequence>_gt.txt, <sequence>_frames.txt, img/0001.jpg",
        ),
    ),
    "trackingnet": (
        Layout(
            "TEST/anno/*.txt",
            lambda path: path.parents[1] / "frames" / path.stem,
            "TEST/anno/<sequence>.txt, TEST/frames/<sequence>/0.jpg",
        ),
        Layout(
            "anno/*.txt",
            lambda path: path.parents[1] / "frames" / path.stem,
            "anno/<sequence>.txt, frames/<sequence>/0.jpg",
        ),
    ),
}


def native_files(name: str, roots: list[Path]) -> tuple[Layout, list[Path]] | None:
    """Return the first layout of the named set that exists in one of the roots, and its ground-truth files."""
    for layout in NATIVE_LAYOUTS.get(name.lower(), ()):
        for root in roots:
            files = sorted(root.glob(layout.truth))
            if any(layout.images(path).is_dir() for path in files):
                return layout, files
    return None


def read_native_layout(layout: Layout, files: list[Path], problems: list[str], bar: Bar) -> list[Sequence]:
    """Read the sequences of ground-truth files. Errors are appended to `problems`."""
    sequences = []
    for path in bar(files):
        name = layout.name(path)
        try:
            sequences.append(_sequence(layout, name, path))
        except (ValueError, OSError) as error:
            problems.append(str(error) if name in str(error) else f"{name}: {error}")
    return sequences


def _sequence(layout: Layout, name: str, path: Path) -> Sequence:
    frames, truth = image_paths(layout.images(path)), layout.read(path)
    if not frames:
        raise ValueError(f"{name}: no frames in {layout.images(path)}")
    first = layout.first(name) or _read_first_frame_number(path.with_name(f"{name}_frames.txt"))
    if first is not None:
        frames = images_for_lines(frames, len(truth), first)
    if layout.read is _read_nfs and abs(len(truth) / max(1, len(frames)) - NFS_STEP) < 1:
        truth = truth[::NFS_STEP]
    # some videos of NFS end with one frame or one line more
    if abs(len(truth) - len(frames)) == 1 and layout.read is _read_nfs:
        frames = images_for_lines(frames, len(truth))
        truth = truth[: len(frames)]
    return Sequence(name, frames, fill_hidden_truth(truth, len(frames)), None, None)


def fill_hidden_truth(truth: list[np.ndarray], frames: int) -> list[np.ndarray]:
    """Return ground truth for every frame, filled up with NaN if only the first box is published."""
    return truth + [np.full(4, np.nan)] * (frames - 1) if len(truth) == 1 < frames else truth
