"""Find a data set below a folder and read it from its json or from the raw VOT folder."""

import os
from pathlib import Path

from pysot.toolkit.datasets.folder_layout import read_folder_layout, sequence_folders
from pysot.toolkit.datasets.json_layout import read_json_layout
from pysot.toolkit.datasets.raw_layout import read_raw_layout
from pysot.toolkit.datasets.settings import EAO_TAGS, MULTISTART, is_long_term, is_one_pass, settings_of
from pysot.toolkit.sequence import Dataset

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
    json_path, folder, one_pass = _json_path(name, root), _raw_folder(name, root), is_one_pass(name)
    problems: list[str] = []
    if json_path is not None:
        sequences = read_json_layout(json_path, [root / name, root, json_path.parent / name, json_path.parent], problems, one_pass, is_long_term(name))
    elif folder is not None and not one_pass:
        sequences = read_raw_layout(folder, problems)
    else:
        one_pass, folder = True, root / name if (root / name).is_dir() else root
        # the set's own folder may have a folder for each class; other folders beside it may be other sets
        folders = sequence_folders(root / name, deep=True) or sequence_folders(root, deep=root.resolve().name == name)
        if not folders:
            raise FileNotFoundError(f"no data set {name} in {root}: no {name}.json, no list.txt, no folders of sequences; {_tree(name, root)}")
        sequences = read_folder_layout(folders, problems)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        where = json_path or folder
        raise ValueError(f"data set {name} ({where}) has {len(problems)} problem{'s' * (len(problems) > 1)}:\n{listed}\n{_tree(name, root)}")
    if one_pass or is_long_term(name):
        return Dataset(name, sequences, (), None, "one pass" if one_pass else "longterm")
    if all(sequence.anchors for sequence in sequences):
        return Dataset(name, sequences, (), MULTISTART, "multistart")
    return Dataset(name, sequences, EAO_TAGS, settings_of(name))


def missing_frames(dataset: Dataset) -> list[str]:
    """One sentence for every sequence whose first frame is not on the disk: ask before hours of tracking."""
    return [
        f"{sequence.name}: no {sequence.frame_paths[0]}" for sequence in dataset.sequences if not os.path.isfile(sequence.frame_paths[0])
    ]


def _json_path(name, root):
    beside = [root.parent] if root.resolve().name == name else []
    candidates = [folder / f"{name}.json" for folder in (root, root / name, *beside)]
    return next((path for path in candidates if path.is_file()), None)


def _raw_folder(name, root):
    return next((folder for folder in (root / name, root) if (folder / "list.txt").is_file()), None)


def _tree(name, root):
    return EXPECTED_TREE.format(name=name, root=root)
