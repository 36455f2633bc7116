"""Wheel: built from a copy of the repository, installed into an empty environment, used without the repository."""

import collections
import email
import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from helpers import ROOT, TINY, copy_of_repository, experiment, moving_square

TRACK_AND_SCORE = """
import json, sys
from pathlib import Path

import pysot
from pysot.core.config import load_config
from pysot.models.model_builder import build_model
from pysot.toolkit.datasets.load import load_dataset
from pysot.toolkit.experiments.runner import run_dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.tracker.tracker_builder import build_tracker

config = load_config(sys.argv[1], sys.argv[2:])
dataset = load_dataset("VOT2016", "testing_dataset")
run_dataset(build_tracker(build_model(config), config), dataset, Path("results/tiny"))
scores = score_trackers(dataset, ["results/tiny"])
print(json.dumps({"package": pysot.__file__, "scores": scores.to_json()}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    copy = copy_of_repository(tmp_path_factory.mktemp("source"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", copy, copy]
    built = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(copy.glob("*.whl"))


def test_it_holds_the_packages_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"pysot/py.typed", "pysot/toolkit/report/templates/index.html"} < {*names}
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"pysot", "toolkit"}
    assert len([name for name in names if name.endswith(".py")]) > 190


def test_its_base_has_no_torch_and_its_extras_are_pinned(wheel):
    """All requirements but those of torch_npu, of vot-toolkit and of the tests themselves are in requirements.txt."""
    archive = zipfile.ZipFile(wheel)
    metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
    lines = email.message_from_bytes(archive.read(metadata)).get_all("Requires-Dist")
    base = {name_in(line) for line in lines if "extra ==" not in line}
    drawing = {"matplotlib", "jinja2", "plotly", "colorama"}
    assert base == {"numpy", "opencv-python-headless", "tqdm", "bracex", "pillow"} | drawing
    extras = collections.defaultdict(set)
    for line in lines:
        for extra in re.findall(r'extra == "(\w+)"', line):
            extras[extra].add(name_in(line))
    assert extras["deploy"] == {"onnxruntime"} and extras["openvino"] == {"openvino"}
    assert {"torch", "yacs", "tensorboardX"} == extras["train"] < extras["export"] < extras["test"]
    pinned = {name_in(line) for line in (ROOT / "requirements.txt").read_text().splitlines() if line[0] != "#"}
    toolkit = extras.pop("vot") - extras["train"]  # it is best kept in an environment of its own
    assert toolkit == {"vot-toolkit", "vot-trax", "attributee", "opencv-python"}
    of_tests = {"pytest", "hypothesis", "ruff", "mypy", "playwright", "axe-playwright-python"}
    assert pinned == base.union(*extras.values()) - of_tests - {"torch_npu"}


def name_in(requirement: str) -> str:
    """Return the name in a line such as 'torch>=2.6; extra == "train"'."""
    return re.match(r"[\w-]+", requirement).group()


def test_it_tracks_and_scores_without_the_repository(wheel, tmp_path):
    """Dependencies come from the environment of the tests, which has no installed pysot; pip checks their versions."""
    venv.create(tmp_path / "empty", with_pip=False)
    python = tmp_path / "empty" / "bin" / "python"
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "empty")}))
    (libraries / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def execute(*command) -> subprocess.CompletedProcess:
        return subprocess.run(
            list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )

    pip = [sys.executable, "-m", "pip", "--python", python]
    installed = execute(*pip, "install", "--no-deps", "--no-index", "--quiet", wheel)
    assert installed.returncode == 0, installed.stderr
    checked = execute(python, "-m", "pip", "check").stdout
    assert not [line for line in checked.splitlines() if line.startswith("pysot ")], checked

    sequence = tmp_path / "testing_dataset" / "VOT2016" / "square"
    moving_square(sequence, frames=110)
    (sequence.parent / "list.txt").write_text("square\n")
    (tmp_path / "script.py").write_text(TRACK_AND_SCORE)
    done = execute(python, "script.py", experiment("quickstart"), *TINY)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert Path(found["package"]).is_relative_to(tmp_path / "empty")
    assert found["scores"]["tiny"]["eao"]["all"] >= 0 and found["scores"]["tiny"]["robustness"] >= 0
