"""The command tools/benchmark.py."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import ROOT, TINY, experiment, tiny_benchmark
from pysot.benchmarks.train_step import PARTS
from pysot.core.xcorr import XCORR_METHODS
from pysot.tracker.compiled import can_compile


def benchmark(name: str, folder: Path) -> tuple[str, dict[str, dict]]:
    """Run the command; return what it prints, and its rows by name."""
    data = tiny_benchmark(folder, frames=4)
    command = [
        sys.executable,
        str(ROOT / "tools" / "benchmark.py"),
        name,
        "--cfg",
        experiment("quickstart"),
        "--device",
        "cpu",
        "--data_path",
        str(data),
        "--steps",
        "1",
        "--repeats",
        "2",
        "--json",
        "out.json",
        "--opts",
        *TINY,
        "TRAIN.BATCH_SIZE",
        "2",
        "TRAIN.NUM_WORKERS",
        "0",
    ]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((folder / "out.json").read_text())
    assert all(set(row) == {"name", "device", "value", "unit", "ratio", "target"} for row in rows)
    return done.stdout, {row["name"].split(": ")[1]: row for row in rows}


def run_alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run the command in a folder without data."""
    command = [sys.executable, str(ROOT / "tools" / "benchmark.py"), *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("loader", "--data_path", "missing"), "crop511"),
        (("loader", "--opts", "DATASET.NAMES", "[COCO]"), "coco/crop511"),
        (("loader", "--cfg", "missing.yaml"), "missing.yaml"),
        (("prepare", "--raw", "missing", "."), "unknown set 'missing'"),
        (("eval", "--results", "missing", "VOT2018", "."), "VOT2018"),
        (("track", "--precisions", "int8"), "only deploy measures it, track takes fp32 and bf16"),
    ],
)
def test_given_data_are_not_replaced(tmp_path, arguments, message):
    done = run_alone(tmp_path, *arguments)
    assert done.returncode == 2 and message in done.stderr and "generated" not in done.stderr


@pytest.mark.parametrize("name", ["loader", "prepare", "eval"])
def test_data_of_its_own(tmp_path, name):
    config = tmp_path / "quickstart" / "config.yaml"  # without data, even if this checkout has made the quickstart's
    config.parent.mkdir()
    text = Path(experiment("quickstart")).read_text(encoding="utf-8")
    config.write_text(text.replace("training_dataset/", "missing/"), encoding="utf-8")
    done = run_alone(tmp_path, name, "--cfg", config, "--steps", "1", "--repeats", "1", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    folder = re.search(r"given: generated data in (\S+) are used, and removed at the end", done.stderr)
    assert folder and not Path(folder[1]).exists() and f"{name} quickstart" in done.stdout
    assert name != "eval" or "J and F of 1000 frames, two objects" in done.stdout


def test_train(tmp_path):
    text, rows = benchmark("train", tmp_path)
    assert "-bound: " in text and "target 1.3" in text and "of the speed of a matrix product" in text
    assert 0 < rows["part of a matrix product"]["value"] < 150 and rows["copy on the device"]["unit"] == "GB/s"
    assert (
        rows["speed"]["ratio"] > 0
        and set(rows) > {"data wait", *PARTS, "peak memory"}
        and rows["peak memory"]["value"] > 50
    )


def test_scale(tmp_path):
    text, rows = benchmark("scale", tmp_path)
    assert "-bound: " in text and rows["2 processes"]["value"] > 0
    assert rows["parallel efficiency"]["value"] == pytest.approx(
        50 * rows["2 processes"]["value"] / rows["one process"]["value"]
    )
    assert (
        rows["model of 8"]["value"] > 0
        and rows["model of 64, efficiency"]["value"] <= rows["model of 8, efficiency"]["value"]
    )


def test_xcorr(tmp_path):
    text, rows = benchmark("xcorr", tmp_path)
    assert "the fastest: " in text and rows["grouped convolution"]["ratio"] == 1
    assert set(rows) >= set(XCORR_METHODS)
    assert ("shifted products, compiled, backward" in rows) == can_compile("cpu")


def test_hp_search(tmp_path):
    """The settings that it compares have the results of tools/test.py."""
    data = tiny_benchmark(tmp_path, frames=110, videos=1) / "testing_dataset"
    arguments = ["hp-search", "--device", "cpu", "--repeats", "1", "--dataset", "VOT2016", "--datasetdir", str(data)]
    done = run_alone(tmp_path, *arguments, "--json", "out.json", "--opts", *TINY)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads((tmp_path / "out.json").read_text())}
    for kind in ("drawn settings", "settings of a grid"):
        assert rows[f"hp-search quickstart: 16 {kind} in lockstep"]["target"] == 4.0
    assert "1 videos, 110 frames; 4 of 4 compared settings have the same results" in done.stdout
