"""Benchmark of tools/hp_search.py: settings in lockstep against tools/test.py once per setting."""

import re
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from pysot.benchmarks.job import Job, Result, Row
from pysot.benchmarks.set_speed import command_seconds, sequences_to_track
from pysot.benchmarks.tracking_speed import load_network
from pysot.toolkit.datasets import load_dataset
from pysot.utils.files import REPO_ROOT

SETTINGS = 16
TARGET = 4.0
_COMPARED = 2  # settings that tools/test.py tracks in a repetition, as examples of all
_FRAMES = 40  # of a generated sequence, about
_NUMBERS = re.compile(r"_pk-([\d.]+)_wi-([\d.]+)_lr-([\d.]+)$")


def hp_search(job: Job) -> Result:
    """Measure a search of 16 settings, all tracked to the end, with tools/hp_search.py; from start to scores.

    The ratio compares settings times frames per second with tools/test.py, which tracks some of these settings one by
    one, in the same repetition and with as many threads. The results of both are compared byte by byte. Raises
    RuntimeError if a command fails.
    """
    with (
        sequences_to_track(job, frames=_FRAMES) as (name, root),
        tempfile.TemporaryDirectory(prefix="pysot_benchmark_") as work,
    ):
        snapshot = _snapshot(job, Path(work))
        dataset = load_dataset(name, root)
        frames = sum(map(len, dataset.sequences))
        arguments = ["--config", job.config, "--snapshot", snapshot, "--dataset", name, "--datasetdir", root]
        arguments += ["--device", str(job.device)]
        together: list[float] = []
        alone: list[float] = []
        same = []
        for repeat in job.progress(range(job.repeats), description="repetitions"):
            results = Path(work) / str(repeat)
            search = ["--trials", str(SETTINGS), "--settings", str(SETTINGS), "--hold-out", "0", "--no-prune"]
            search += ["--seed", str(repeat), "--results_dir", str(results)]
            together.append(_seconds("hp_search.py", [*arguments, *search], job.opts))
            folders = sorted(path for path in (results / dataset.name).iterdir() if not path.name.startswith("."))
            examples = folders[:: max(1, len(folders) // _COMPARED)][:_COMPARED]
            spent = []
            for number, folder in enumerate(examples):
                single = results / f"alone{number}"
                values = _values(folder.name)
                spent.append(_seconds("test.py", [*arguments, "--results_dir", str(single)], [*job.opts, *values]))
                same.append(_same_files(folder, single / dataset.name / Path(snapshot).stem))
            alone.append(statistics.mean(spent))
    speeds = [SETTINGS * frames / seconds for seconds in together]
    ratio = statistics.median(SETTINGS * one / all_ for one, all_ in zip(alone, together, strict=True))
    rows = [
        Row(f"{SETTINGS} settings in lockstep", statistics.median(speeds), "settings x frames/s", ratio, TARGET),
        Row("tools/hp_search.py", statistics.median(together), "s"),
        Row("tools/test.py, one setting", statistics.median(alone), "s"),
    ]
    words = (
        f"{len(dataset)} videos, {frames} frames; {sum(same)} of {len(same)} compared settings have the same results"
    )
    return rows, words


def _snapshot(job: Job, folder: Path) -> str:
    """Return the file of weights, without one that of synthetic ones."""
    if job.snapshot:
        return job.snapshot
    path = folder / "synthetic.pth"
    torch.save({"state_dict": load_network(job).state_dict()}, path)
    return str(path)


def _seconds(tool: str, arguments: Sequence[str], opts: Sequence[object]) -> float:
    """Return the seconds of a command."""
    return command_seconds(
        [str(REPO_ROOT / "tools" / tool), *arguments, *(["--opts", *map(str, opts)] if opts else [])]
    )


def _values(name: str) -> list[str]:
    """Return the config values of a setting by the name of its results."""
    found = _NUMBERS.search(name)
    assert found is not None
    penalty_k, window_influence, lr = found.groups()
    return ["TRACK.PENALTY_K", penalty_k, "TRACK.WINDOW_INFLUENCE", window_influence, "TRACK.LR", lr]


def _same_files(first: Path, second: Path) -> bool:
    """Return whether two folders have the same results, without times."""
    names = [path.relative_to(first) for path in first.rglob("*.txt") if not path.stem.endswith("_time")]
    return bool(names) and all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
