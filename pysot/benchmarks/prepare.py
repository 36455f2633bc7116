"""Measures how fast crops are made, against decoding the same images and encoding the same crops and nothing else."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from pysot.datasets.crop import CropResult, crop511, crop_videos
from pysot.datasets.raw.video import RawVideo
from pysot.utils.image import decode_image, read_file


def prepare_times(videos: Sequence[RawVideo], procs: Sequence[int], repeats: int) -> dict[str, list[float]]:
    """Seconds for all videos, the start of processes not counted, of each of `repeats` rounds in which everything has its turn: `plain` (one process: decode
    and encode from memory) and `<n>` for each number of processes.
    """
    cv2.setNumThreads(0)
    files = [(frame, read_file(frame.image)) for video in videos for frame in video.frames]
    crops = [[crop511(decode_image(data, frame.image), box) for box in frame.boxes.values()] for frame, data in files]
    spent: dict[str, list[float]] = {name: [] for name in ("plain", *map(str, procs))}
    for _ in range(repeats):
        began = time.perf_counter()
        for (frame, data), made in zip(files, crops, strict=True):
            decode_image(data, frame.image)
            for crop in made:
                cv2.imencode(".jpg", crop)
        spent["plain"].append(time.perf_counter() - began)
        for count in procs:
            with tempfile.TemporaryDirectory() as folder:
                spent[str(count)].append(_steady(crop_videos(videos, Path(folder), count), len(videos)))
    return spent


def _steady(results: Iterator[CropResult], videos: int) -> float:
    """Seconds for all videos, from the pace after the first one, when all processes have begun."""
    began, count = time.perf_counter(), 0
    for count, result in enumerate(results, 1):
        if result.problems:
            raise ValueError(f"a benchmark needs images that can be read: {result.problems[0]}")
        if count == 1:
            began = time.perf_counter()
    return (time.perf_counter() - began) * videos / (count - 1)
