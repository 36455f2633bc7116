"""Find a data set below a folder and read it from its JSON or from its folders."""

import functools
import logging
import os
from pathlib import Path

from pysot.toolkit.datasets.folder_layout import read_folder_layout, sequence_folders
from pysot.toolkit.datasets.json_layout import read_json_layout
from pysot.toolkit.datasets.names import match_name
from pysot.toolkit.datasets.native_layout import NATIVE_LAYOUTS, native_files, read_native_layout
from pysot.toolkit.datasets.objects_layout import find_objects_root, is_object_set, read_object_set
from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.datasets.settings import (
    EAO_TAGS,
    MULTISTART,
    is_got_10k,
    is_long_term,
    is_multistart,
    is_one_pass,
    settings_of,
)
from pysot.toolkit.datasets.subsets import EXCLUDED, SEQUENCE_COUNTS, SPLIT_FOLDERS, SUBSET_OF, SUBSETS
from pysot.toolkit.datasets.vot_layout import read_vot_layout
from pysot.utils.numbers import listed_names
from pysot.utils.progress import Bar, no_bar

logger = logging.getLogger(__name__)

EXPECTED_TREE = """expected one of
  {root}/
    {name}.json                       (the pysot benchmark JSON; frames are needed to track, not to evaluate)
    {name}/<video>/color/00000001.jpg   (or {root}/<video>/..., or the JSON inside {name}/)
  or the raw VOT folder
  {root}/{name}/                      (or {root} itself)
    list.txt                          (one video per line)
    <video>/groundtruth.txt           (4 or 8 numbers per line)
    <video>/color/00000001.jpg        (or <video>/00000001.jpg)
    <video>/occlusion.tag             (optional: one 0 or 1 per line, *.tag or *.label)
    <video>/anchor.value              (VOT2020 and later: 1 or -1 on the line of each frame at which a run begins)
  or, tracked in one pass, folders of sequences
  {root}/{name}/<video>/img/0001.jpg  and groundtruth_rect.txt (OTB) or groundtruth.txt (LaSOT; GOT-10k without img/)
  or, with masks of objects, the folders of DAVIS or YouTube-VOS
  {root}/{name}/JPEGImages/<video>/00000.jpg  and Annotations/<video>/00000.png"""


def split_dataset_path(name: str) -> tuple[str, Path | None]:
    """Return the name of a data set and the folder to read it from; `name` may be the path of its folder or json.

    The folder is None for a name without a path.
    """
    if not any(separator and separator in name for separator in (os.sep, os.altsep)):
        return name, None
    path = Path(name).resolve()
    return (path.stem, path.parent) if path.suffix == ".json" else (path.name, path)


def load_dataset(name: str, root: str | os.PathLike, bar: Bar = no_bar) -> Dataset:
    """Read data set `name` from `root`: the folder with its JSON, the parent of that folder, or the set's own folder.

    No image is opened if the sizes are in the JSON; else the header of each first frame is read, and of sets with masks
    of objects (see `objects_layout`) the masks that trackers start on. `bar` shows the sequences. Raises
    FileNotFoundError if no data set is found, ValueError with all problems of the layout, both with the expected tree.
    """
    root, bar = Path(root), functools.partial(bar, description=f"reading {name}")
    json_path = _json_path(name, root)
    folder = _raw_folder(name, root)
    if is_object_set(name) or (json_path is None and folder is None and find_objects_root(name, root)):
        return read_object_set(name, root, bar)
    problems: list[str] = []
    if json_path is not None:
        frame_folders = [root / name, root, json_path.parent / name, json_path.parent]
        protocol, sequences = read_json_layout(name, json_path, frame_folders, problems, bar)
        sequences = sequences if json_path.stem == name else _select(name, sequences, problems)
    elif folder is not None and not is_one_pass(name):
        sequences = read_vot_layout(folder, problems, bar)
        protocol = _raw_protocol(name, sequences)
    else:
        protocol = "one pass"
        folder = root / name if (root / name).is_dir() else root
        sequences = _one_pass_sequences(name, root, problems, bar)
    source = json_path or folder
    if problems:
        raise ValueError(_problems_text(name, root, source, problems))
    if len(sequences) < SEQUENCE_COUNTS.get(name.lower(), 0):
        logger.warning(
            "%s has %d sequences, %d of them are in %s: scores cover these only",
            name,
            SEQUENCE_COUNTS[name.lower()],
            len(sequences),
            source,
        )
    if protocol in ("one pass", "longterm"):
        return Dataset(name, sequences, (), None, protocol, _remarks(name, sequences))
    if protocol == "multistart":
        return Dataset(name, sequences, (), MULTISTART, protocol)
    return Dataset(name, sequences, EAO_TAGS, settings_of(name))


def _raw_protocol(name: str, sequences: list[Sequence]) -> str:
    """Return the protocol of a raw VOT folder."""
    if is_long_term(name):
        return "longterm"
    if is_multistart(name) or any(sequence.anchors for sequence in sequences):
        return "multistart"
    return "supervised"


