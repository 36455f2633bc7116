"""Measures scoring: one tracker on a VOT set, and many on many sequences, to see whether memory and time hold."""

import functools
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from pysot.benchmarks.job import Job, Result, Row
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.datasets.sequence import Dataset, Sequence, VotSettings
from pysot.toolkit.experiments.scoring import evaluate_tracker, score_trackers
from pysot.toolkit.results.files import LOST, SKIPPED, START, TRACKED, Trajectory, save_vot, tracker_dirs, vot_file
from pysot.utils.cores import usable_cores

WIDTH, HEIGHT = 640, 480


def make_set(count: int, seed: int = 0) -> Dataset:
    """Sequences of 100 to 500 frames whose target wanders; nothing is written."""
    rng, sequences = np.random.default_rng(seed), []
    for number in range(count):
        frames = int(rng.integers(100, 500))
        corner = rng.uniform(100, 300, 2) + np.cumsum(rng.normal(0, 2, (frames, 2)), axis=0)
        truth = np.concatenate([corner, np.tile(rng.uniform(20, 90, 2), (frames, 1))], axis=1)
        paths = [f"s{number:04d}/{index:08d}.jpg" for index in range(frames)]
        sequences.append(
            Sequence(f"s{number:04d}", paths, truth, WIDTH, HEIGHT, {"occlusion": rng.random(frames) < 0.1})
        )
    return Dataset("SCALE", sequences, ("all", "occlusion"), VotSettings(100, 356, 160))


def write_results(dataset: Dataset, folder: Path, seed: int) -> None:
    """Results of a tracker that shakes around the truth and loses it now and then."""
    rng = np.random.default_rng(seed)
    for sequence in dataset.sequences:
        truth = np.stack(sequence.ground_truth)
        codes, regions = np.full(len(truth), TRACKED, np.int8), np.full((len(truth), 8), np.nan)
        regions[:, :4] = np.maximum(truth + rng.normal(0, 4, truth.shape), [-99, -99, 1, 1])
        codes[0] = START
        for loss in range(int(rng.integers(20, 90)), len(truth) - 6, 150):
            codes[loss : loss + 6] = [LOST, *[SKIPPED] * 4, START]
        regions[codes != TRACKED] = np.nan
        save_vot(vot_file(folder, sequence.name), Trajectory(codes, regions))


def measure_scale(
    folder: Path,
    sequences: int,
    trackers: int,
    workers: int,
    progress: Callable[[Iterable], Iterable] = iter,
) -> dict[str, float]:
    """Seconds to score all, frames of one tracker, and the most memory (MiB) of this process and of one of its
    workers.
    """
    dataset = make_set(sequences)
    folders = [folder / f"tracker{number:02d}" for number in range(trackers)]
    for seed, tracker in enumerate(progress(folders)):
        write_results(dataset, tracker, seed)
    began = time.perf_counter()
    scores = score_trackers(dataset, folders, workers)
    seconds = time.perf_counter() - began
    if any(score.problems for score in scores.trackers):
        raise RuntimeError(f"results that were just written cannot be scored: {scores.trackers[-1].problems[0]}")
    most = {
        who: resource.getrusage(flag).ru_maxrss / 1024
        for who, flag in (("here", resource.RUSAGE_SELF), ("worker", resource.RUSAGE_CHILDREN))
    }
    return {"seconds": seconds, "frames": sum(map(len, dataset.sequences)), **most}


def evaluation(job: Job) -> Result:
    """Scoring one tracker's results on a VOT set, from files on disk. Raises ValueError where no results are
    named.
    """
    if not job.results:
        raise ValueError("give --results FOLDER DATASET DATASETDIR, as for tools/eval.py")
    folder, name, root = job.results
    spent: dict[str, list[float]] = {"read the data set": [], "score, mode pysot": [], "score, mode vot and pysot": []}
    for _ in range(job.repeats + 1):  # the first one warms up
        marks = [time.perf_counter()]
        dataset = load_dataset(name, root)
        tracker = tracker_dirs(folder, name)[0]
        marks.append(time.perf_counter())
        for mode in ("pysot", "both"):
            evaluate_tracker(dataset, tracker, mode=mode)
            marks.append(time.perf_counter())
        for what, before, after in zip(spent, marks, marks[1:], strict=False):
            spent[what].append(after - before)
    medians = {what: statistics.median(seconds[1:]) for what, seconds in spent.items()}
    frames = sum(map(len, dataset.sequences))
    whole = medians["read the data set"] + medians["score, mode pysot"]
    rows = [
        Row("one tracker, all in all", whole, "s", target=0.25),
        *(Row(what, seconds, "s") for what, seconds in medians.items()),
        Row("frames", frames, "frames"),
    ]
    return rows, f"{frames / whole:.0f} frames a second"


def eval_many(job: Job) -> Result:
    """Scoring many trackers on many sequences, made for it, with all cores."""
    workers = len(usable_cores())
    with tempfile.TemporaryDirectory() as folder:
        progress = functools.partial(job.progress, description="making results")
        seen = measure_scale(Path(folder), job.sequences, job.trackers, workers, progress)
    rows = [
        Row("all trackers", seen["seconds"], "s"),
        Row("one tracker, of one process", workers * seen["seconds"] / job.trackers, "s"),
        Row("frames of a tracker", seen["frames"], "frames"),
        Row("memory of a worker, torch and all", seen["worker"], "MiB", target=1024.0),
        Row("memory of this process, torch and all", seen["here"], "MiB"),
    ]
    return rows, f"{job.sequences} sequences, {job.trackers} trackers, {workers} processes"
