"""Benchmark of tracking a data set: commands that fail, and what it reports."""

import numpy as np
import pytest
import torch
from toolkit_data import make_sequence, save_baseline, trajectory

from helpers import TINY, experiment, moving_square
from pysot.benchmarks.case_builder import read_case
from pysot.benchmarks.job import Job
from pysot.benchmarks.set_speed import compare_results, track_set
from pysot.toolkit.datasets.sequence import Dataset, VotSettings
from pysot.utils.distributed import Rank


def make_job(folder, *opts, **options) -> Job:
    for name, seed in (("first", 0), ("second", 1)):
        moving_square(folder / "VOT-QUICKSTART" / name, frames=8, seed=seed)
    (folder / "VOT-QUICKSTART" / "list.txt").write_text("first\nsecond\n")
    config, values = experiment("quickstart"), [*TINY, *opts]
    return Job(
        read_case(config, values),
        torch.device("cpu"),
        Rank(),
        lambda rank, device: 0,
        repeats=1,
        batches=(2,),
        dataset=("VOT-QUICKSTART", str(folder)),
        config=config,
        opts=values,
        **options,
    )


def test_a_command_that_fails(tmp_path):
    with pytest.raises(RuntimeError, match=r"plain_test .* status 1: FileNotFoundError: .*missing.pth"):
        track_set(make_job(tmp_path, snapshot=str(tmp_path / "missing.pth")))


def test_results_are_compared(tmp_path):
    dataset = Dataset("SET", [make_sequence("a", 30), make_sequence("b", 30)], (), VotSettings(5, 20, 10))
    for name, second in (("first", (7,)), ("second", ())):
        save_baseline(tmp_path / name, "a", trajectory(box=(20, 20 + 0.25 * (name == "first"), 19, 19)))
        save_baseline(tmp_path / name, "b", trajectory(lost=second))
    text = compare_results(dataset, tmp_path / "first", tmp_path / "second")
    expected = (
        "1 of 2 runs have the same losses, their boxes differ by up to 0.2500 px, by more than 0.001 px in a_001 "
    )
    assert text == f"{expected}from frame 2"


def test_rows(tmp_path):
    rows, words = track_set(make_job(tmp_path))
    values = {row.name: row for row in rows}
    assert values["plain way"].ratio == 1 and values["batch 2"].ratio > 0 and values["batch 2"].target == 1.6
    for way in ("plain way", "batch 2"):
        assert values[f"{way}, frames"].value == pytest.approx(16 / values[way].value)
        parts = [values[f"{way}, {part}"].value for part in ("start and end", "tracking")]
        assert np.sum(parts) == pytest.approx(values[way].value)
    assert "batch 2: 2 of 2 runs have the same losses, their boxes differ by up to 0.00" in words
