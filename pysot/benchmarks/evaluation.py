"""Scoring many trackers on many sequences, to see whether memory and time hold."""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pysot.toolkit.datasets.sequence import Dataset, Sequence, VotSettings
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.results.files import LOST, SKIPPED, START, TRACKED, Trajectory, save_vot, vot_file

WIDTH, HEIGHT = 640, 480


def make_set(count: int, seed: int = 0) -> Dataset:
    """Sequences of 100 to 500 frames whose target wanders; nothing is written."""
    rng, sequences = np.random.default_rng(seed), []
    for number in range(count):
        frames = int(rng.integers(100, 500))
        corner = rng.uniform(100, 300, 2) + np.cumsum(rng.normal(0, 2, (frames, 2)), axis=0)
        truth = np.concatenate([corner, np.tile(rng.uniform(20, 90, 2), (frames, 1))], axis=1)
        paths = [f"s{number:04d}/{index:08d}.jpg" for index in range(frames)]
        sequences.append(Sequence(f"s{number:04d}", paths, truth, WIDTH, HEIGHT, {"occlusion": rng.random(frames) < 0.1}))
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
            codes[loss:loss + 6] = [LOST, *[SKIPPED] * 4, START]
        regions[codes != TRACKED] = np.nan
        save_vot(vot_file(folder, sequence.name), Trajectory(codes, regions))


def measure_scale(folder: Path, sequences: int, trackers: int, workers: int, progress: Callable = iter) -> dict[str, float]:
    """Seconds to score all, seconds and frames of one tracker, and the most memory (MiB) of this process and of one of its workers."""
    dataset = make_set(sequences)
    folders = [folder / f"tracker{number:02d}" for number in range(trackers)]
    for seed, tracker in enumerate(progress(folders)):
        write_results(dataset, tracker, seed)
    began = time.perf_counter()
    scores = score_trackers(dataset, folders, workers)
    seconds = time.perf_counter() - began
    if any(score.problems for score in scores.trackers):
        raise RuntimeError(f"results that were just written cannot be scored: {scores.trackers[-1].problems[0]}")
    most = {who: resource.getrusage(flag).ru_maxrss / 1024 for who, flag in (("here", resource.RUSAGE_SELF), ("worker", resource.RUSAGE_CHILDREN))}
    return {"seconds": seconds, "frames": sum(map(len, dataset.sequences)), **most}
