"""Sets of object masks: DAVIS, YouTube-VOS, and any other folder with JPEGImages and Annotations.

JPEGImages has a folder of frames and Annotations a folder of label images for each sequence. In DAVIS, both have
resolutions, such as 480p, and ImageSets has lists of the sequences. In YouTube-VOS, meta.json says which objects a
sequence has and on which frames.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.label_files import LabelFiles, LabelImages
from pysot.toolkit.datasets.object_starts import check_described, described_objects, find_objects, frames_for_server
from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.datasets.subsets import SEQUENCE_COUNTS
from pysot.utils.image import image_size
from pysot.utils.label_images import is_black_and_white
from pysot.utils.names import image_paths, list_images
from pysot.utils.numbers import listed_names
from pysot.utils.progress import Bar

logger = logging.getLogger(__name__)
_FOLDERS = ("JPEGImages", "Annotations")
_RESOLUTIONS = ("480p", "Full-Resolution")
_TREE = """expected
  JPEGImages/480p/<sequence>/00000.jpg, Annotations/480p/<sequence>/00000.png, ImageSets/2017/val.txt   (DAVIS)
  JPEGImages/<sequence>/00000.jpg, Annotations/<sequence>/00000.png, meta.json                          (YouTube-VOS)
in {root}, or in a folder {folders} of it"""


@dataclass(frozen=True)
class _Part:
    """Part of a known set: the folders it may be in, and lists of its sequences, of which the first that exists counts.

    `first_only`: only objects on the first frame are tracked. `joined`: all objects are one.
    """

    folders: tuple[str, ...]
    lists: tuple[str, ...] = ()
    first_only: bool = False
    joined: bool = False


def _davis(year: int, part: str) -> _Part:
    lists = (f"ImageSets/{year}/{part}.txt", *([f"ImageSets/480p/{part}.txt"] if year == 2016 else []))
    return _Part(("DAVIS", f"DAVIS-{year}", ""), lists, first_only=True, joined=year == 2016)


_VALIDATION = _Part(("valid", "YouTube-VOS/valid", "YouTube-VOS", ""))
# By name in lower case.
OBJECT_SETS = {
    "davis2016": _davis(2016, "val"),
    "davis2016-train": _davis(2016, "train"),
    "davis2016-trainval": _davis(2016, "trainval"),
    "davis2017": _davis(2017, "val"),
    "davis2017-train": _davis(2017, "train"),
    "davis2017-test-dev": _davis(2017, "test-dev"),
    "davis2017-test-challenge": _davis(2017, "test-challenge"),
    "youtube-vos": _VALIDATION,
    "youtube-vos-2018": _VALIDATION,
    "youtube-vos-2019": _VALIDATION,
    "youtube-vos-test": _Part(("test", "YouTube-VOS/test", "YouTube-VOS", "")),
}


def is_object_set(name: str) -> bool:
    """Return whether the named set is a part of DAVIS or YouTube-VOS; upper and lower case are equal."""
    return name.lower() in OBJECT_SETS


def is_davis(name: str) -> bool:
    """Return whether the named set is a part of DAVIS, whose objects are those of the first frame."""
    return is_object_set(name) and OBJECT_SETS[name.lower()].first_only


def find_objects_root(name: str, root: Path) -> Path | None:
    """Return the folder of the named set that has Annotations; None if there is none.

    Sets of other names are in a folder of their name, which has JPEGImages too.
    """
    part = OBJECT_SETS.get(name.lower())
    parents = [root / name, *([root] if part or root.resolve().name == name else [])]
    folders = [parent / folder for folder in (part.folders if part else ("",)) for parent in parents]
    needed = ("Annotations",) if part else _FOLDERS
    return next((folder for folder in folders if all((folder / sub).is_dir() for sub in needed)), None)


def read_object_set(name: str, root: Path, bar: Bar) -> Dataset:
    """Read a set of object masks; of each sequence, the label images that trackers start on are opened.

    A sequence or an object that cannot be used is left out, which is logged and a remark of the set. Raises
    FileNotFoundError if there is no such set below `root`, ValueError if none of its sequences can be used.
    """
    part = OBJECT_SETS.get(name.lower(), _Part(("",)))
    folder = find_objects_root(name, root)
    if folder is None:
        raise FileNotFoundError(f"no data set {name} in {root}; {_tree(name, root, part)}")
    remarks: list[str] = []
    sequences = []
    for video in bar(_listed_sequences(name, folder, part)):
        try:
            sequences.append(_read_sequence(video, folder, part, remarks))
        except (ValueError, OSError) as error:
            remarks.append(f"sequence {video} is left out: {error}")
    if not sequences and not remarks:
        raise ValueError(f"data set {name} has no sequence in {folder}; {_tree(name, root, part)}")
    if not sequences:
        listed = "\n".join(f"  - {remark}" for remark in remarks)
        raise ValueError(f"data set {name} ({folder}) has no sequence that can be used:\n{listed}")
    expected = SEQUENCE_COUNTS.get(name.lower(), 0)
    if len(sequences) < expected:
        remarks.append(f"{name} has {expected} sequences, {len(sequences)} of them are here: scores cover these only")
    for remark in remarks:
        logger.warning("%s", remark)
    return Dataset(name, sequences, (), None, "objects", tuple(remarks))


def _tree(name: str, root: Path, part: _Part) -> str:
    folders = ", ".join(dict.fromkeys(sub for sub in (name, *part.folders) if sub))
    return _TREE.format(root=root, folders=folders)


def _listed_sequences(name: str, folder: Path, part: _Part) -> list[str]:
    """Return the names of the sequences in a list of the part, or without list of all that are annotated."""
    for path in (folder / file for file in part.lists):
        if path.is_file():
            return list(dict.fromkeys(map(_sequence_of_line, listed_names(path))))
    entries = _resolution(folder / "Annotations").iterdir()
    names = sorted(path.name for path in entries if path.is_dir() and not path.name.startswith("."))
    if part.lists:
        text = "%s: no %s in %s, so all %d sequences there are taken"
        logger.warning(text, name, " or ".join(part.lists), folder, len(names))
    return names


def _sequence_of_line(line: str) -> str:
    """Return the sequence that a line of a list names; in DAVIS 2016 it has the paths of a frame and its mask."""
    return line.split()[0].split("/")[-2] if "/" in line else line.strip()


def _resolution(folder: Path) -> Path:
    """Return the subfolder of a resolution if there is one, else the folder."""
    return next((folder / name for name in _RESOLUTIONS if (folder / name).is_dir()), folder)


def _read_sequence(video: str, folder: Path, part: _Part, remarks: list[str]) -> Sequence:
    """Read a sequence; sentences on objects that are left out are appended to `remarks`.

    Raises ValueError or OSError for a sequence that cannot be used.
    """
    images, annotations = (_resolution(folder / name) / video for name in _FOLDERS)
    files = {path.stem: path for path in list_images(annotations) if path.suffix.lower() == ".png"}
    if not files:
        raise ValueError(f"no mask in {annotations}; expected a png for each annotated frame, such as 00000.png")
    # existing results can be scored without frames
    frames = image_paths(images) if images.is_dir() else [str(images / f"{stem}.jpg") for stem in files]
    stems = [Path(frame).stem for frame in frames]
    _check_stems(stems, files, images)
    size = image_size(frames[0] if images.is_dir() else files[stems[0]])
    paths = [files.get(stem) for stem in stems]
    described = {} if part.first_only else described_objects(folder, video, stems)
    if described:
        labels = LabelImages(paths, part.joined)
        objects = check_described(video, labels, described, size, remarks)
    else:
        starts = [0] if part.first_only else [index for index, path in enumerate(paths) if path]
        labels = LabelImages(paths, part.joined or _is_one_object(paths, starts))
        objects = find_objects(video, labels, starts, size, remarks)
    files_of_objects = LabelFiles(paths, labels.joined, objects, frames_for_server(stems, described))
    if part.first_only and not files_of_objects.is_hidden and None in paths:
        first = f"{stems[paths.index(None)]}.png"
        remarks.append(
            f"{video}: {paths.count(None)} of {len(paths)} frames have no mask in {annotations}, the first {first}; "
            "they do not count"
        )
    return Sequence(video, frames, [np.full(4, np.nan)] * len(frames), *size, labels=files_of_objects)


def _check_stems(stems: list[str], files: dict[str, Path], images: Path) -> None:
    """Raise ValueError for two frames of one name, and for a mask without frame."""
    twice = [stem for stem, count in Counter(stems).items() if count > 1]
    if twice:
        raise ValueError(f"{images} has two frames {twice[0]}, with different suffixes; remove one of them")
    without_frame = sorted(files.keys() - {*stems})
    if without_frame:
        path = files[without_frame[0]]
        raise ValueError(f"{path} has no frame {images / path.stem}.jpg; copy both again")


def _is_one_object(paths: list[Path | None], frames: list[int]) -> bool:
    """Return whether the first mask of these frames that exists is black and white."""
    first = next((path for index in frames if (path := paths[index])), None)
    return first is not None and is_black_and_white(first)
