"""Read and write result files. For their names and folders, see `paths`; for the syntax of lines, see `lines`.

VOT        one line per frame: `1` start, `2` lost, `0` skipped, else a region (4 or 8 numbers, `%.4f`, commas, or a
           mask, see `pysot.utils.masks`, in its smallest window). For the binary form, see `binary`. Seconds,
           confidences and targets of a batch have one number per line
one pass   one line x,y,width,height per frame
"""

import os
from pathlib import Path

import numpy as np

from pysot.toolkit.results.binary import binary_result, read_binary
from pysot.toolkit.results.lines import Lines, ResultError, read_lines, read_values
from pysot.toolkit.results.paths import batch_file, ope_file, other_form
from pysot.toolkit.results.trajectory import LOST, SKIPPED, START, TRACKED, Trajectory
from pysot.utils.files import atomic_write


def save_vot(path: str | os.PathLike, trajectory: Trajectory) -> Path:
    """Write a VOT result, and its seconds per frame, confidences and batch if it has them. Returns the result's path.

    `path` ends in .txt, or in .bin for the binary form; the file of the other form is removed, so that an earlier
    result is not read. Each file is complete or absent. Raises ValueError that names file and frame for a mask that has
    no binary form; then nothing is written.
    """
    path = Path(path)
    content = _content(path, trajectory)
    for name, values in (("time", trajectory.seconds), ("confidence", trajectory.confidence)):
        if values is not None:
            with atomic_write(path.with_name(f"{path.stem}_{name}.value")) as stream:
                stream.writelines("\n" if value != value else f"{value:.6f}\n" for value in values)
    _save_batch(batch_file(path), trajectory.batch)
    with atomic_write(path, "wb") as stream:
        stream.write(content)
    other_form(path).unlink(missing_ok=True)
    return path


def _content(path: Path, trajectory: Trajectory) -> bytes:
    """Return the content of a VOT result in the form that its path asks for."""
    if path.suffix == ".bin":
        try:
            return binary_result(trajectory)
        except ValueError as error:
            raise ValueError(f"{path}, {error}") from None
    lines = []
    for index, (code, region) in enumerate(zip(trajectory.codes, trajectory.regions, strict=True)):
        mask = trajectory.masks.get(index)
        lines.append(_line(code, region) if mask is None else mask.tight().text() + "\n")
    return "".join(lines).encode()


def _save_batch(path: Path, batch: np.ndarray | None) -> None:
    """Write how many targets shared the seconds of each frame; without, remove the file of an earlier result."""
    if batch is None:
        path.unlink(missing_ok=True)
    else:
        with atomic_write(path) as stream:
            stream.writelines(f"{targets}\n" for targets in batch)


def _read_vot(path: str | os.PathLike, frames: int | None) -> Lines:
    return read_binary(path, frames) if Path(path).suffix == ".bin" else read_lines(path, frames)


def load_baseline(path: str | os.PathLike, frames: int | None = None) -> Trajectory:
    """Read a supervised result; `frames` is the required length. Raises ResultError."""
    lines = _read_vot(path, frames)
    lines.refuse_masks()
    single = lines.counts == 1
    is_code = (lines.first == SKIPPED) | (lines.first == START) | (lines.first == LOST)
    wrong = np.where(single, ~is_code, ~lines.are_regions)
    lines.refuse(wrong, "needs 0, 1, 2, or a region of 4 or 8 numbers")
    codes = np.where(single, lines.first, TRACKED).astype(np.int8)
    lines.refuse_invalid_regions()
    started = codes[codes != SKIPPED]
    if len(started) == 0 or started[0] != START:
        raise ResultError(f"{path} does not begin with 1 (start): not a result of the supervised protocol")
    _check_order(path, codes)
    return Trajectory(codes, lines.regions)


# [code, code on the line before]: True if the code may follow. The first line is a start, or skipped until one.
_MAY_FOLLOW = np.zeros((4, 4), bool)
for _code, _before in {
    START: (SKIPPED, LOST),
    LOST: (START, TRACKED),
    TRACKED: (START, TRACKED),
    SKIPPED: (SKIPPED, LOST),
}.items():
    _MAY_FOLLOW[_code, list(_before)] = True


def _check_order(path: str | os.PathLike, codes: np.ndarray) -> None:
    wrong = ~_MAY_FOLLOW[codes[1:], codes[:-1]]
    if wrong.any():
        row = int(np.argmax(wrong)) + 1
        names = {SKIPPED: "0 (skipped)", START: "1 (start)", LOST: "2 (lost)", TRACKED: "a region"}
        pair = f"{names[int(codes[row])]} after {names[int(codes[row - 1])]}"
        raise ResultError(f"{path} line {row + 1}: {pair} cannot be in a supervised result; track this video again")


