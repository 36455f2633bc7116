"""test.py and demo.py with exported trackers: their results, and mistakes."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from toolkit_data import make_raw_set

from export_helpers import write_export
from helpers import ROOT, moving_square, small_model, tiny_config
from pysot.core.stored_config import config_text

CPU = ("--provider", "onnxruntime:cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a checkpoint, knows.pth, its export, exported, that of other weights, other, and a data set."""
    folder = tmp_path_factory.mktemp("engine")
    make_raw_set(folder / "testing_dataset" / "TINY")
    config = tiny_config()
    for name, seed in (("exported", 0), ("other", 1)):
        torch.manual_seed(seed)
        model = write_export(folder / name, small_model(config, "").eval(), config)
        if name == "exported":
            torch.save({"state_dict": model.state_dict(), "config": config_text(config)}, folder / "knows.pth")
    return folder


def run_tool(name, *args, cwd):
    """Run a tool: exports with their engine, checkpoints on the CPU."""
    device = () if "--engine" in args else ("--device", "cpu")
    line = list(map(str, [sys.executable, ROOT / "tools" / name, *args, *device]))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def tracked(folder, results, *args, name="exported"):
    """Track the data set with test.py; return the lines of its results by video."""
    done = run_tool("test.py", "--dataset", "TINY", "--results_dir", results, *args, cwd=folder)
    assert done.returncode == 0 and "| " in done.stdout, done.stderr
    files = sorted((folder / results / "TINY" / name / "baseline").glob("*/*_001.txt"))
    assert len(files) == 2
    return {path.parent.name: path.read_text().splitlines() for path in files}


def assert_same(expected, found):
    """Compare results: losses and starts, and boxes within 0.05 pixels."""
    assert set(expected) == set(found)
    for name, lines in expected.items():
        assert len(lines) == len(found[name])
        for a, b in zip(lines, found[name], strict=True):
            numbers = [np.array(line.split(","), float) for line in (a, b)]
            np.testing.assert_allclose(numbers[1], numbers[0], atol=0.05)


def test_results_are_those_of_the_snapshot(folder):
    expected = tracked(folder, "torch", "--snapshot", "knows.pth", name="knows")
    assert_same(expected, tracked(folder, "plain", "--engine", "exported", *CPU))
    several = ("--workers", "2", "--batch", "2")
    assert_same(expected, tracked(folder, "several", "--engine", "exported/", *CPU, *several))


def test_results_of_another_export_are_refused(folder):
    """Results are named like the folder, which says nothing of the weights."""
    args = ("--dataset", "TINY", "--video", "boxes", "--results_dir", "claimed", *CPU, "--engine")
    done = run_tool("test.py", *args, "exported", cwd=folder)
    assert done.returncode == 0 and "with exported on onnxruntime:cpu" in done.stderr, done.stderr
    path = folder / "claimed/TINY/exported/baseline/boxes/boxes_001.txt"
    before = path.read_bytes()
    done = run_tool("test.py", *args, "exported", cwd=folder)
    assert done.returncode == 0 and "has a result already" in done.stderr
    shutil.copytree(folder / "other", folder / "elsewhere" / "exported")
    done = run_tool("test.py", *args, "elsewhere/exported", cwd=folder)
    assert done.returncode == 2 and "exported holds results of another network or of other settings" in done.stderr
    assert path.read_bytes() == before


def test_results_of_another_engine_are_refused(folder):
    pytest.importorskip("openvino")
    args = ("--dataset", "TINY", "--video", "boxes", "--results_dir", "engines", "--engine", "exported", "--provider")
    assert run_tool("test.py", *args, "onnxruntime:cpu", cwd=folder).returncode == 0
    done = run_tool("test.py", *args, "openvino:fp32", cwd=folder)
    words = "computed on onnxruntime:cpu fp32, this run on openvino:fp32 fp32"
    assert done.returncode == 2 and words in done.stderr and "choose another --results_dir" in done.stderr


@pytest.mark.parametrize("tool", ["test.py", "demo.py"])
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--provider", "onnxruntime:cpu"), "--provider is of an exported tracker: name its folder with --engine"),
        (("--engine", "exported", "--snapshot", "knows.pth"), "own weights and settings: leave out --snapshot"),
        (("--engine", "exported", "--cfg", "config.yaml"), "leave out --cfg"),
        (("--engine", "exported", "--device", "cpu"), "leave out --device"),
        (("--engine", "exported", "--provider", "onnxruntim"), "engine is 'onnxruntim'; known: om, onnxruntime"),
        (("--engine", "exported", "--provider", "onnxruntime:gpu"), "provider of onnxruntime is 'gpu'; known: "),
        (("--engine", "gone"), "expected the folder of an exported tracker, but gone does not exist"),
    ],
)
def test_mistakes_are_sentences(folder, tool, args, words):
    more = ("--dataset", "TINY") if tool == "test.py" else ("--init", "1,1,9,9")
    done = run_tool(tool, *args, *more, cwd=folder)
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_the_demo(folder, tmp_path):
    x, y, w, h = moving_square(tmp_path / "clip", frames=6)[0]
    boxes = [f"a={x},{y},{w},{h}", f"b={x + 50},{y + 10},30,30"]
    args = ["--video_name", tmp_path / "clip" / "color", *(part for box in boxes for part in ("--init", box))]
    found = []
    for name, source in (("torch", ("--snapshot", "knows.pth")), ("engine", ("--engine", "exported", *CPU))):
        done = run_tool("demo.py", *args, *source, "--output", tmp_path / name, cwd=folder)
        assert done.returncode == 0, done.stderr
        found.append(json.loads((tmp_path / name / "boxes.json").read_text()))
        assert (tmp_path / name / "annotated.mp4").is_file()
    assert len(found[0]) == 12
    for a, b in zip(*found, strict=True):
        assert (a["frame"], a.get("target")) == (b["frame"], b.get("target"))
        np.testing.assert_allclose(b["bbox"], a["bbox"], atol=0.05)
        assert b["score"] == pytest.approx(a["score"], abs=1e-3)
