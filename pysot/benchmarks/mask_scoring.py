"""Benchmark of J and F of masks of objects: from files, and compared with dilating whole frames by a disk."""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from pysot.benchmarks.job import Row
from pysot.toolkit.datasets.label_files import LabelFiles
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.datasets.sequence import Sequence as Video
from pysot.toolkit.evaluation.objects import load_objects
from pysot.toolkit.region.mask_measures import measure_masks, tolerance
from pysot.utils.files import write_bytes
from pysot.utils.label_images import encode_label_image

WIDTH, HEIGHT = 854, 480
NUMBERS = (1, 2)
FRAMES = 60  # measured; times are given for 1000
_CORNERS = 240  # of an outline


def make_masks(frames: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return label images (truth, result) of two objects with ragged outlines that cover 7 % of a frame each."""
    rng, pairs = np.random.default_rng(seed), []
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    ragged = cv2.GaussianBlur(rng.normal(0, 60, (2, _CORNERS)), (0, 0), 3, borderType=cv2.BORDER_REFLECT)
    for index in range(frames):
        images = np.zeros((2, HEIGHT, WIDTH), np.uint8)
        for number, radii in zip(NUMBERS, ragged, strict=True):
            centre = np.array([140 + 240 * number + 60 * np.sin(index / 9 + number), 240 + 50 * np.cos(index / 7)])
            for image, moved in zip(images, (0, rng.normal(0, 3, (_CORNERS, 2))), strict=True):
                directions = np.stack([0.8 * np.cos(angles), np.sin(angles)], axis=1)
                outline = centre + moved + (105 + radii[:, None] / 3) * directions
                cv2.fillPoly(image, [np.rint(outline).astype(np.int32)], number)
        pairs.append((images[0], images[1]))
    return pairs


def measure_plainly(truth: np.ndarray, result: np.ndarray, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return J and F as `measure_masks` does, from masks of the whole frame and dilations by a disk."""
    radius = tolerance(truth.shape)
    squares = np.arange(-radius, radius + 1) ** 2
    disk = (np.add.outer(squares, squares) <= radius**2).astype(np.uint8)
    values = []
    for number in numbers:
        masks = [image == number for image in (truth, result)]
        boundaries = [_boundary(mask) for mask in masks]
        near = [cv2.dilate(boundary.astype(np.uint8), disk) > 0 for boundary in boundaries]
        recall = (boundaries[0] & near[1]).sum() / boundaries[0].sum()
        precision = (boundaries[1] & near[0]).sum() / boundaries[1].sum()
        region = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
        values.append((region, 2 * precision * recall / (precision + recall)))
    regions, contours = np.array(values).T
    return regions, contours


def _boundary(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    return (mask != padded[:-1, 1:]) | (mask != padded[1:, :-1]) | (mask != padded[1:, 1:])


def mask_rows(repeats: int) -> list[Row]:
    """Measure J and F on one core and return the rows: seconds of 1000 frames, medians of the repetitions.

    Raises RuntimeError if the plain way gives other values.
    """
    pairs = make_masks(FRAMES)
    for pair in pairs:
        if not np.allclose(measure_masks(*pair, NUMBERS), measure_plainly(*pair, NUMBERS), rtol=0, atol=1e-12):
            raise RuntimeError("J and F differ from those of whole frames, which they never should")
    files, arrays, ratios = [], [], []
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        dataset = _write(Path(folder), pairs)
        for _ in range(repeats):
            marks = [time.perf_counter()]
            load_objects(dataset, dataset.sequences[0], Path(folder) / "tracker", [])
            marks.append(time.perf_counter())
            for measure in (measure_masks, measure_plainly):
                for pair in pairs:
                    measure(*pair, NUMBERS)
                marks.append(time.perf_counter())
            from_files, measured, plain = np.diff(marks).tolist()
            files.append(from_files / (FRAMES - 2))  # the first and the last frame do not count
            arrays.append(measured / FRAMES)
            ratios.append(plain / measured)
    return [
        Row("J and F of 1000 frames, two objects", 1000 * statistics.median(files), "s", target=20.0),
        Row(
            "J and F without reading, to whole frames", 1000 * statistics.median(arrays), "s", statistics.median(ratios)
        ),
    ]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Restrict OpenCV to one thread."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _write(folder: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> Dataset:
    """Write truth and results; return the data set."""
    names = [f"{index:05d}.png" for index in range(len(pairs))]
    for name, (truth, result) in zip(names, pairs, strict=True):
        write_bytes(folder / "truth" / name, encode_label_image(truth))
        write_bytes(folder / "tracker" / "a" / name, encode_label_image(result))
    labels = LabelFiles([folder / "truth" / name for name in names], False, dict.fromkeys(NUMBERS, 0))
    frames = [f"a/{index:05d}.jpg" for index in range(len(pairs))]
    video = Video("a", frames, [np.full(4, np.nan)] * len(pairs), WIDTH, HEIGHT, labels=labels)
    return Dataset("MASKS", [video], (), None, "objects")
