"""Benchmark of cropping raw images, against only decoding the same images and encoding the same crops."""

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from pysot.benchmarks.generated import make_raw_set, temporary_data
from pysot.benchmarks.job import Job, Result, Row
from pysot.datasets.crop import CropResult, crop511, crop_videos
from pysot.datasets.raw.registry import RAW_SETS
from pysot.datasets.raw.video import RawVideo
from pysot.utils.cores import usable_cores
from pysot.utils.image import decode_image, read_image_bytes


def prepare_times(videos: Sequence[RawVideo], procs: Sequence[int], repeats: int) -> dict[str, list[float]]:
    """Return the seconds for all videos in each of `repeats` rounds; every round measures everything in turn.

    Keys: `plain` (one process decodes and encodes from memory) and `<n>` for each number of processes. The start of
    processes is not counted.
    """
    cv2.setNumThreads(0)
    files = [(frame, read_image_bytes(frame.image)) for video in videos for frame in video.frames]
    crops = [[crop511(decode_image(data, frame.image), box) for box in frame.boxes.values()] for frame, data in files]
    spent: dict[str, list[float]] = {name: [] for name in ("plain", *map(str, procs))}
    for _ in range(repeats):
        began = time.perf_counter()
        for (frame, data), frame_crops in zip(files, crops, strict=True):
            decode_image(data, frame.image)
            for crop in frame_crops:
                cv2.imencode(".jpg", crop)
        spent["plain"].append(time.perf_counter() - began)
        for count in procs:
            with tempfile.TemporaryDirectory() as folder:
                spent[str(count)].append(_running_seconds(crop_videos(videos, Path(folder), count), len(videos)))
    return spent


def _running_seconds(results: Iterator[CropResult], videos: int) -> float:
    """Return the seconds for all videos at the pace after the first result, when all processes have started."""
    began, count = time.perf_counter(), 0
    for count, result in enumerate(results, 1):
        if result.problems:
            raise ValueError(f"a benchmark needs images that can be read: {result.problems[0]}")
        if count == 1:
            began = time.perf_counter()
    return (time.perf_counter() - began) * videos / (count - 1)


def prepare(job: Job) -> Result:
    """Measure cropping a raw data set; the ratio compares with only decoding its images and encoding its crops.

    Without --raw, generated sequences are cropped. Raises ValueError for an unknown set.
    """
    if job.raw:
        return _measure(job.raw[0], Path(job.raw[1]), job.repeats)
    with temporary_data("raw data set") as folder:
        make_raw_set(folder / "raw", frames=25)  # enough that the start of processes is a small part
        return _measure("vot", folder / "raw", job.repeats)


def _measure(name: str, root: Path, repeats: int) -> Result:
    if name not in RAW_SETS:
        raise ValueError(f"--raw: unknown set {name!r}; known sets: {', '.join(RAW_SETS)}")
    raw_set = RAW_SETS[name]
    videos = [video for split in raw_set.splits(root) for video in raw_set.videos(root, split, Counter())]
    images = sum(len(video.frames) for video in videos)
    procs = sorted({1, len(usable_cores())})
    times = prepare_times(videos, procs, repeats)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    boxes = sum(len(frame.boxes) for video in videos for frame in video.frames)
    plain = medians.pop("plain")
    rows = [Row("plain decode and encode", images / plain, "images/s"), Row("boxes per image", boxes / images, "boxes")]
    for count, seconds in medians.items():
        processes = "1 process" if count == "1" else f"{count} processes"
        rows.append(Row(processes, images / seconds, "images/s", plain / seconds))
    gain = medians["1"] / medians[str(procs[-1])]
    return rows, f"{procs[-1]} processes make {gain:.2f} times as many as one"
