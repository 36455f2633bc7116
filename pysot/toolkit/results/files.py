"""Result files: the one module that knows their names and layouts.

VOT        <tracker>/<experiment>/<video>/<video>_001.txt ... _015.txt, experiment `baseline`, `realtime`, `unsupervised` or `longterm`: one line per frame, `1`
           start, `2` lost, `0` skipped, else a region (4 or 8 numbers, `%.4f`, commas, or a mask); seconds per frame in <video>_001_time.value, confidences in
           <video>_001_confidence.value (long-term sets). Sets of many starts have <video>_<frame of the start, 8 digits>.txt instead
one pass   <tracker>/<video>.txt, or as GOT-10k has it <tracker>/<video>/<video>_001.txt, _002.txt, ...: x,y,width,height per line; seconds per frame in
           <video>_time.txt, a column for each repetition

Names of videos may be spelt otherwise, see `datasets.names`. How lines are read: `lines`.
"""

import os
import re
from collections.abc import Collection, Iterator
from collections.abc import Sequence as Listing
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.names import matching
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.results.lines import Lines, ResultError, read_lines, read_values
from pysot.toolkit.results.trajectory import LOST, SKIPPED, START, TRACKED, Trajectory
from pysot.utils.files import atomic_write

ONE_PASS = ""  # the experiment whose results lie in the tracker's folder itself
VOT_FOLDERS = (
    "baseline",
    "realtime",
    "unsupervised",
    "longterm",
)  # folders of experiments, which a tracker on a one-pass set does not have


def tracker_dirs(
    path: str | os.PathLike, dataset: str, prefixes: Listing[str] = ("",), experiments: Listing[str] = ("baseline",)
) -> list[Path]:
    """Folders of the trackers in `path` with results of any of the experiments, sorted by name. `path` is the folder of the data set's results, its parent, or
    one tracker's folder.

    With prefixes: for each the tracker of exactly that name if there is one, else those that begin with it. Raises FileNotFoundError if one has none.
    """
    path, shape = (
        Path(path),
        " or ".join(f"{name}/<video>/<video>_*.txt" if name else "<video>.txt" for name in experiments),
    )
    if any(holds_results(path, experiment) for experiment in experiments) and not (
        ONE_PASS in experiments and _has_trackers(path)
    ):
        if not any(path.resolve().name.startswith(prefix) for prefix in prefixes):
            raise FileNotFoundError(
                f"{path} is the folder of one tracker, and its name does not begin with {', '.join(prefixes)}"
            )
        return [path]
    folder = path / dataset if (path / dataset).is_dir() else path
    if not folder.is_dir():
        raise FileNotFoundError(f"no results folder {folder}; expected {folder}/<tracker>/{shape}")
    names = sorted(
        entry.name
        for entry in os.scandir(folder)
        if any(holds_results(Path(entry.path), experiment) for experiment in experiments)
    )
    chosen = set()
    for prefix in prefixes:
        fitting = [name for name in names if name == prefix] or [name for name in names if name.startswith(prefix)]
        if not fitting:
            found = f"it has {', '.join(names)}" if names else f"expected {folder}/<tracker>/{shape}"
            raise FileNotFoundError(
                f"no tracker{f' that begins with {prefix!r}' if prefix else ''} in {folder}; {found}"
            )
        chosen.update(fitting)
    return [folder / name for name in sorted(chosen)]


def holds_results(folder: Path, experiment: str) -> bool:
    """Whether a tracker's folder has results of an experiment."""
    if experiment:
        return (folder / experiment).is_dir()
    if not folder.is_dir() or any((folder / other).is_dir() for other in VOT_FOLDERS):
        return False
    return any(True for pattern in ("*.txt", "*/*_001.txt") for _ in folder.glob(pattern))


def holds_any_results(folder: Path) -> bool:
    """Whether a tracker's folder has results of whatever experiment."""
    return any(path.suffix in (".txt", ".bin") for path in folder.rglob("*"))


def _has_trackers(folder: Path) -> bool:
    """Whether folders of one-pass trackers lie in a folder, and not those of GOT-10k's videos."""
    return any(
        holds_results(entry, ONE_PASS) and not (entry / f"{entry.name}_001.txt").is_file() for entry in folder.iterdir()
    )


