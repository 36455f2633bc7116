"""Result files: the one module that knows their names and layouts.

VOT, supervised   <tracker>/baseline/<video>/<video>_001.txt ... _015.txt: one line per frame, `1` start, `2` lost, `0` skipped, else a region
                  (4 or 8 numbers, `%.4f`, commas); seconds per frame in <video>_001_time.value
one pass (OPE)    <tracker>/<video>.txt, or as GOT-10k has it <tracker>/<video>/<video>_001.txt: x,y,width,height per line; seconds per frame in
                  <video>_time.txt. A name may differ in case, and in - for _ or .

Read leniently where the meaning is clear (CRLF, byte order mark, tabs, blanks or semicolons between numbers, empty lines at the end); anything else
is a ResultError that names file and line: a damaged result is never scored.
"""

import os
import re
import shutil
from collections.abc import Sequence as Listing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pysot.toolkit.region import region_table
from pysot.utils.files import atomic_write, read_json, write_json

SKIPPED, START, LOST, TRACKED = 0, 1, 2, 3


class ResultError(ValueError):
    """A result file that cannot be scored; the message names the file, the line and what is wrong."""


@dataclass(frozen=True)
class Trajectory:
    """One run over one video. codes (N,) int8: SKIPPED, START, LOST or TRACKED; regions (N, 8) float64, see region.region_table, NaN where the code
    is not TRACKED; seconds (N,) float64 or None.
    """

    codes: np.ndarray
    regions: np.ndarray
    seconds: np.ndarray | None = None

    def __post_init__(self):
        n = len(self.codes)
        if self.codes.ndim != 1 or n == 0 or self.regions.shape != (n, 8) or (self.seconds is not None and self.seconds.shape != (n,)):
            shapes = [None if part is None else part.shape for part in (self.codes, self.regions, self.seconds)]
            raise ValueError(f"a trajectory needs codes (N,), regions (N, 8) and seconds (N,) or None with N > 0, got {shapes}")
        if not np.isin(self.codes, (SKIPPED, START, LOST, TRACKED)).all():
            raise ValueError(f"codes are 0 to 3, got {np.unique(self.codes).tolist()}")
        complete = np.isfinite(self.regions[:, :4]).all(axis=1)
        if not np.array_equal(complete, self.codes == TRACKED):
            frame = int(np.flatnonzero(complete != (self.codes == TRACKED))[0]) + 1
            raise ValueError(f"frame {frame}: exactly the tracked frames have a region of finite numbers")

    @classmethod
    def from_frames(cls, frames: Listing, seconds=None) -> "Trajectory":
        """From one entry per frame: 0, 1 or 2, or a region of 4 or 8 numbers."""
        tracked = [not np.isscalar(frame) for frame in frames]
        codes = np.array([TRACKED if is_region else int(frame) for frame, is_region in zip(frames, tracked, strict=True)], np.int8)
        regions = np.full((len(frames), 8), np.nan)
        regions[tracked] = region_table([frame for frame, is_region in zip(frames, tracked, strict=True) if is_region])
        return cls(codes, regions, None if seconds is None else np.asarray(seconds, np.float64))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def failures(self) -> np.ndarray:
        """Frames at which the target was lost, from 0."""
        return np.flatnonzero(self.codes == LOST)


def tracker_dirs(path: str | os.PathLike, dataset: str, prefixes: Listing[str] = ("",), one_pass: bool = False) -> list[Path]:
    """Folders of the trackers in `path` with supervised or `one_pass` results, sorted by name. `path` is the folder of the data set's results, its parent, or
    one tracker's folder.

    With prefixes: for each the tracker of exactly that name if there is one, else those that begin with it. Raises FileNotFoundError if one has none.
    """
    path, holds, shape = Path(path), (_holds_ope if one_pass else _holds_baseline), ("<video>.txt" if one_pass else "baseline/<video>/<video>_001.txt")
    if holds(path):
        return [path]
    folder = path / dataset if (path / dataset).is_dir() else path
    if not folder.is_dir():
        raise FileNotFoundError(f"no results folder {folder}; expected {folder}/<tracker>/{shape}")
    names = sorted(entry.name for entry in os.scandir(folder) if holds(Path(entry.path)))
    chosen = set()
    for prefix in prefixes:
        fitting = [name for name in names if name == prefix] or [name for name in names if name.startswith(prefix)]
        if not fitting:
            found = f"it has {', '.join(names)}" if names else f"expected {folder}/<tracker>/{shape}"
            raise FileNotFoundError(f"no tracker{f' that begins with {prefix!r}' if prefix else ''} in {folder}; {found}")
        chosen.update(fitting)
    return [folder / name for name in sorted(chosen)]


