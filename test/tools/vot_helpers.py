"""Small sets, trackers and workspaces for tests with the real vot-toolkit."""

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from helpers import ROOT
from pysot.core.stored_config import config_text
from pysot.models.model_builder import build_model
from pysot.utils.masks import Mask

# The tests of TraX need the toolkit that runs all kinds of experiments, those of its Python protocol a newer one.
TRAX, PYTHON = os.environ.get("VOT_TOOLKIT_PYTHON"), os.environ.get("VOT_TOOLKIT_NEW_PYTHON")
needs_trax = pytest.mark.skipif(
    not TRAX or importlib.util.find_spec("trax") is None,
    reason="VOT_TOOLKIT_PYTHON names no Python with vot-toolkit 0.7.4, or vot-trax is missing here",
)
needs_python_protocol = pytest.mark.skipif(
    not PYTHON, reason="VOT_TOOLKIT_NEW_PYTHON names no Python with vot-toolkit 0.9.0"
)
# Over the Python protocol the tracker is in the toolkit's process, whose environment has no torch in these tests.
SHARED_PACKAGES = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_paths()["purelib"]])}
FRAMES, SIZE = 36, (160, 120)
STACK = """title: a small stack
experiments:
  supervised:
    {type: supervised, repetitions: 1, skip_initialize: 5, analyses: [
      {type: supervised_average_ar, sensitivity: 30}, {type: supervised_eao_score, low: 5, high: 20}]}
  starts:
    {type: multistart, analyses: [
      {type: multistart_eao_score, low: 5, high: 20}, {type: multistart_average_ar}]}
  unsupervised: {type: unsupervised, repetitions: 1, analyses: [{type: average_accuracy}]}
"""
ONLY_UNSUPERVISED = "experiments:\n  unsupervised: {type: unsupervised, repetitions: 1}\n"
OBJECTS = "experiments:\n  objects: {type: unsupervised, repetitions: 1, multiobject: True}\n"


def make_set(folder, anchors=False, masks=False, objects=0):
    """Write a VOT set of two videos: a tilted textured rectangle that moves, and jumps once so that it is lost.

    Its annotation is a polygon, with `masks` a mask. `anchors`: two runs forwards and one backwards. With `objects`,
    each video has so many rectangles, which are annotated in files of their own.
    """
    for number, name in enumerate(("first", "second")):
        (folder / name / "color").mkdir(parents=True)
        rng = np.random.default_rng(number)
        background = cv2.GaussianBlur(rng.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8), (0, 0), 2)
        colours = rng.integers(0, 256, (max(1, objects), 3)).tolist()
        truth = [[] for _ in colours]
        for frame in range(FRAMES):
            image = background.copy()
            for index, colour in enumerate(colours):
                corners = _corners(frame, index, number)
                cv2.fillPoly(image, [np.rint(corners).astype(int)], colour)
                cv2.circle(image, tuple(np.rint(corners.mean(axis=0)).astype(int).tolist()), 6, colour[::-1], -1)
                truth[index].append(_annotation(corners, masks))
            cv2.imwrite(str(folder / name / "color" / f"{frame + 1:08d}.png"), image)
        for index, lines in enumerate(truth):
            file = f"groundtruth_{index + 1}.txt" if objects else "groundtruth.txt"
            (folder / name / file).write_text("\n".join(lines) + "\n")
        if anchors:
            values = {0: 1, 10: 1, FRAMES - 1: -1}
            lines = [str(values.get(frame, 0)) for frame in range(FRAMES)]
            (folder / name / "anchor.value").write_text("\n".join(lines) + "\n")
    (folder / "list.txt").write_text("first\nsecond\n")
    return folder


def _corners(frame, index, number):
    tilt = 0.3 + 0.2 * index
    shape = np.array([[-16, -11], [16, -11], [16, 11], [-16, 11]]) @ [
        [np.cos(tilt), np.sin(tilt)],
        [-np.sin(tilt), np.cos(tilt)],
    ]
    jump = 60 if frame > FRAMES // 2 + number else 0
    return shape + [40.25 + 0.5 * frame + 30 * index + jump * (not index), 40 + 0.75 * frame + 10 * index]


def _annotation(corners, masks):
    if not masks:
        return ",".join(f"{value:.2f}" for value in corners.ravel())
    pixels = cv2.fillPoly(np.zeros(SIZE[::-1], np.uint8), [np.rint(corners).astype(np.int32)], 1).astype(bool)
    return Mask(0, 0, pixels).tight().text()


def save_tracker(path, cfg, scale=None):
    """Write a checkpoint that knows its config.

    `scale` multiplies the weights that predict boxes: with 0 an untrained tracker stays near where it was, so that it
    loses a target that jumps; with NaN it cannot track.
    """
    torch.manual_seed(0)
    state = build_model(cfg).state_dict()
    if scale is not None:
        state = {name: value * scale if "loc.head" in name else value for name, value in state.items()}
    torch.save({"state_dict": state, "config": config_text(cfg)}, path)
    return path


def run(*words, env=None, check=True, cwd=None):
    """Run a program to its end and return it; the test fails if it does."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300, env=env, cwd=cwd)
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def make_workspace(folder, snapshot, stack, python, *words, env=None, check=True):
    """Make a workspace with the tool; `stack` is the text of a stack's file."""
    path = folder.with_name(f"{folder.name}.yaml")
    path.write_text(stack)
    tool = [sys.executable, ROOT / "tools" / "vot_workspace.py", folder, "--snapshot", snapshot]
    return run(*tool, "--stack", path, "--toolkit", python, "--device", "cpu", *words, env=env, check=check)


def vot(python, action, folder, *words, env=None, check=True):
    """Run a command of the toolkit in a workspace."""
    return run(python, "-m", "vot", action, "--workspace", folder, *words, env=env, check=check)


def analyse(python, folder, tracker):
    """Return the values that the toolkit's analyses print, by experiment."""
    vot(python, "analysis", folder, tracker)
    (path,) = Path(folder, "analysis").glob("*.json")
    results = json.loads(path.read_text())["results"]
    return {name: [each[0] for each in experiment["results"]] for name, experiment in results.items()}