def find_ope_runs(tracker_dir: str | os.PathLike, video: str, alike: Collection[str] = ()) -> list[Path]:
    """The one-pass results of a video in the order of their repetitions, under any of the names they may have, see `datasets.names`; where one should be, if
    there is none. Raises ValueError where that cannot be told.
    """
    folder = Path(tracker_dir)
    exact = [path for path in (folder / f"{video}.txt", folder / video / f"{video}_001.txt") if path.is_file()]
    names: dict[str, list[Path]] = {}
    for name, path in _one_pass_files(folder) if not exact and folder.is_dir() else ():
        names.setdefault(name, []).append(path)
    found = exact or names.get(matching(video, names, alike, folder)) or [folder / f"{video}.txt"]
    if len(found) > 1:
        raise ResultError(
            f"{found[0]} and {found[1]} may both be the result of {video}; take away the one that is not meant"
        )
    stem = found[0].stem.removesuffix("_001")
    if found[0].parent == folder:
        return found
    runs = {
        int(path.stem.rpartition("_")[2]): path
        for path in found[0].parent.iterdir()
        if re.fullmatch(re.escape(stem) + r"_\d+\.txt", path.name)
    }
    lacking = sorted({*range(1, max(runs) + 1)} - {*runs})
    if lacking:
        raise ResultError(
            f"{found[0].parent} has no {stem}_{lacking[0]:03d}.txt, but later repetitions; track it again, or take those away"
        )
    return [runs[number] for number in sorted(runs)]


def _one_pass_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """(name of a video, its first result) of the files in a tracker's folder."""
    for entry in os.scandir(folder):
        stem, suffix = os.path.splitext(entry.name)
        if suffix == ".txt" and entry.is_file():
            yield stem, Path(entry.path)
        elif (nested := Path(entry.path) / f"{entry.name}_001.txt").is_file():
            yield entry.name, nested


def ope_file(tracker_dir: str | os.PathLike, video: str, nested: bool = False) -> Path:
    """Where `save_ope` puts the boxes of a video; `nested` as GOT-10k has it."""
    return Path(tracker_dir) / video / f"{video}_001.txt" if nested else Path(tracker_dir) / f"{video}.txt"


def vot_file(
    tracker_dir: str | os.PathLike,
    video: str,
    repetition: int = 1,
    experiment: str = "baseline",
    alike: Collection[str] = (),
) -> Path:
    """Where the result of one repetition on one video is."""
    return _video_folder(tracker_dir, video, experiment, alike) / f"{video}_{repetition:03d}.txt"


def anchor_file(
    tracker_dir: str | os.PathLike, video: str, frame: int, experiment: str = "baseline", alike: Collection[str] = ()
) -> Path:
    """Where the result of the run that starts at `frame`, from 0, is."""
    return _video_folder(tracker_dir, video, experiment, alike) / f"{video}_{frame:08d}.txt"


def vot_files(
    tracker_dir: str | os.PathLike, video: str, experiment: str = "baseline", alike: Collection[str] = ()
) -> list[Path]:
    """The files of all repetitions that are there, in order; their names may be spelt otherwise, as the folder's. Where the first one should be, if there is
    none. Raises ValueError where it cannot be told whose they are.
    """
    files = _numbered_files(_video_folder(tracker_dir, video, experiment, alike), video, 3, alike)
    return [files[number] for number in sorted(files)] or [
        vot_file(tracker_dir, video, experiment=experiment, alike=alike)
    ]


def anchor_files(
    tracker_dir: str | os.PathLike, video: str, experiment: str = "baseline", alike: Collection[str] = ()
) -> dict[int, Path]:
    """The files of the runs that are there, by the frame, from 0, at which they start; names and errors as `vot_files`."""
    return _numbered_files(_video_folder(tracker_dir, video, experiment, alike), video, 8, alike)


def _numbered_files(folder: Path, video: str, digits: int, alike: Collection[str]) -> dict[int, Path]:
    """The files `<video>_<number>` of a folder by their numbers."""
    found: dict[str, dict[int, Path]] = {}
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if match := re.fullmatch(rf"(.*)_(\d{{{digits}}})\.(txt|bin)", name):
            found.setdefault(match[1], {})[int(match[2])] = folder / name  # .txt, which is read first, comes after .bin
    return found.get(matching(video, found, alike, folder), {})