def _holds_baseline(folder: Path) -> bool:
    return (folder / "baseline").is_dir()


def _holds_ope(folder: Path) -> bool:
    return folder.is_dir() and not _holds_baseline(folder) and any(True for pattern in ("*.txt", "*/*_001.txt") for _ in folder.glob(pattern))


def find_ope(tracker_dir: str | os.PathLike, video: str) -> Path:
    """The one-pass result of a video, under any of the names it may have; where it should be, if it is not there."""
    usual = Path(tracker_dir) / f"{video}.txt"
    if usual.is_file():
        return usual
    wanted = _plain_name(video)
    for entry in sorted(os.scandir(tracker_dir), key=lambda entry: entry.name) if Path(tracker_dir).is_dir() else ():
        stem, suffix = os.path.splitext(entry.name)
        if suffix == ".txt" and _plain_name(stem) == wanted:
            return Path(entry.path)
        nested = Path(entry.path) / f"{entry.name}_001.txt"
        if _plain_name(entry.name) == wanted and nested.is_file():
            return nested
    return usual


def _plain_name(name: str) -> str:
    return re.sub(r"[-_.]", "-", name.lower())


def claim_tracker_dir(tracker_dir: str | os.PathLike, fingerprint: str, replace: bool = False) -> None:
    """Note in `network.json` whose results the folder holds. Results of another network or other settings are removed with `replace`, else a ValueError."""
    path = Path(tracker_dir) / "network.json"
    if _holds_baseline(Path(tracker_dir)) or _holds_ope(Path(tracker_dir)):
        known = read_json(path, "origin of results").get("sha256") if path.exists() else None
        if known != fingerprint and replace:
            shutil.rmtree(tracker_dir)
        elif known != fingerprint:
            raise ValueError(f"{tracker_dir} holds results of another network or of other settings, which this run would mix with its own; "
                             "remove or rename that folder, or choose another --results_dir")
    write_json(path, {"sha256": fingerprint})


def baseline_file(tracker_dir: str | os.PathLike, video: str, repetition: int = 1) -> Path:
    """Where the result of one repetition on one video is."""
    return Path(tracker_dir) / "baseline" / video / f"{video}_{repetition:03d}.txt"


def baseline_files(tracker_dir: str | os.PathLike, video: str) -> list[Path]:
    """The files of all repetitions that are there, in order."""
    folder = Path(tracker_dir) / "baseline" / video
    pattern = re.compile(re.escape(video) + r"_\d{3}\.txt")
    return [folder / name for name in sorted(os.listdir(folder)) if pattern.fullmatch(name)] if folder.is_dir() else []


def save_baseline(tracker_dir: str | os.PathLike, video: str, trajectory: Trajectory, repetition: int = 1) -> Path:
    """Write a supervised result, and the seconds per frame if it has them; both whole or not at all. Returns the path of the result."""
    path = baseline_file(tracker_dir, video, repetition)
    if trajectory.seconds is not None:
        with atomic_write(path.with_name(f"{path.stem}_time.value")) as stream:
            stream.writelines(f"{second:.6f}\n" for second in trajectory.seconds)
    with atomic_write(path) as stream:
        stream.writelines(_line(code, region) for code, region in zip(trajectory.codes, trajectory.regions, strict=True))
    return path


def load_baseline(path: str | os.PathLike, frames: int | None = None) -> Trajectory:
    """Read a supervised result; `frames` is the length it must have. Raises ResultError as described above."""
    numbers, counts = _numbers(path, frames)
    starts = np.cumsum(counts) - counts
    lead = numbers[starts]
    single = counts == 1
    wrong = np.where(single, ~np.isin(lead, (SKIPPED, START, LOST)), ~np.isin(counts, (4, 8)))
    _refuse(path, wrong, numbers, counts, "needs 0, 1, 2, or a region of 4 or 8 numbers")
    codes = np.where(single, lead, TRACKED).astype(np.int8)
    regions = np.full((len(counts), 8), np.nan)
    for size in (4, 8):
        rows = np.flatnonzero(counts == size)
        regions[rows, :size] = numbers[starts[rows, None] + np.arange(size)]
    _check_regions(path, regions, numbers, counts)
    started = codes[codes != SKIPPED]
    if len(started) == 0 or started[0] != START:
        raise ResultError(f"{path} does not begin with 1 (start): not a result of the supervised protocol")
    _check_order(path, codes)
    return Trajectory(codes, regions)


# What may stand on the line before each entry; the first line is a start, or skipped until one.
_BEFORE = {START: (SKIPPED, LOST), LOST: (START, TRACKED), TRACKED: (START, TRACKED), SKIPPED: (SKIPPED, LOST)}


