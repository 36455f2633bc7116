"""Names and folders of result files.

VOT        <tracker>/<experiment>/<video>/<video>_001.txt ... _015.txt, one file per repetition; the experiment is
           `baseline`, `realtime`, `unsupervised` or `longterm`. Beside them are <video>_001_time.value (seconds per
           frame) and <video>_001_confidence.value (long-term sets). Multi-start sets have one file per run instead:
           <video>_<first frame, 8 digits>.txt. A binary result has the suffix .bin; beside a .txt it is not read
one pass   <tracker>/<video>.txt, for GOT-10k <tracker>/<video>/<video>_001.txt, _002.txt, ...; seconds per frame are in
           <video>_time.txt, with one column per repetition
objects    <tracker>/<video>/<frame>.png, see `label_results`
in a batch <name>_batch.value beside the result <name>.txt: the number of targets that were tracked in the same step,
           one per frame, 0 for a skipped frame. Each of them has an equal part of the step's seconds in its time file.
           Results that were tracked alone have no such file
masks      <name>_mask.value beside the result <name>.txt, of a tracker of masks that was asked for them: the target's
           mask in each frame, for drawing, 0 where there is none. Results that are masks themselves have no such file

Results may spell the name of a video differently, see `datasets.names`.
`similar_names` are the other videos of its set whose names differ in spelling only.
For the lines in the files, see `files`.
"""

import os
import re
from collections.abc import Collection, Iterator
from collections.abc import Sequence as Listing
from pathlib import Path

from pysot.toolkit.datasets.names import match_name
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.results.lines import ResultError

ONE_PASS = ""  # the experiment whose results are in the tracker's folder itself
# Folders of experiments; a tracker on a one-pass set has none of them.
VOT_FOLDERS = ("baseline", "realtime", "unsupervised", "longterm")


def tracker_dirs(
    path: str | os.PathLike, dataset: str, prefixes: Listing[str] = ("",), experiments: Listing[str] = ("baseline",)
) -> list[Path]:
    """Return the folders of the trackers in `path` that have results of any of the experiments, sorted by name.

    `path` is the folder of the data set's results, its parent, or the folder of one tracker. For each prefix: the
    tracker of exactly that name if it exists, else all trackers whose names begin with it. Raises FileNotFoundError if
    a prefix matches no tracker.
    """
    path = Path(path)
    own_folder = "<video>.txt (of masks of objects <video>/<frame>.png)"
    pattern = " or ".join(f"{name}/<video>/<video>_*.txt" if name else own_folder for name in experiments)
    has_results = any(holds_results(path, experiment) for experiment in experiments)
    if has_results and not (ONE_PASS in experiments and _has_trackers(path)):
        if not any(path.resolve().name.startswith(prefix) for prefix in prefixes):
            raise FileNotFoundError(
                f"{path} is the folder of one tracker, and its name does not begin with {', '.join(prefixes)}"
            )
        return [path]
    folder = path / dataset if (path / dataset).is_dir() else path
    if not folder.is_dir():
        raise FileNotFoundError(f"no results folder {folder}; expected {folder}/<tracker>/{pattern}")
    names = sorted(
        entry.name
        for entry in os.scandir(folder)
        if any(holds_results(Path(entry.path), experiment) for experiment in experiments)
    )
    selected = set()
    for prefix in prefixes:
        matches = [name for name in names if name == prefix] or [name for name in names if name.startswith(prefix)]
        if not matches:
            wanted = f"no tracker that begins with {prefix!r}" if prefix else "no tracker"
            hint = f"it has {', '.join(names)}" if names else f"expected {folder}/<tracker>/{pattern}"
            raise FileNotFoundError(f"{wanted} in {folder}; {hint}")
        selected.update(matches)
    return [folder / name for name in sorted(selected)]


def holds_results(folder: Path, experiment: str) -> bool:
    """Return whether a tracker's folder has results of an experiment."""
    if experiment:
        return (folder / experiment).is_dir()
    if not folder.is_dir() or any((folder / other).is_dir() for other in VOT_FOLDERS):
        return False
    has_text = any(True for pattern in ("*.txt", "*/*_001.txt") for _ in folder.glob(pattern))
    return has_text or any(_is_label_image(path) for path in folder.glob("*/*.png"))


def _is_label_image(path: Path) -> bool:
    """Return whether a file may be a label image in the folder of a video, not a figure or an unfinished result."""
    folder = path.parent.name
    is_figure = folder.endswith("_timelines") or path.stem.startswith(f"{folder}_")
    return path.suffix == ".png" and not is_figure and not folder.startswith(".")


def holds_any_results(folder: Path) -> bool:
    """Return whether a tracker's folder has results of any experiment."""
    return any(path.suffix in (".txt", ".bin") or _is_label_image(path) for path in folder.rglob("*"))


def _has_trackers(folder: Path) -> bool:
    """Return whether a folder contains folders of one-pass trackers, not those of GOT-10k's videos."""
    return any(
        holds_results(entry, ONE_PASS) and not (entry / f"{entry.name}_001.txt").is_file() for entry in folder.iterdir()
    )


def is_nested(dataset: Dataset) -> bool:
    """Return whether each video of a set has a folder for its one-pass results, as in GOT-10k."""
    return dataset.name.lower().startswith("got-10k")


def ope_file(tracker_dir: str | os.PathLike, video: str, nested: bool = False) -> Path:
    """Return the path that `save_ope` writes the boxes of a video to; with `nested` that of GOT-10k."""
    return Path(tracker_dir) / video / f"{video}_001.txt" if nested else Path(tracker_dir) / f"{video}.txt"


