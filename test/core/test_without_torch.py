"""Scores, and trackers of other networks than torch's, in an environment without torch, yacs and tensorboardX."""

import os
import statistics
import subprocess
import sys

import pytest

from helpers import ROOT
from torch_free import NOT_INSTALLED, TORCH_FREE

IMPORT = """
import importlib, sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(",")))  # None: they cannot be imported
sys.path[:0] = sys.argv[2:4]
for name in sys.argv[4:]:
    importlib.import_module(name)
"""
TIME = (
    "import time; start = time.perf_counter(); import pysot.tracker.batch_tracker; print(time.perf_counter() - start)"
)


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
    """Return a folder with a torch, yacs and tensorboardX that are not installed."""
    for name in NOT_INSTALLED:
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
    reason = "error: a network of torch needs torch, which is not installed: pip install -r requirements.txt\n"
    assert (done.returncode, done.stderr) == (2, reason)


@pytest.mark.parametrize("tool", ["test", "convert_pretrained"])
def test_a_torch_npu_without_cann_is_explained(tool, blocked, tmp_path):
    """convert_pretrained.py imports torch at its start, test.py once it needs it."""
    text = "Failed to load the backend extension: torch_npu. libhccl.so: cannot open shared object file"
    (blocked / "torch" / "__init__.py").write_text(f"raise RuntimeError({text!r})\n")
    script = ROOT / "tools" / f"{tool}.py"
    done = run(script, "--snapshot", "model.pth", "--dataset", "VOT2018", cwd=tmp_path, PYTHONPATH=str(blocked))
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: torch cannot be imported: torch_npu does not find CANN (libhccl.so")


def test_a_tracker_is_imported_in_a_second():
    """Of the processor: other processes may share the cores."""
    seconds = [float(run("-c", TIME).stdout) for _ in range(3)]
    assert statistics.median(seconds) < 1, seconds