def _check_order(path, codes):
    for code, allowed in _BEFORE.items():
        wrong = (codes[1:] == code) & ~np.isin(codes[:-1], allowed)
        if wrong.any():
            row = int(np.argmax(wrong)) + 1
            names = {SKIPPED: "0 (skipped)", START: "1 (start)", LOST: "2 (lost)", TRACKED: "a region"}
            what = f"{names[code]} after {names[int(codes[row - 1])]}"
            raise ResultError(f"{path} line {row + 1}: {what} cannot be in a supervised result; track this video again")


def save_ope(tracker_dir: str | os.PathLike, video: str, boxes_xywh: np.ndarray, seconds: np.ndarray | None = None, nested: bool = False) -> Path:
    """Write a one-pass result, boxes (N, 4), and the seconds per frame (N,) if given; `nested` as GOT-10k has it. Returns the path of the boxes."""
    boxes_xywh = np.asarray(boxes_xywh, np.float64)
    if boxes_xywh.ndim != 2 or boxes_xywh.shape[1] != 4 or not np.isfinite(boxes_xywh).all():
        raise ValueError(f"result of {video}: needs finite boxes (N, 4), got {boxes_xywh.shape}")
    path = Path(tracker_dir) / video / f"{video}_001.txt" if nested else Path(tracker_dir) / f"{video}.txt"
    if seconds is not None:
        with atomic_write(path.with_name(f"{video}_time.txt")) as stream:
            stream.writelines(f"{second:.6f}\n" for second in seconds)
    with atomic_write(path) as stream:
        stream.writelines(",".join(f"{value:.4f}" for value in box) + "\n" for box in boxes_xywh)
    return path


def load_ope(path: str | os.PathLike, frames: int | None = None) -> np.ndarray:
    """Read a one-pass result as (N, 4) float64 xywh; `frames` is the length it must have. Raises ResultError."""
    numbers, counts = _numbers(path, frames)
    _refuse(path, counts != 4, numbers, counts, "needs x,y,width,height")
    boxes = numbers.reshape(-1, 4)
    _check_regions(path, np.pad(boxes, ((0, 0), (0, 4)), constant_values=np.nan), numbers, counts)
    return boxes


def _line(code, region):
    if code != TRACKED:
        return f"{code}\n"
    # pysot-compat: numbers pass through float32 before they are printed. test: toolkit/test_results.py::test_numbers_as_float32
    return ",".join(f"{value:.4f}" for value in np.float32(region[~np.isnan(region)])) + "\n"


def _numbers(path, frames) -> tuple[np.ndarray, np.ndarray]:
    """All numbers of the file in one array, and how many there are on each line."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig").rstrip()
    except FileNotFoundError:
        raise ResultError(f"no result file {path}; track this video") from None
    except UnicodeDecodeError:
        raise ResultError(f"{path} is not a text file; track this video again") from None
    lines = text.split("\n")
    if not text:
        raise ResultError(f"{path} is empty; track this video again")
    if frames is not None and len(lines) != frames:
        raise ResultError(f"{path} has {len(lines)} lines for {frames} frames; track this video again")
    try:
        counts = np.array([line.count(",") for line in lines]) + 1
        return np.array(list(map(float, text.replace("\n", ",").split(",")))), counts
    except ValueError:
        listed = [_numbers_of_odd_line(path, number, line) for number, line in enumerate(lines, start=1)]
        return np.concatenate(listed), np.array([len(numbers) for numbers in listed])


def _numbers_of_odd_line(path, number, line):
    words = re.sub(r"\s*[,;\s]\s*", ",", line.strip()).split(",")
    try:
        return [float(word) for word in words]
    except ValueError:
        raise ResultError(f"{path} line {number} needs numbers, got {line.strip()[:60]!r}") from None


def _check_regions(path, regions, numbers, counts):
    finite = np.add.reduceat(~np.isfinite(numbers), np.cumsum(counts) - counts) == 0
    _refuse(path, ~finite, numbers, counts, "has a number that is not finite")
    negative = (counts == 4) & (np.nan_to_num(regions[:, 2:4]) < 0).any(axis=1)
    _refuse(path, negative, numbers, counts, "has a negative width or height")


def _refuse(path, wrong, numbers, counts, what):
    """Raise for the first line that is wrong."""
    if wrong.any():
        row = int(np.argmax(wrong))
        line = np.split(numbers, np.cumsum(counts)[:-1])[row]
        raise ResultError(f"{path} line {row + 1} {what}, got {','.join(f'{value:g}' for value in line)}")