def other_form(path: Path) -> Path:
    """Return the path of the binary form of a VOT result, for that the path of its text."""
    return path.with_suffix(".txt" if path.suffix == ".bin" else ".bin")


def written_form(path: Path) -> Path:
    """Return the file that is read as the VOT result `path`: its text, or its binary form if only that exists."""
    text, binary = path.with_suffix(".txt"), path.with_suffix(".bin")
    return binary if binary.exists() and not text.exists() else text


def batch_file(path: Path) -> Path:
    """Return the path of the numbers of targets that shared the seconds of a result; it exists only for a batch."""
    return path.with_name(f"{path.stem}_batch.value")


def mask_file(path: Path) -> Path:
    """Return the path of the target's masks beside a result."""
    return path.with_name(f"{path.stem}_mask.value")


def find_ope_runs(tracker_dir: str | os.PathLike, video: str, similar_names: Collection[str] = ()) -> list[Path]:
    """Return the one-pass results of a video in the order of their repetitions.

    Without a result, returns the path where it is expected. Raises ValueError if the files are ambiguous or if a
    repetition between others is missing.
    """
    folder = Path(tracker_dir)
    first = _first_ope_run(folder, video, similar_names)
    if first.parent == folder:
        return [first]
    stem = first.stem.removesuffix("_001")
    runs = {
        int(path.stem.rpartition("_")[2]): path
        for path in first.parent.iterdir()
        if re.fullmatch(re.escape(stem) + r"_\d+\.txt", path.name)
    }
    missing = sorted({*range(1, max(runs) + 1)} - {*runs})
    if missing:
        raise ResultError(
            f"{first.parent} has no {stem}_{missing[0]:03d}.txt, but later repetitions; "
            "track it again, or remove the later ones"
        )
    return [runs[number] for number in sorted(runs)]


def _first_ope_run(folder: Path, video: str, similar_names: Collection[str]) -> Path:
    """Return the first one-pass result of a video, under its exact name or another spelling."""
    paths = [path for path in (ope_file(folder, video), ope_file(folder, video, nested=True)) if path.is_file()]
    if not paths and folder.is_dir():
        by_name: dict[str, list[Path]] = {}
        for name, path in _one_pass_files(folder):
            by_name.setdefault(name, []).append(path)
        match = match_name(video, by_name, similar_names, folder)
        paths = [] if match is None else by_name[match]
    if len(paths) > 1:
        raise ResultError(f"{paths[0]} and {paths[1]} may both be the result of {video}; remove the wrong one")
    return paths[0] if paths else ope_file(folder, video)


def _one_pass_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name of a video, its first result) for the files in a tracker's folder."""
    for entry in os.scandir(folder):
        stem, suffix = os.path.splitext(entry.name)
        if suffix == ".txt" and entry.is_file():
            yield stem, Path(entry.path)
        elif (nested := Path(entry.path) / f"{entry.name}_001.txt").is_file():
            yield entry.name, nested


def vot_file(
    tracker_dir: str | os.PathLike,
    video: str,
    repetition: int = 1,
    experiment: str = "baseline",
    similar_names: Collection[str] = (),
) -> Path:
    """Return the path of the result of one repetition on a video."""
    return _video_folder(tracker_dir, video, experiment, similar_names) / f"{video}_{repetition:03d}.txt"


def anchor_file(
    tracker_dir: str | os.PathLike,
    video: str,
    frame: int,
    experiment: str = "baseline",
    similar_names: Collection[str] = (),
) -> Path:
    """Return the path of the result of the run that starts at `frame`, from 0."""
    return _video_folder(tracker_dir, video, experiment, similar_names) / f"{video}_{frame:08d}.txt"


def vot_files(
    tracker_dir: str | os.PathLike, video: str, experiment: str = "baseline", similar_names: Collection[str] = ()
) -> list[Path]:
    """Return the existing files of all repetitions, in order; the folder and the files may each be spelt differently.

    Without a result, returns the path where the first one is expected. Raises ValueError if the names are ambiguous.
    """
    files = _numbered_files(_video_folder(tracker_dir, video, experiment, similar_names), video, 3, similar_names)
    if not files:
        return [vot_file(tracker_dir, video, experiment=experiment, similar_names=similar_names)]
    return [files[number] for number in sorted(files)]


def anchor_files(
    tracker_dir: str | os.PathLike, video: str, experiment: str = "baseline", similar_names: Collection[str] = ()
) -> dict[int, Path]:
    """Return the existing files of runs by their first frame, from 0. Names and errors are as in `vot_files`."""
    return _numbered_files(_video_folder(tracker_dir, video, experiment, similar_names), video, 8, similar_names)


def _numbered_files(folder: Path, video: str, digits: int, similar_names: Collection[str]) -> dict[int, Path]:
    """Return the files `<video>_<number>` of a folder by their numbers."""
    by_name: dict[str, dict[int, Path]] = {}
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if match := re.fullmatch(rf"(.*)_(\d{{{digits}}})\.(txt|bin)", name):
            # sorted: .txt comes after .bin, so it replaces a .bin of the same number
            by_name.setdefault(match[1], {})[int(match[2])] = folder / name
    matching_name = match_name(video, by_name, similar_names, folder)
    return {} if matching_name is None else by_name[matching_name]


def _video_folder(tracker_dir: str | os.PathLike, video: str, experiment: str, similar_names: Collection[str]) -> Path:
    """Return the folder of a video's results in any spelling; if none exists, the expected one."""
    parent = Path(tracker_dir) / experiment
    if (parent / video).is_dir() or not parent.is_dir():
        return parent / video
    names = [entry.name for entry in parent.iterdir() if entry.is_dir()]
    return parent / (match_name(video, names, similar_names, parent) or video)
