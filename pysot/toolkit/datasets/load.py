"""Find a data set below a folder and read it from its json or from the raw VOT folder."""

import logging
import os
from pathlib import Path

from pysot.toolkit.datasets.folder_layout import read_folder_layout, sequence_folders
from pysot.toolkit.datasets.json_layout import read_json_layout
from pysot.toolkit.datasets.names import matching
from pysot.toolkit.datasets.native_layout import NATIVE, native_files, read_native_layout
from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.datasets.settings import (
    EAO_TAGS,
    MULTISTART,
    is_got_10k,
    is_long_term,
    is_many_starts,
    is_one_pass,
    settings_of,
)
from pysot.toolkit.datasets.subsets import LEFT_OUT, PARTS, SIZES, SUBSET_OF, SUBSETS
from pysot.toolkit.datasets.vot_layout import read_vot_layout
from pysot.utils.numbers import listed_names

logger = logging.getLogger(__name__)

EXPECTED_TREE = """expected one of
  {root}/
    {name}.json                       (the pysot benchmark json; frames are needed to track, not to evaluate)
    {name}/<video>/color/00000001.jpg   (or {root}/<video>/..., or the json inside {name}/)
  or the raw VOT folder
  {root}/{name}/                      (or {root} itself)
    list.txt                          (one video per line)
    <video>/groundtruth.txt           (4 or 8 numbers per line)
    <video>/color/00000001.jpg        (or <video>/00000001.jpg)
    <video>/occlusion.tag             (optional: one 0 or 1 per line, *.tag or *.label)
    <video>/anchor.value              (VOT2020 and later: 1 or -1 on the lines of frames at which runs begin)
  or, tracked in one pass, folders of sequences
  {root}/{name}/<video>/img/0001.jpg  and groundtruth_rect.txt (OTB) or groundtruth.txt (LaSOT; GOT-10k without img/)"""


def load_dataset(name: str, root: str | os.PathLike) -> Dataset:
    """Read data set `name` from `root`: the folder that holds its json, its parent, or the set's own folder.

    No image is opened when the sizes are in the json; else the header of each first frame is. Raises FileNotFoundError if nothing is found,
    ValueError with every problem of the layout at once, both with the expected tree.
    """
    root = Path(root)
    json_path, folder = _json_path(name, root), _raw_folder(name, root)
    problems: list[str] = []
    if json_path is not None:
        protocol, sequences = read_json_layout(
            name, json_path, [root / name, root, json_path.parent / name, json_path.parent], problems
        )
        sequences = sequences if json_path.stem == name else _chosen(name, sequences, problems)
    elif folder is not None and not is_one_pass(name):
        sequences = read_vot_layout(folder, problems)
        many = is_many_starts(name) or any(sequence.anchors for sequence in sequences)
        protocol = "longterm" if is_long_term(name) else "multistart" if many else "supervised"
    else:
        protocol, folder = "one pass", root / name if (root / name).is_dir() else root
        sequences = _one_pass_sequences(name, root, problems)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        where = json_path or folder
        raise ValueError(
            f"data set {name} ({where}) has {len(problems)} problem{'s' * (len(problems) > 1)}:\n{listed}\n{_tree(name, root)}"
        )
    if len(sequences) < SIZES.get(name.lower(), 0):
        logger.warning(
            "%s has %d sequences, %d of them are in %s: scores are of these only",
            name,
            SIZES[name.lower()],
            len(sequences),
            json_path or folder,
        )
    if protocol in ("one pass", "longterm"):
        return Dataset(name, sequences, (), None, protocol, _remarks(name, sequences))
    if protocol == "multistart":
        return Dataset(name, sequences, (), MULTISTART, protocol)
    return Dataset(name, sequences, EAO_TAGS, settings_of(name))


