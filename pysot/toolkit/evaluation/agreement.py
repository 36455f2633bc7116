"""Agreement of two trackers' results, such as those made here with those that others published.

For each sequence: the first frame whose regions differ, the mean overlap of both, and the losses of both. Compared are
results of one run on each sequence: of VOT sets until 2019 and long-term sets, and of one-pass sets. Of several
repetitions the first one counts.

Frames count from 1, as the lines of the files. In runs with restarts, the frames from the first one on at which only
one of both starts are left out: from there on the two follow different starts, whose boxes say nothing about the
tracker.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence
from pysot.toolkit.evaluation.runs import UNBOUNDED
from pysot.toolkit.protocol import NAN, Protocol
from pysot.toolkit.region.raster import corners_of, overlaps
from pysot.toolkit.results.files import load_baseline, load_ope, load_run
from pysot.toolkit.results.paths import find_ope_runs, vot_files
from pysot.toolkit.results.trajectory import SKIPPED, START, TRACKED, Trajectory

TOLERANCE = 0.05  # pixels
_SINGLE_RUNS = ("supervised", "longterm", "one pass")


@dataclass(frozen=True)
class Agreement:
    """Agreement of two results on a sequence.

    `frames` have regions in both and are compared; `overlap` is their mean overlap, NaN without any. `first_difference`
    is the first frame whose regions differ by more than the tolerance, or which only one of both has; None if there is
    none. `end` is the frame from which on nothing is compared, None if all frames are. `losses` are those of both, None
    in runs without restarts. With a `problem`, a sentence, nothing was compared.
    """

    name: str
    frames: int = 0
    overlap: float = NAN
    first_difference: int | None = None
    end: int | None = None
    losses: tuple[int, int] | None = None
    problem: str = ""


def check_comparable(dataset: Dataset, published: Path) -> None:
    """Raise FileNotFoundError without a folder of published results, ValueError for a set with several runs."""
    if not published.is_dir():
        raise FileNotFoundError(
            f"no folder of published results {published}; expected that of one tracker, with baseline/<video>/"
            "<video>_001.txt or <video>.txt"
        )
    if dataset.protocol not in _SINGLE_RUNS:
        raise ValueError(
            f"results of one run on each sequence can be compared, {dataset.name} ({dataset.protocol}) has others; "
            "leave out --check-against"
        )


def compare_results(
    dataset: Dataset, tracker_dir: Path, published: Path, protocol: Protocol, tolerance: float = TOLERANCE
) -> list[Agreement]:
    """Return the agreement of the results in two trackers' folders on each sequence.

    A result that is missing, damaged or of another length is a problem of its sequence. Raises as `check_comparable`.
    """
    check_comparable(dataset, published)
    rows = []
    for sequence in dataset.sequences:
        try:
            own, other = (_load(folder, sequence, protocol) for folder in (tracker_dir, published))
        except (ValueError, OSError) as error:
            rows.append(Agreement(sequence.name, problem=str(error)))
            continue
        rows.append(compare_runs(sequence, own, other, protocol.restarts, tolerance))
    return rows


def compare_runs(
    sequence: Sequence, own: Trajectory, other: Trajectory, restarts: bool, tolerance: float = TOLERANCE
) -> Agreement:
    """Return the agreement of two runs on a sequence."""
    starts = [run.codes == START for run in (own, other)]
    apart = np.flatnonzero(starts[0] != starts[1]) if restarts else np.empty(0, int)
    end = int(apart[0]) if len(apart) else len(own)
    a, b = own.regions[:end], other.regions[:end]
    has_a, has_b = (run.codes[:end] == TRACKED for run in (own, other))
    both = has_a & has_b
    differs = (has_a != has_b) & ~starts[0][:end] & ~starts[1][:end]
    differs[both] = region_distance(a[both], b[both]) > tolerance
    values = _overlaps(corners_of(a[both]), corners_of(b[both]))
    values = values[~np.isnan(values)]  # of two regions without a pixel
    return Agreement(
        sequence.name,
        frames=int(both.sum()),
        overlap=float(values.mean()) if len(values) else NAN,
        first_difference=int(np.argmax(differs)) + 1 if differs.any() else None,
        end=end + 1 if end < len(own) else None,
        losses=(len(own.failures), len(other.failures)) if restarts else None,
    )


def _overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the overlap (N,) of two arrays of corners (N, 4, 2), also of their parts outside of the frame."""
    origin = np.floor(np.minimum(a, b).min(axis=1, keepdims=True))
    return overlaps(a - origin, b - origin, UNBOUNDED, UNBOUNDED)


def region_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the largest difference (N,) of the numbers of two tables of regions (N, 8), in pixels.

    Two boxes differ in x, y, width and height. Polygons, and a box and a polygon, differ in their corners, whichever of
    them is the first and whichever way they go around.
    """
    boxes = np.abs(a[:, :4] - b[:, :4]).max(axis=1, initial=0)
    corners_a, corners_b = corners_of(a), corners_of(b)
    orders = [np.roll(order, shift) for order in (np.arange(4), np.arange(3, -1, -1)) for shift in range(4)]
    corners = np.min([np.abs(corners_a - corners_b[:, order]).max(axis=(1, 2), initial=0) for order in orders], axis=0)
    return np.where(np.isnan(a[:, 4]) & np.isnan(b[:, 4]), boxes, corners)


def _load(folder: Path, sequence: Sequence, protocol: Protocol) -> Trajectory:
    """Load the first result of a sequence. Raises ResultError or ValueError that names the file."""
    if protocol.experiment:
        path = vot_files(folder, sequence.name, protocol.experiment, sequence.similar_names)[0]
    else:
        path = find_ope_runs(folder, sequence.name, sequence.similar_names)[0]
    if not path.is_file():
        raise FileNotFoundError(f"no result {path}")
    if protocol.restarts:
        run = load_baseline(path)
    else:
        run = load_run(path) if protocol.experiment else _one_pass(path)
    if len(run) != len(sequence):
        raise ValueError(f"{path} has {len(run)} frames, {sequence.name} has {len(sequence)}; it is of another video")
    if run.masks:
        raise ValueError(f"{path} has masks, and only boxes and polygons are compared")
    return run


def _one_pass(path: Path) -> Trajectory:
    """Load a one-pass result; a box with NaN or of a negative size is none."""
    boxes = load_ope(path, notes=[])
    is_box = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] >= 0).all(axis=1)
    regions = np.full((len(boxes), 8), np.nan)
    regions[is_box, :4] = boxes[is_box]
    return Trajectory(np.where(is_box, TRACKED, SKIPPED).astype(np.int8), regions)
