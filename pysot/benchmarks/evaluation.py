"""Benchmarks of scoring: one tracker on a VOT set, and how time and memory scale to many trackers and sequences."""

import contextlib
import functools
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from pysot.benchmarks.generated import temporary_data
from pysot.benchmarks.job import Job, Result, Row
from pysot.benchmarks.mask_scoring import mask_rows
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.datasets.sequence import Dataset, Sequence, VotSettings
from pysot.toolkit.experiments.scoring import evaluate_tracker, score_trackers
from pysot.toolkit.results.files import LOST, SKIPPED, START, TRACKED, Trajectory, save_vot
from pysot.toolkit.results.paths import tracker_dirs, vot_file
from pysot.utils.cores import usable_cores
from pysot.utils.files import write_json

WIDTH, HEIGHT = 640, 480


def make_dataset(count: int, seed: int = 0) -> Dataset:
    """Return synthetic sequences of 100 to 500 frames with a wandering target; no files are written."""
    rng, sequences = np.random.default_rng(seed), []
    for number in range(count):
        frames = int(rng.integers(100, 500))
        corner = rng.uniform(100, 300, 2) + np.cumsum(rng.normal(0, 2, (frames, 2)), axis=0)
        ground_truth = np.concatenate([corner, np.tile(rng.uniform(20, 90, 2), (frames, 1))], axis=1)
        paths = [f"s{number:04d}/{index:08d}.jpg" for index in range(frames)]
        tags = {"occlusion": rng.random(frames) < 0.1}
        sequences.append(Sequence(f"s{number:04d}", paths, list(ground_truth), WIDTH, HEIGHT, tags))
    return Dataset("SCALE", sequences, ("all", "occlusion"), VotSettings(100, 356, 160))


def write_results(dataset: Dataset, folder: Path, seed: int) -> None:
    """Write results of a tracker with jitter around the ground truth and occasional failures."""
    rng = np.random.default_rng(seed)
    for sequence in dataset.sequences:
        ground_truth = np.stack(sequence.ground_truth)
        codes = np.full(len(ground_truth), TRACKED, np.int8)
        regions = np.full((len(ground_truth), 8), np.nan)
        regions[:, :4] = np.maximum(ground_truth + rng.normal(0, 4, ground_truth.shape), [-99, -99, 1, 1])
        codes[0] = START
        for failure in range(int(rng.integers(20, 90)), len(ground_truth) - 6, 150):
            codes[failure : failure + 6] = [LOST, *[SKIPPED] * 4, START]
        regions[codes != TRACKED] = np.nan
        save_vot(vot_file(folder, sequence.name), Trajectory(codes, regions))


@contextlib.contextmanager
def temporary_results(sequences: int = 60) -> Iterator[tuple[str, str, str]]:
    """Return folder of results, name and folder of a generated VOT set without images; removed at the end."""
    name, dataset = "VOT2018", make_dataset(sequences)  # a known name, whose settings of the EAO are used
    with temporary_data("results") as root:
        content = {
            sequence.name: {
                "video_dir": sequence.name,
                "init_rect": sequence.ground_truth[0].tolist(),
                "img_names": sequence.frame_paths,
                "width": sequence.width,
                "height": sequence.height,
                "gt_rect": [region.tolist() for region in sequence.ground_truth],
                **{tag: flags.astype(int).tolist() for tag, flags in sequence.tags.items()},
            }
            for sequence in dataset.sequences
        }
        write_json(root / f"{name}.json", content)
        write_results(dataset, root / "results" / name / "simulated", seed=0)
        yield str(root / "results" / name), name, str(root)


def measure_scoring(
    folder: Path,
    sequences: int,
    trackers: int,
    workers: int,
    progress: Callable[[Iterable], Iterable] = iter,
) -> dict[str, float]:
    """Score synthetic trackers and return seconds, frames per tracker and peak memory.

    Keys: `seconds` for all trackers, `frames` of one tracker, `parent` and `worker` with the largest memory (MiB) of
    this process and of a worker process.
    """
    dataset = make_dataset(sequences)
    folders = [folder / f"tracker{number:02d}" for number in range(trackers)]
    for seed, tracker in enumerate(progress(folders)):
        write_results(dataset, tracker, seed)
    began = time.perf_counter()
    scores = score_trackers(dataset, folders, workers)
    seconds = time.perf_counter() - began
    if any(score.problems for score in scores.trackers):
        raise RuntimeError(f"results that were just written cannot be scored: {scores.trackers[-1].problems[0]}")
    memory = {
        process: resource.getrusage(flag).ru_maxrss / 1024
        for process, flag in (("parent", resource.RUSAGE_SELF), ("worker", resource.RUSAGE_CHILDREN))
    }
    return {"seconds": seconds, "frames": sum(map(len, dataset.sequences)), **memory}


def evaluation(job: Job) -> Result:
    """Measure scoring one tracker's results on a VOT set, from files on disk, and J and F of masks.

    Without --results, the results are generated ones.
    """
    with contextlib.nullcontext(job.results) if job.results else temporary_results() as (folder, name, root):
        return _measure_evaluation(job, folder, name, root)


def _measure_evaluation(job: Job, folder: str, name: str, root: str) -> Result:
    spent: dict[str, list[float]] = {"read the data set": [], "score, mode pysot": [], "score, mode vot and pysot": []}
    for _ in range(job.repeats + 1):  # the first repetition is a warm-up
        marks = [time.perf_counter()]
        dataset = load_dataset(name, root)
        tracker = tracker_dirs(folder, name)[0]
        marks.append(time.perf_counter())
        for mode in ("pysot", "both"):
            evaluate_tracker(dataset, tracker, mode=mode)
            marks.append(time.perf_counter())
        for part, before, after in zip(spent, marks, marks[1:], strict=False):
            spent[part].append(after - before)
    medians = {part: statistics.median(seconds[1:]) for part, seconds in spent.items()}
    frames = sum(map(len, dataset.sequences))
    total = medians["read the data set"] + medians["score, mode pysot"]
    rows = [
        Row("one tracker, all in all", total, "s", target=0.25),
        *(Row(part, seconds, "s") for part, seconds in medians.items()),
        Row("frames", frames, "frames"),
        *mask_rows(job.repeats),
    ]
    return rows, f"{frames / total:.0f} frames a second"


def eval_many(job: Job) -> Result:
    """Measure scoring many synthetic trackers on many synthetic sequences, on all cores."""
    workers = len(usable_cores())
    with tempfile.TemporaryDirectory() as folder:
        progress = functools.partial(job.progress, description="making results")
        measured = measure_scoring(Path(folder), job.sequences, job.trackers, workers, progress)
    rows = [
        Row("all trackers", measured["seconds"], "s"),
        Row("one tracker, of one process", workers * measured["seconds"] / job.trackers, "s"),
        Row("frames of a tracker", measured["frames"], "frames"),
        Row("memory of a worker, torch and all", measured["worker"], "MiB", target=1024.0),
        Row("memory of this process, torch and all", measured["parent"], "MiB"),
    ]
    return rows, f"{job.sequences} sequences, {job.trackers} trackers, {workers} processes"
