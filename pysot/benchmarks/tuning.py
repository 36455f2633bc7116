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
_SEARCHES = {
    "drawn settings": ["--trials", str(SETTINGS)],
    "settings of a grid": "--method grid --penalty-k 0.2 --window-influence 0.3,0.5,0.05".split(),
}
_FRAMES = 40  # of a generated sequence, about
_NUMBERS = re.compile(r"_pk-([\d.]+)_wi-([\d.]+)_lr-([\d.]+)$")


def hp_search(job: Job) -> Result:
    """Measure searches of 16 settings, all tracked to the end, with tools/hp_search.py; from start to scores.

    Settings are drawn, or neighbours in a grid, which have more crops in common. The ratio compares settings times
    frames per second with tools/test.py, which tracks some of these settings one by one, in the same repetition and
    with as many threads. The results of both are compared byte by byte. Raises RuntimeError if a command fails.
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
        together: dict[str, list[float]] = {kind: [] for kind in _SEARCHES}
        alone: dict[str, list[float]] = {kind: [] for kind in _SEARCHES}
        same = []
        for repeat in job.progress(range(job.repeats), description="repetitions"):
            for kind, ranges in _SEARCHES.items():
                results = Path(work) / kind / str(repeat)
                search = [*ranges, "--settings", str(SETTINGS), "--hold-out", "0", "--no-prune"]
                search += ["--seed", str(repeat), "--results_dir", str(results)]
                together[kind].append(_seconds("hp_search.py", [*arguments, *search], job.opts))
                folders = sorted(path for path in (results / dataset.name).iterdir() if not path.name.startswith("."))
                spent = []
                for number, folder in enumerate(folders[:: len(folders) // _COMPARED][:_COMPARED]):
                    single = results / f"alone{number}"
                    values = [*job.opts, *_values(folder.name)]
                    spent.append(_seconds("test.py", [*arguments, "--results_dir", str(single)], values))
                    same.append(_same_files(folder, single / dataset.name / Path(snapshot).stem))
                alone[kind].append(statistics.mean(spent))
    rows = [row for kind in _SEARCHES for row in _rows(kind, frames, together[kind], alone[kind])]
    words = (
        f"{len(dataset)} videos, {frames} frames; {sum(same)} of {len(same)} compared settings have the same results"
    )
    return rows, words


def _rows(kind: str, frames: int, together: Sequence[float], alone: Sequence[float]) -> list[Row]:
    """Return the figures of one kind of search by its seconds and those of a setting with tools/test.py."""
    speed = statistics.median(SETTINGS * frames / seconds for seconds in together)
    ratio = statistics.median(SETTINGS * one / all_ for one, all_ in zip(alone, together, strict=True))
    return [
        Row(f"{SETTINGS} {kind} in lockstep", speed, "settings x frames/s", ratio, TARGET),
        Row("tools/hp_search.py", statistics.median(together), "s"),
        Row("tools/test.py, one setting", statistics.median(alone), "s"),
    ]


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
