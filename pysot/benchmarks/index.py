"""Benchmark of the annotation index at the scale of YouTube-BB: time to build and to open it, memory of processes."""

import multiprocessing
import os
import tempfile
import time
from multiprocessing.queues import Queue
from pathlib import Path

import numpy as np

from pysot.benchmarks.job import Job, Result, Row
from pysot.datasets.annotation import TrackAnnotation
from pysot.datasets.index import load_annotation
from pysot.datasets.sampler import draw_pair, epoch_order

EPOCH_PAIRS = 600_000


def write_annotation(path: Path, videos: int, frames: int = 13) -> None:
    """Write a JSON annotation of `videos` videos: each has one track, every 19th has two, with `frames` boxes each."""
    rng = np.random.default_rng(0)
    with open(path, "w", encoding="utf-8") as stream:
        for video in range(videos):
            tracks = []
            for track in range(1 + (video % 19 == 0)):
                corners = rng.integers(0, 600, (frames, 4)).tolist()
                boxes = ", ".join(
                    f'"{frame:06d}": [{x}.125, {y}.5, {x + w + 1}.25, {y + h + 1}.75]'
                    for frame, (x, y, w, h) in enumerate(corners)
                )
                tracks.append(f'"{track:02d}": {{{boxes}}}')
            separator = ", " if video else "{"
            name = f"yt_bb_detection_train/{video % 23}/video{video:08d}"
            stream.write(f'{separator}"{name}": {{{", ".join(tracks)}}}')
        stream.write("}")


def measure_index(folder: Path, videos: int, epochs: int = 2) -> dict[str, float]:
    """Return seconds and memory of building, opening and using the index of a new annotation in `folder`. Linux only.

    Keys: `boxes`; seconds `made` and `opened`; private memory (MiB) of the parent for index and epoch order, `parent`;
    size (MiB) of the epoch order, `order`; growth of the private memory (MiB) of a loader process after drawing the
    pairs of each epoch, `worker after epoch <n>`.
    """
    (folder / "crop511").mkdir(parents=True)
    write_annotation(folder / "train.json", videos)
    context = multiprocessing.get_context("fork")
    began = time.perf_counter()
    # Another process builds the index, so its memory is not counted.
    builder = context.Process(target=load_annotation, args=("SET", folder / "crop511", folder / "train.json"))
    builder.start()
    builder.join()
    made = time.perf_counter() - began
    os.sync()  # pages that are not written to disk yet would count as private memory
    before, began = private_mib(), time.perf_counter()
    annotation = load_annotation("SET", folder / "crop511", folder / "train.json")
    opened = time.perf_counter() - began
    order = epoch_order(0, 0, [annotation.video_count], [-1], EPOCH_PAIRS)
    results = context.Queue()
    worker = context.Process(target=_draw_pairs, args=(annotation, epochs, results))
    worker.start()
    growth = results.get()
    worker.join()
    return {
        "boxes": len(annotation.boxes),
        "made": made,
        "opened": opened,
        "parent": private_mib() - before,
        "order": order.nbytes / 2**20,
        **{f"worker after epoch {epoch + 1}": mib for epoch, mib in enumerate(growth)},
    }


def _draw_pairs(annotation: TrackAnnotation, epochs: int, results: Queue) -> None:
    """Draw pairs for some epochs; put the list of the memory growth (MiB) after each epoch into `results`."""
    before, growth, order = private_mib(), [], None
    for epoch in range(epochs):
        del order
        order = epoch_order(0, epoch, [annotation.video_count], [-1], EPOCH_PAIRS)
        for position in range(0, EPOCH_PAIRS, 8):
            pair = draw_pair(np.random.default_rng([0, epoch, position]), [annotation], [3], order[position], 0.2)
            annotation.crop_path(pair.search.video, pair.search.track, pair.search.box)
        growth.append(private_mib() - before)
    results.put(growth)


def private_mib() -> float:
    """Return the memory (MiB) that this process shares with no other process and no file."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as stream:
        return sum(int(line.split()[1]) for line in stream if line.startswith("Private_Dirty")) / 1024


def index(job: Job) -> Result:
    """Measure the annotation index at the scale of YouTube-BB."""
    with tempfile.TemporaryDirectory() as folder:
        measured = measure_index(Path(folder) / "data", job.videos)
    rows = [
        Row("boxes", measured["boxes"], "boxes"),
        Row("made once", measured["made"], "s"),
        Row("opened", measured["opened"], "s", target=2.0),
        Row("parent", measured["parent"], "MiB", target=200.0),
        Row("order of an epoch", measured["order"], "MiB"),
        *(Row(name, mib, "MiB more", target=20.0) for name, mib in measured.items() if name.startswith("worker")),
    ]
    return rows, "memory that is shared with other processes is not counted"