def _remarks(name: str, sequences: list[Sequence]) -> tuple[str, ...]:
    """What scores of GOT-10k lack that its own toolkit takes from its folders."""
    if not is_got_10k(name):
        return ()
    bare, unsized = (sum(getattr(sequence, what) is None for sequence in sequences) for what in ("visible", "width"))
    remarks = [
        f"{bare} of {len(sequences)} sequences of {name} do not say what covers the target (cover.label, or the key cover): AO and SR count all their "
        "frames after the first, and may differ from the toolkit's"
    ] * bool(bare)
    return (
        *remarks,
        *[
            f"{unsized} of {len(sequences)} sequences of {name} have no size of images (meta_info.ini, or the keys width and height): AO and SR "
            "are of boxes that are not cut to the image, and may differ from the toolkit's"
        ]
        * bool(unsized),
    )


def _one_pass_sequences(name: str, root: Path, problems: list[str]) -> list[Sequence]:
    """From the layout that the set is handed out in, else from folders of sequences."""
    homes = [root / name, root, *([root / SUBSET_OF[name.lower()]] if name.lower() in SUBSET_OF else [])]
    homes = [home / part for home in homes for part in PARTS.get(name.lower(), ("",)) if (home / part).is_dir()]
    native = native_files(name, homes)
    if native:
        return read_native_layout(*native, problems)
    # the set's own folder may have a folder for each class; other folders beside it may be other sets
    found = (sequence_folders(home, deep=home != root or root.resolve().name == name) for home in homes)
    folders, home = next(((folders, home) for folders, home in zip(found, homes, strict=True) if folders), ([], root))
    if not folders:
        raise FileNotFoundError(
            f"no data set {name} in {root}: no {name}.json, no list.txt, no folders of sequences; {_tree(name, root)}"
        )
    if (home / "testing_set.txt").is_file():  # LaSOT: training videos lie in the same folders
        listed = listed_names(home / "testing_set.txt")
        folders = [folder for folder in folders if folder.name in listed]
        problems += [
            f"{name}: listed in testing_set.txt, but there is no such folder"
            for name in sorted({*listed} - {folder.name for folder in folders})
        ]
    return _chosen(name, read_folder_layout(folders, problems), problems)


def _chosen(name: str, sequences: list[Sequence], problems: list[str]) -> list[Sequence]:
    """The sequences of a set that is part of another, in any spelling; all of another set but those that do not belong to it."""
    wanted = SUBSETS.get(name.lower())
    if wanted is None:
        return [sequence for sequence in sequences if sequence.name.lower() not in LEFT_OUT.get(name.lower(), ())]
    known, chosen = {sequence.name: sequence for sequence in sequences}, []
    for target in wanted:
        try:
            found = matching(target, known, where=name)
            if found is None:
                problems.append(f"{target}: belongs to {name}, but there is no such sequence")
            else:
                chosen.append(known[found])
        except ValueError as error:
            problems.append(str(error))
    return chosen


def missing_frames(dataset: Dataset) -> list[str]:
    """One sentence for every sequence whose first frame is not on the disk: ask before hours of tracking."""
    return [
        f"{sequence.name}: no {sequence.frame_paths[0]}"
        for sequence in dataset.sequences
        if not os.path.isfile(sequence.frame_paths[0])
    ]


def _json_path(name, root):
    beside = [root.parent] if root.resolve().name == name else []
    names = [name, *(["OTB100"] if SUBSET_OF.get(name.lower()) == "OTB100" else [])]
    candidates = [folder / f"{known}.json" for known in names for folder in (root, root / known, *beside)]
    return next((path for path in candidates if path.is_file()), None)


def _raw_folder(name, root):
    return next(
        (folder for folder in (root / name, root) if (folder / "list.txt").is_file() and not _is_got_10k(folder)), None
    )


def _is_got_10k(folder: Path) -> bool:
    """GOT-10k has a list.txt as well, and files in its videos that VOT sets do not have."""
    first = (folder / "list.txt").read_text(encoding="utf-8-sig", errors="replace").split("\n")[0].strip()
    return any((folder / first / name).is_file() for name in ("cover.label", "meta_info.ini", "absence.label"))


def _tree(name, root):
    own = "".join(f"\n  or {root}/{name}/{layout.tree}" for layout in NATIVE.get(name.lower(), ()))
    return EXPECTED_TREE.format(name=name, root=root) + own
