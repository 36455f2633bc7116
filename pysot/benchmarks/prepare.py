"""Measures how fast crops are made, against decoding the same images and encoding the same crops and nothing else."""

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from pysot.benchmarks.job import Job, Result, Row
from pysot.datasets.crop import CropResult, crop511, crop_videos
from pysot.datasets.raw.registry import RAW_SETS
from pysot.datasets.raw.video import RawVideo
from pysot.utils.cores import usable_cores
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


def prepare(job: Job) -> Result:
    """Cropping a raw data set; the ratio is to decoding its images and encoding its crops and nothing else. Raises
    ValueError where no set is named, or none that is known.
    """
    if not job.raw:
        raise ValueError("give --raw SET ROOT, as for tools/prepare_data.py")
    name, root = job.raw[0], Path(job.raw[1])
    if name not in RAW_SETS:
        raise ValueError(f"--raw: {name!r} is no set; known: {', '.join(RAW_SETS)}")
    raw_set = RAW_SETS[name]
    videos = [video for split in raw_set.splits(root) for video in raw_set.videos(root, split, Counter())]
    count, procs = sum(len(video.frames) for video in videos), sorted({1, len(usable_cores())})
    times = prepare_times(videos, procs, job.repeats)
    medians = {way: statistics.median(seconds) for way, seconds in times.items()}
    boxes, plain = sum(len(frame.boxes) for video in videos for frame in video.frames), medians.pop("plain")
    rows = [
        Row("plain decode and encode", count / plain, "images/s"),
        Row("boxes per image", boxes / count, "boxes"),
        *(
            Row(f"{way} process{'es' * (way != '1')}", count / seconds, "images/s", plain / seconds)
            for way, seconds in medians.items()
        ),
    ]
    gain = medians["1"] / medians[str(procs[-1])]
    return rows, f"{procs[-1]} processes make {gain:.2f} times as many as one"