def _video_folder(tracker_dir, video, experiment, alike) -> Path:
    """The folder of a video's results, under any of the names it may have; where it should be, if it is not there."""
    parent = Path(tracker_dir) / experiment
    if (parent / video).is_dir() or not parent.is_dir():
        return parent / video
    return parent / (
        matching(video, [entry.name for entry in parent.iterdir() if entry.is_dir()], alike, parent) or video
    )


def save_vot(path: str | os.PathLike, trajectory: Trajectory) -> Path:
    """Write a result, and the seconds per frame and the confidences if it has them, each whole or not at all. Returns the path of the result."""
    path = Path(path)
    for name, values in (("time", trajectory.seconds), ("confidence", trajectory.confidence)):
        if values is not None:
            with atomic_write(path.with_name(f"{path.stem}_{name}.value")) as stream:
                stream.writelines("\n" if value != value else f"{value:.6f}\n" for value in values)
    with atomic_write(path) as stream:
        for index, (code, region) in enumerate(zip(trajectory.codes, trajectory.regions, strict=True)):
            stream.write(trajectory.masks[index].text() + "\n" if index in trajectory.masks else _line(code, region))
    return path


def load_baseline(path: str | os.PathLike, frames: int | None = None) -> Trajectory:
    """Read a supervised result; `frames` is the length it must have. Raises ResultError."""
    lines = read_lines(path, frames)
    lines.refuse_masks()
    single = lines.counts == 1
    known = (lines.first == SKIPPED) | (lines.first == START) | (lines.first == LOST)
    wrong = np.where(single, ~known, ~lines.are_regions)
    lines.refuse(wrong, "needs 0, 1, 2, or a region of 4 or 8 numbers")
    codes = np.where(single, lines.first, TRACKED).astype(np.int8)
    lines.refuse_odd_regions()
    started = codes[codes != SKIPPED]
    if len(started) == 0 or started[0] != START:
        raise ResultError(f"{path} does not begin with 1 (start): not a result of the supervised protocol")
    _check_order(path, codes)
    return Trajectory(codes, lines.regions)


# [code, code on the line before]: whether the one may follow the other; the first line is a start, or skipped until one.
_MAY_FOLLOW = np.zeros((4, 4), bool)
for _code, _before in {
    START: (SKIPPED, LOST),
    LOST: (START, TRACKED),
    TRACKED: (START, TRACKED),
    SKIPPED: (SKIPPED, LOST),
}.items():
    _MAY_FOLLOW[_code, list(_before)] = True


def _check_order(path, codes):
    wrong = ~_MAY_FOLLOW[codes[1:], codes[:-1]]
    if wrong.any():
        row = int(np.argmax(wrong)) + 1
        names = {SKIPPED: "0 (skipped)", START: "1 (start)", LOST: "2 (lost)", TRACKED: "a region"}
        what = f"{names[int(codes[row])]} after {names[int(codes[row - 1])]}"
        raise ResultError(f"{path} line {row + 1}: {what} cannot be in a supervised result; track this video again")


def load_run(path: str | os.PathLike, frames: int | None = None) -> Trajectory:
    """Read a result without restarts: `1` or a region on the first line, then regions, and `0` or numbers that are NaN where the tracker says that the target
    is not there, which become SKIPPED. Seconds and confidences come with it if their files are there. Raises ResultError.
    """
    lines, path = read_lines(path, frames), Path(path)
    single, place = lines.counts == 1, np.arange(len(lines))
    wrong = np.where(single, (lines.first != SKIPPED) & ~((lines.first == START) & (place == 0)), ~lines.are_regions)
    lines.refuse(wrong, "needs a region of 4 or 8 numbers, or 0; 1 on the first line only")
    if single[0] and lines.first[0] != START:
        raise ResultError(f"{path} does not begin with 1 (start) or a region")
    regions = lines.regions.copy()
    unknown = ~single & np.add.reduceat(np.isnan(lines.numbers), np.cumsum(lines.counts) - lines.counts).astype(bool)
    regions[unknown] = np.nan
    Lines(lines.path, np.where(np.repeat(unknown, lines.counts), 0.0, lines.numbers), lines.counts).refuse_odd_regions()
    codes = np.where(single, lines.first, np.where(unknown, SKIPPED, TRACKED)).astype(np.int8)
    seconds, confidence = (
        read_values(path.with_name(f"{path.stem}_{name}.value"), len(lines)) for name in ("time", "confidence")
    )
    return Trajectory(codes, regions, seconds, confidence, lines.masks)