def load_run(path: str | os.PathLike, frames: int | None = None) -> Trajectory:
    """Read a result without restarts, with its seconds and confidences if their files exist. Raises ResultError.

    The first line is `1` or a region. Other lines are regions; where the tracker reports that the target is absent,
    they are `0` or have NaN, which is read as SKIPPED.
    """
    path = Path(path)
    lines = _read_vot(path, frames)
    single = lines.counts == 1
    is_start = (lines.first == START) & (np.arange(len(lines)) == 0)
    wrong = np.where(single, (lines.first != SKIPPED) & ~is_start, ~lines.are_regions)
    lines.refuse(wrong, "needs a region of 4 or 8 numbers, or 0; 1 on the first line only")
    if single[0] and lines.first[0] != START:
        raise ResultError(f"{path} does not begin with 1 (start) or a region")
    regions = lines.regions.copy()
    absent = ~single & np.add.reduceat(np.isnan(lines.numbers), np.cumsum(lines.counts) - lines.counts).astype(bool)
    regions[absent] = np.nan
    numbers = np.where(np.repeat(absent, lines.counts), 0.0, lines.numbers)
    Lines(lines.path, numbers, lines.counts).refuse_invalid_regions()
    codes = np.where(single, lines.first, np.where(absent, SKIPPED, TRACKED)).astype(np.int8)
    seconds, confidence = (
        read_values(path.with_name(f"{path.stem}_{name}.value"), len(lines)) for name in ("time", "confidence")
    )
    return Trajectory(codes, regions, seconds, confidence, lines.masks)


def load_seconds(path: str | os.PathLike, frames: int) -> np.ndarray | None:
    """Read the seconds per frame (N,) beside a VOT result, None if there is no such file. Raises ResultError."""
    return read_values(Path(path).with_name(f"{Path(path).stem}_time.value"), frames)


def save_ope(
    tracker_dir: str | os.PathLike,
    video: str,
    boxes_xywh: np.ndarray,
    seconds: np.ndarray | None = None,
    nested: bool = False,
    batch: np.ndarray | None = None,
) -> Path:
    """Write a one-pass result, boxes (N, 4), and the seconds per frame (N,) if given. Returns the path of the boxes.

    With `nested`, the files are in a folder of the video, as in GOT-10k. `batch` (N,) is that of a trajectory.
    """
    boxes_xywh = np.asarray(boxes_xywh, np.float64)
    if boxes_xywh.ndim != 2 or boxes_xywh.shape[1] != 4 or not np.isfinite(boxes_xywh).all():
        raise ValueError(f"result of {video}: needs finite boxes (N, 4), got {boxes_xywh.shape}")
    path = ope_file(tracker_dir, video, nested)
    if seconds is not None:
        with atomic_write(path.with_name(f"{video}_time.txt")) as stream:
            stream.writelines(f"{second:.6f}\n" for second in seconds)
    _save_batch(batch_file(path), batch)
    with atomic_write(path) as stream:
        stream.write(ope_text(boxes_xywh))
    return path


def ope_text(boxes_xywh: np.ndarray) -> str:
    """Format boxes (N, 4) as the text of a one-pass result."""
    return "".join(",".join(f"{value:.4f}" for value in box) + "\n" for box in boxes_xywh)


def load_ope(
    path: str | os.PathLike, frames: int | None = None, notes: list[str] | None = None, allow_extra: bool = False
) -> np.ndarray:
    """Read a one-pass result as (N, 4) float64 xywh. Raises ResultError.

    `frames` is the required number of lines; with `allow_extra`, more lines are allowed and only the first `frames`
    count. With `notes`, a box after the first may be NaN, infinite (which becomes NaN) or of a negative size, and a
    sentence on such boxes and on extra lines is added to the notes. Without `notes`, such a box is an error.
    """
    lines = read_lines(path, frames, allow_extra)
    lines.refuse_masks()
    lines.refuse(lines.counts != 4, "needs x,y,width,height")
    boxes = lines.numbers.reshape(-1, 4)
    invalid = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 2:] < 0).any(axis=1)
    if notes is None or invalid[0]:
        lines.refuse_invalid_regions()
        return boxes
    if lines.extra:
        notes.append(
            f"{path} has {lines.extra} line{'s' if lines.extra > 1 else ''} more than frames: the first {frames} "
            "count, as in the set's own toolkit"
        )
    if invalid.any():
        rows = np.flatnonzero(invalid) + 1
        listed = ", ".join(map(str, rows[:5])) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
        notes.append(
            f"{path}: the boxes of line{'s' if len(rows) > 1 else ''} {listed} are no boxes (NaN or a negative size): "
            "misses in pysot's arithmetic, the one before instead in OTB's toolkit and its copies"
        )
    return np.where(np.isfinite(boxes), boxes, np.nan)


def load_ope_seconds(path: str | os.PathLike) -> np.ndarray:
    """Read all finite seconds (K,) of all repetitions, from the file beside the first one-pass result of a video.

    Without that file, the array is empty. Raises ResultError.
    """
    path = Path(path)
    time_path = path.with_name(f"{path.stem.removesuffix('_001')}_time.txt")
    numbers = read_lines(time_path).numbers if time_path.is_file() else np.empty(0)
    return numbers[np.isfinite(numbers)]


def _line(code: int, region: np.ndarray) -> str:
    if code != TRACKED:
        return f"{code}\n"
    # pysot-compat: numbers pass through float32 before they are printed.
    # test: toolkit/results/test_results.py::test_numbers_as_float32
    return ",".join(f"{value:.4f}" for value in region[~np.isnan(region)].astype(np.float32)) + "\n"