def _problems_text(name: str, root: Path, source: Path | None, problems: list[str]) -> str:
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    listed = "\n".join(f"  - {problem}" for problem in problems)
    return f"data set {name} ({source}) has {count}:\n{listed}\n{_expected_tree(name, root)}"


def _remarks(name: str, sequences: list[Sequence]) -> tuple[str, ...]:
    """Return remarks on data that the toolkit of GOT-10k uses and that these sequences are missing."""
    if not is_got_10k(name):
        return ()
    without_visible = sum(sequence.visible is None for sequence in sequences)
    without_size = sum(sequence.width is None for sequence in sequences)
    remarks = []
    if without_visible:
        remarks.append(
            f"{without_visible} of {len(sequences)} sequences of {name} do not say what covers the target "
            "(cover.label, or the key cover): AO and SR count all their frames after the first, and may differ from "
            "the toolkit's"
        )
    if without_size:
        remarks.append(
            f"{without_size} of {len(sequences)} sequences of {name} have no size of images (meta_info.ini, or the "
            "keys width and height): AO and SR are of boxes that are not cut to the image, and may differ from the "
            "toolkit's"
        )
    return tuple(remarks)


def _one_pass_sequences(name: str, root: Path, problems: list[str], bar: Bar) -> list[Sequence]:
    """Read sequences from the set's published layout, else from folders of sequences."""
    parents = [root / name, root]
    if name.lower() in SUBSET_OF:
        parents.append(root / SUBSET_OF[name.lower()])
    splits = SPLIT_FOLDERS.get(name.lower(), ("",))
    set_folders = [parent / split for parent in parents for split in splits if (parent / split).is_dir()]
    native = native_files(name, set_folders)
    if native:
        return read_native_layout(*native, problems, bar)
    folders: list[Path] = []
    set_folder = root
    for set_folder in set_folders:
        # the set's own folder may have a folder for each class; other folders beside it may be other sets
        is_own_folder = set_folder != root or root.resolve().name == name
        folders = sequence_folders(set_folder, deep=is_own_folder)
        if folders:
            break
    if not folders:
        raise FileNotFoundError(
            f"no data set {name} in {root}: no {name}.json, no list.txt, no folders of sequences; "
            f"{_expected_tree(name, root)}"
        )
    if (set_folder / "testing_set.txt").is_file():  # LaSOT: training videos are in the same folders
        listed = listed_names(set_folder / "testing_set.txt")
        folders = [folder for folder in folders if folder.name in listed]
        problems += [
            f"{name}: listed in testing_set.txt, but there is no such folder"
            for name in sorted({*listed} - {folder.name for folder in folders})
        ]
    return _select(name, read_folder_layout(folders, problems, bar), problems)


def _select(name: str, sequences: list[Sequence], problems: list[str]) -> list[Sequence]:
    """Select the sequences of a set: its list in any spelling, or all without the excluded ones if it has no list."""
    wanted = SUBSETS.get(name.lower())
    if wanted is None:
        excluded = EXCLUDED.get(name.lower(), ())
        return [sequence for sequence in sequences if sequence.name.lower() not in excluded]
    by_name = {sequence.name: sequence for sequence in sequences}
    selected = []
    for target in wanted:
        try:
            match = match_name(target, by_name, where=name)
        except ValueError as error:
            problems.append(str(error))
            continue
        if match is None:
            problems.append(f"{target}: belongs to {name}, but there is no such sequence")
        else:
            selected.append(by_name[match])
    return selected


def missing_frames(dataset: Dataset) -> list[str]:
    """Return one sentence for every sequence whose first frame is not on the disk. Check this before tracking."""
    return [
        f"{sequence.name}: no {sequence.frame_paths[0]}"
        for sequence in dataset.sequences
        if not os.path.isfile(sequence.frame_paths[0])
    ]


def _json_path(name: str, root: Path) -> Path | None:
    beside = [root.parent] if root.resolve().name == name else []
    names = [name, "OTB100"] if SUBSET_OF.get(name.lower()) == "OTB100" else [name]
    candidates = [folder / f"{stem}.json" for stem in names for folder in (root, root / stem, *beside)]
    return next((path for path in candidates if path.is_file()), None)


def _raw_folder(name: str, root: Path) -> Path | None:
    for folder in (root / name, root):
        if (folder / "list.txt").is_file() and not _is_got_10k(folder):
            return folder
    return None


def _is_got_10k(folder: Path) -> bool:
    """Return whether a folder with a list.txt is of GOT-10k: its videos have files that VOT sets do not have."""
    first = (folder / "list.txt").read_text(encoding="utf-8-sig", errors="replace").split("\n")[0].strip()
    return any((folder / first / name).is_file() for name in ("cover.label", "meta_info.ini", "absence.label"))


def _expected_tree(name: str, root: Path) -> str:
    own = "".join(f"\n  or {root}/{name}/{layout.tree}" for layout in NATIVE_LAYOUTS.get(name.lower(), ()))
    return EXPECTED_TREE.format(name=name, root=root) + own
