"""Measures the annotation index at the scale of YouTube-BB: how long it takes to make and to open, and the memory of the processes that use it."""

import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from pysot.benchmarks.job import Job, Result, Row
from pysot.datasets.annotation import TrackAnnotation
from pysot.datasets.index import load_annotation
from pysot.datasets.sampler import draw_pair, epoch_order

EPOCH = 600_000  # pairs


def write_annotation(path: Path, videos: int, frames: int = 13) -> None:
    """A json of `videos` videos of one track, some of two, of `frames` boxes each."""
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
            stream.write(
                f'{", " if video else "{"}"yt_bb_detection_train/{video % 23}/video{video:08d}": {{{", ".join(tracks)}}}'
            )
        stream.write("}")


def measure_index(folder: Path, videos: int, epochs: int = 2) -> dict[str, float]:
    """Seconds to make and to open the index of a new annotation in `folder`, and MiB that belong to a process alone: of the parent for the index and the order
    of an epoch, and of a loader process more than it had at its start, after each epoch of drawing pairs. Linux only.
    """
    (folder / "crop511").mkdir(parents=True)
    write_annotation(folder / "train.json", videos)
    context = multiprocessing.get_context("fork")
    began = time.perf_counter()
    maker = context.Process(
        target=load_annotation, args=("SET", folder / "crop511", folder / "train.json")
    )  # its memory is none of ours
    maker.start()
    maker.join()
    made = time.perf_counter() - began
    os.sync()  # pages that are not on the disk yet would count as a process's own
    before, began = own_mib(), time.perf_counter()
    annotation = load_annotation("SET", folder / "crop511", folder / "train.json")
    opened, order = time.perf_counter() - began, epoch_order(0, 0, [annotation.video_count], [-1], EPOCH)
    results = context.Queue()
    worker = context.Process(target=_draw, args=(annotation, epochs, results))
    worker.start()
    grown = results.get()
    worker.join()
    return {
        "boxes": len(annotation.boxes),
        "made": made,
        "opened": opened,
        "parent": own_mib() - before,
        "order": order.nbytes / 2**20,
        **{f"worker after epoch {epoch + 1}": mib for epoch, mib in enumerate(grown)},
    }


def _draw(annotation: TrackAnnotation, epochs: int, results) -> None:
    before, grown, order = own_mib(), [], None
    for epoch in range(epochs):
        del order
        order = epoch_order(0, epoch, [annotation.video_count], [-1], EPOCH)
        for position in range(0, EPOCH, 8):
            pair = draw_pair(np.random.default_rng([0, epoch, position]), [annotation], [3], order[position], 0.2)
            annotation.crop_path(pair.search.video, pair.search.track, pair.search.box)
        grown.append(own_mib() - before)
    results.put(grown)


def own_mib() -> float:
    """Memory that this process shares with no other and with no file."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as stream:
        return sum(int(line.split()[1]) for line in stream if line.startswith("Private_Dirty")) / 1024


def index(job: Job) -> Result:
    """The annotation index at the scale of YouTube-BB."""
    with tempfile.TemporaryDirectory() as folder:
        seen = measure_index(Path(folder) / "data", job.videos)
    rows = [
        Row("boxes", seen["boxes"], "boxes"),
        Row("made once", seen["made"], "s"),
        Row("opened", seen["opened"], "s", target=2.0),
        Row("parent", seen["parent"], "MiB", target=200.0),
        Row("order of an epoch", seen["order"], "MiB"),
        *(Row(name, mib, "MiB more", target=20.0) for name, mib in seen.items() if name.startswith("worker")),
    ]
    return rows, "memory is what no other process shares"
