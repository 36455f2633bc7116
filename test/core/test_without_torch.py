"""Scores, and exported trackers, in an environment without torch, yacs and tensorboardX."""

import json
import os
import statistics
import subprocess
import sys

import cv2
import numpy as np
import pytest
from toolkit_data import make_raw_set

from export_helpers import BOX, frames, small_export
from helpers import ROOT
from pysot.tracker.tracker_builder import build_tracker
from torch_free import NOT_INSTALLED, TORCH_FREE

IMPORT = """
import importlib, sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))  # None: they cannot be imported
sys.path[:0] = sys.argv[2:4]
for name in sys.argv[4:]:
    importlib.import_module(name)
"""
TIME = (
    "import importlib, sys, time; start = time.process_time(); importlib.import_module(sys.argv[1]); "
    "print(time.process_time() - start)"
)
# What else an exported tracker does not need: all that exports are written with, and plots.
OF_EXPORTS = ("onnx", "onnxslim", "onnxscript", "skimage", "scipy", "matplotlib")
TRACK = """
import json, sys, cv2
from pysot.deploy import Tracker
frames = [cv2.imread(path) for path in sys.argv[3:]]
tracker = Tracker(sys.argv[1], "onnxruntime:cpu")
tracker.init(frames[0], json.loads(sys.argv[2]))
print(json.dumps([tracker.track(frame)["bbox"] for frame in frames[1:]]))
"""


def run(*arguments, cwd=ROOT, **environment) -> subprocess.CompletedProcess:
    command = [sys.executable, *map(str, arguments)]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=300)


def import_without(packages, paths) -> None:
    """Import files in a process in which `packages` are missing."""
    modules = [path.relative_to(ROOT).with_suffix("").parts for path in paths]
    names = [".".join(parts[parts[0] == "tools" :]).removesuffix(".__init__") for parts in modules]
    done = run("-c", IMPORT, ",".join(packages), ROOT, ROOT / "tools", *names)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def blocked(tmp_path):
    """Return a folder with packages that are not installed: torch and others."""
    for name in (*NOT_INSTALLED, *OF_EXPORTS):
        text = f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n"
        (tmp_path / "blocked" / name).mkdir(parents=True)
        (tmp_path / "blocked" / name / "__init__.py").write_text(text)
    return tmp_path / "blocked"


def test_all_files_are_imported():
    assert len(TORCH_FREE) > 80
    import_without(NOT_INSTALLED, TORCH_FREE)


def test_a_tracker_needs_numpy_and_opencv_only():
    tracker = [path for path in TORCH_FREE if path.parent.name == "tracker"]
    import_without((*NOT_INSTALLED, "PIL", "matplotlib", "tqdm", "bracex"), tracker)


@pytest.mark.parametrize("tool", ["eval", "test", "demo"])
def test_commands(tool, blocked):
    done = run(ROOT / "tools" / f"{tool}.py", "--help", PYTHONPATH=str(blocked))
    assert done.returncode == 0 and done.stdout.startswith(f"usage: {tool}.py"), done.stderr


@pytest.mark.parametrize("arguments", [("test", "--dataset", "VOT2018"), ("demo",)], ids=lambda each: each[0])
def test_a_network_of_torch_says_what_is_missing(arguments, blocked, tmp_path):
    tool, *rest = arguments
    script = ROOT / "tools" / f"{tool}.py"
    done = run(script, "--snapshot", "model.pth", *rest, cwd=tmp_path, PYTHONPATH=str(blocked))
    reason = "error: a network of torch needs torch, which is not installed: pip install -r requirements.txt"
    assert (done.returncode, done.stderr) == (2, f"{reason}, or track with an exported tracker: --engine FOLDER\n")


@pytest.mark.parametrize("tool", ["test", "convert_pretrained"])
def test_a_torch_npu_without_cann_is_explained(tool, blocked, tmp_path):
    """convert_pretrained.py imports torch at its start, test.py once it needs it."""
    text = "Failed to load the backend extension: torch_npu. libhccl.so: cannot open shared object file"
    (blocked / "torch" / "__init__.py").write_text(f"raise RuntimeError({text!r})\n")
    script = ROOT / "tools" / f"{tool}.py"
    done = run(script, "--snapshot", "model.pth", "--dataset", "VOT2018", cwd=tmp_path, PYTHONPATH=str(blocked))
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: torch cannot be imported: torch_npu does not find CANN (libhccl.so")


@pytest.mark.parametrize("module", ["pysot.tracker.batch_tracker", "pysot.deploy"])
def test_a_tracker_is_imported_in_a_second(module):
    """Of the processor: other processes may share the cores."""
    seconds = [float(run("-c", TIME, module).stdout) for _ in range(3)]
    assert statistics.median(seconds) < 1, seconds


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Return the folder of an export, files of frames, and the boxes in them by the tracker of torch."""
    folder = tmp_path_factory.mktemp("export")
    model, config = small_export(folder / "exported")
    tracker, images = build_tracker(model, config), frames(5)
    paths = [folder / "clip" / f"{index}.png" for index in range(len(images))]
    (folder / "clip").mkdir()
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), image)
    tracker.init(images[0], BOX)
    return folder / "exported", paths, [tracker.track(image)["bbox"] for image in images[1:]]


def test_an_exported_tracker(export, blocked):
    folder, paths, expected = export
    done = run("-c", TRACK, folder, json.dumps(BOX), *paths, PYTHONPATH=str(blocked))
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), expected, atol=0.05)


def test_the_tools_with_an_exported_tracker(export, blocked, tmp_path):
    folder, paths, expected = export
    engine = ("--engine", folder, "--provider", "onnxruntime:cpu")
    make_raw_set(tmp_path / "testing_dataset" / "TINY")
    test = ROOT / "tools" / "test.py"
    done = run(test, *engine, "--dataset", "TINY", cwd=tmp_path, PYTHONPATH=str(blocked))
    assert done.returncode == 0 and "exported" in done.stdout, done.stderr
    box = ",".join(map(str, BOX))
    demo = (ROOT / "tools" / "demo.py", "--video_name", paths[0].parent, "--init", box, "--output", tmp_path / "out")
    done = run(*demo, *engine, cwd=tmp_path, PYTHONPATH=str(blocked))
    assert done.returncode == 0, done.stderr
    boxes = [entry["bbox"] for entry in json.loads((tmp_path / "out" / "boxes.json").read_text())]
    np.testing.assert_allclose(boxes[1:], expected, atol=0.05)