def load_seconds(path: str | os.PathLike, frames: int) -> np.ndarray | None:
    """Seconds per frame (N,) that were noted beside a VOT result, None if they were not. Raises ResultError."""
    return read_values(Path(path).with_name(f"{Path(path).stem}_time.value"), frames)


def save_ope(
    tracker_dir: str | os.PathLike,
    video: str,
    boxes_xywh: np.ndarray,
    seconds: np.ndarray | None = None,
    nested: bool = False,
) -> Path:
    """Write a one-pass result, boxes (N, 4), and the seconds per frame (N,) if given; `nested` as GOT-10k has it. Returns the path of the boxes."""
    boxes_xywh = np.asarray(boxes_xywh, np.float64)
    if boxes_xywh.ndim != 2 or boxes_xywh.shape[1] != 4 or not np.isfinite(boxes_xywh).all():
        raise ValueError(f"result of {video}: needs finite boxes (N, 4), got {boxes_xywh.shape}")
    path = ope_file(tracker_dir, video, nested)
    if seconds is not None:
        with atomic_write(path.with_name(f"{video}_time.txt")) as stream:
            stream.writelines(f"{second:.6f}\n" for second in seconds)
    with atomic_write(path) as stream:
        stream.write(ope_text(boxes_xywh))
    return path


def ope_text(boxes_xywh: np.ndarray) -> str:
    """Boxes (N, 4) as the text of a one-pass result."""
    return "".join(",".join(f"{value:.4f}" for value in box) + "\n" for box in boxes_xywh)


def load_ope(
    path: str | os.PathLike, frames: int | None = None, notes: list[str] | None = None, spare: bool = False
) -> np.ndarray:
    """Read a one-pass result as (N, 4) float64 xywh; `frames` is the length it must have, or with `spare` the number of lines that count. Raises ResultError.

    With `notes`, a box after the first may be NaN, infinite (which becomes NaN) or of a negative size, and a sentence on these and on lines to spare is added
    to them; without, it is an error.
    """
    lines = read_lines(path, frames, spare)
    lines.refuse_masks()
    lines.refuse(lines.counts != 4, "needs x,y,width,height")
    boxes = lines.numbers.reshape(-1, 4)
    odd = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 2:] < 0).any(axis=1)
    if notes is None or odd[0]:
        lines.refuse_odd_regions()
        return boxes
    if lines.spare:
        notes.append(
            f"{path} has {lines.spare} line{'s' * (lines.spare > 1)} more than frames: the first {frames} count, as in the set's own toolkit"
        )
    if odd.any():
        rows = np.flatnonzero(odd) + 1
        listed = ", ".join(map(str, rows[:5])) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
        notes.append(
            f"{path}: the boxes of line{'s' * (len(rows) > 1)} {listed} are no boxes (NaN or a negative size): misses in pysot's arithmetic, the one "
            "before instead in OTB's toolkit and its copies"
        )
    return np.where(np.isfinite(boxes), boxes, np.nan)


def load_ope_seconds(path: str | os.PathLike) -> np.ndarray:
    """All seconds (K,) that were noted beside the first one-pass result of a video, of all repetitions, without those that are NaN. Raises ResultError."""
    path = Path(path)
    beside = path.with_name(f"{path.stem.removesuffix('_001')}_time.txt")
    numbers = read_lines(beside).numbers if beside.is_file() else np.empty(0)
    return numbers[np.isfinite(numbers)]


def _line(code, region):
    if code != TRACKED:
        return f"{code}\n"
    # pysot-compat: numbers pass through float32 before they are printed. test: toolkit/results/test_results.py::test_numbers_as_float32
    return ",".join(f"{value:.4f}" for value in np.float32(region[~np.isnan(region)])) + "\n"


def is_nested(dataset: Dataset) -> bool:
    """Whether the results of a set are a folder for each video: GOT-10k's."""
    return dataset.name.lower().startswith("got-10k")
