"""Benchmark of tracking a whole data set with tools/test.py, against the plain tracker in a process per worker."""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pysot.benchmarks.generated import temporary_data
from pysot.benchmarks.job import Job, Result, Row
from pysot.datasets.quickstart.data import generate
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.protocols import find_protocol
from pysot.utils.cores import usable_cores
from pysot.utils.files import REPO_ROOT

BATCHES = (1, 8)
PLAIN = "plain way"
TARGET = 1.6
SAME_BOX = 1e-3  # pixels
MAX_WORKERS = 8  # as many as tools/test.py starts


@contextlib.contextmanager
def sequences_to_track(job: Job, frames: int | None = None) -> Iterator[tuple[str, str]]:
    """Return name and folder of --dataset, or of generated sequences of about `frames` frames (default: 100)."""
    if job.dataset:
        yield job.dataset
        return
    with temporary_data("data set") as folder:
        generate(folder / "VOT-QUICKSTART", "test", frames=frames)
        yield "VOT-QUICKSTART", str(folder)


def track_set(job: Job) -> Result:
    """Measure tools/test.py on a data set with batches of several sizes, from start to scores.

    The ratio compares with the seconds of the plain tracker by the same protocol, in a process per worker; the
    commands take turns. Each runs a second time at once, on its results, which it keeps: what it saves by that is the
    time of tracking. The results of both are compared. Raises RuntimeError if a command fails.
    """
    with sequences_to_track(job) as (name, root), tempfile.TemporaryDirectory(prefix="pysot_benchmark_") as work:
        dataset = load_dataset(name, root)
        commands = _commands(job, dataset, name, root)
        spent: dict[str, list[float]] = {way: [] for way in commands}
        start: dict[str, list[float]] = {way: [] for way in commands}
        for repeat in job.progress(range(job.repeats), description="repetitions"):
            for way, command in commands.items():
                command = [*command, "--results_dir", f"{work}/{repeat}/{way}", *_last(job)]
                for times in (spent, start):
                    times[way].append(command_seconds(command))
        frames = sum(map(len, dataset.sequences))
        rows = [row for way in commands for row in _rows(way, spent, start, frames)]
        model = Path(job.snapshot).stem if job.snapshot else "untrained"
        folders = {way: Path(work) / "0" / way / dataset.name / model for way in commands}
        comparisons = [
            f"{way}: {compare_results(dataset, folders[way], folders[PLAIN])}" for way in commands if way != PLAIN
        ]
    return rows, f"{len(dataset)} videos, {frames} frames; against the plain way's results: {'; '.join(comparisons)}"


def _commands(job: Job, dataset: Dataset, name: str, root: str) -> dict[str, list[str]]:
    """Return the commands by way, without the folder of results and what `_last` returns."""
    workers = min(len(usable_cores()), len(dataset), MAX_WORKERS) if job.device.type == "cpu" else 1
    arguments = ["--config", job.config, "--dataset", name, "--datasetdir", root, "--workers", str(workers)]
    if job.snapshot:
        arguments += ["--snapshot", job.snapshot]
    commands = {PLAIN: ["-m", "pysot.benchmarks.plain_test", *arguments]}
    tool = str(REPO_ROOT / "tools" / "test.py")
    for batch in job.batches or BATCHES:
        commands[f"batch {batch}"] = [tool, *arguments, "--batch", str(batch)]
    return commands


def _last(job: Job) -> list[str]:
    """Return the end of each command: device and config values."""
    return ["--device", str(job.device), *(["--opts", *map(str, job.opts)] if job.opts else [])]


def command_seconds(command: Sequence[str]) -> float:
    """Return the seconds that a command of Python takes. Raises RuntimeError if it fails."""
    paths = [str(REPO_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{' '.join(command)} ended with status {done.returncode}: {reason}")
    return time.perf_counter() - began


def _rows(way: str, spent: dict[str, list[float]], start: dict[str, list[float]], frames: int) -> list[Row]:
    """Return what was measured of a way, from the seconds of all ways: of the command, and of its start and end."""
    seconds, tracking = statistics.median(spent[way]), _tracking(way, spent, start)
    ratio = statistics.median(plain / each for plain, each in zip(spent[PLAIN], spent[way], strict=True))
    return [
        Row(way, seconds, "s", ratio, None if way in (PLAIN, "batch 1") else TARGET),
        Row(f"{way}, spread", statistics.pstdev(spent[way]), "s"),
        Row(f"{way}, frames", frames / seconds, "frames/s"),
        Row(f"{way}, start and end", statistics.median(start[way]), "s"),
        Row(f"{way}, tracking", tracking, "s", _tracking(PLAIN, spent, start) / tracking),
    ]


def _tracking(way: str, spent: dict[str, list[float]], start: dict[str, list[float]]) -> float:
    """Return the median over the repetitions of the seconds of a command without those of its start and end."""
    return statistics.median(each - overhead for each, overhead in zip(spent[way], start[way], strict=True))


def compare_results(dataset: Dataset, folder: Path, expected: Path) -> str:
    """Return a phrase: how many runs have the same losses, how far their boxes are apart, and where more than rounding.

    Boxes are apart by more than SAME_BOX pixels after a frame whose crop is rounded to another pixel.
    """
    protocol, same, runs, largest = find_protocol(dataset, None), 0, 0, 0.0
    other_crops = []
    for sequence in dataset.sequences:
        pairs = zip(protocol.tasks(dataset, sequence, folder), protocol.tasks(dataset, sequence, expected), strict=True)
        for tasks in pairs:
            first, second = (task.load(task.path, len(task.sequence)) for task in tasks)
            runs += 1
            differences = np.nan_to_num(np.abs(first.regions - second.regions)).max(axis=1)
            if np.array_equal(first.codes, second.codes):
                same += 1
                largest = max(largest, float(differences.max()))
            if (differences > SAME_BOX).any():
                other_crops.append(f"{tasks[0].path.stem} from frame {int(np.argmax(differences > SAME_BOX)) + 1}")
    where = f", by more than {SAME_BOX} px in {', '.join(other_crops)}" if other_crops else ""
    return f"{same} of {runs} runs have the same losses, their boxes differ by up to {largest:.4f} px{where}"
