"""The commands tools/test.py and tools/eval.py on sets with masks of objects, with a small untrained network."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from helpers import ROOT, tiny_mask_config
from object_sets import HEIGHT, WIDTH, draw_labels, make_davis, make_youtube_vos, write_labels
from pysot.models.model_builder import build_model
from pysot.utils.frames import open_frames
from pysot.utils.label_images import read_label_image, read_numbers
from track_helpers import ENVIRONMENT, run_tool


@pytest.fixture
def mask_args(tmp_path):
    config = tiny_mask_config("refine")
    (tmp_path / "config.yaml").write_text(config.dump())
    torch.manual_seed(0)
    torch.save(build_model(config).state_dict(), tmp_path / "mask.pth")
    return "--config", "config.yaml", "--snapshot", "mask.pth"


def test_davis_is_tracked_drawn_and_scored(tmp_path, mask_args):
    make_davis(tmp_path / "sets" / "DAVIS", frames=5)
    write_labels(tmp_path / "sets" / "DAVIS" / "Annotations" / "480p" / "beta" / "00000.png", draw_labels(0, []))
    args = (*mask_args, "--dataset", "DAVIS2017", "--datasetdir", "sets", "--vis")
    done = run_tool("test.py", *args, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        "targets of each: 2" in done.stderr and "J recall" in done.stdout and "sequence beta is left out" in done.stdout
    )
    folder = tmp_path / "results" / "DAVIS2017" / "mask"
    images = [read_label_image(folder / "alpha" / f"{frame:05d}.png") for frame in range(5)]
    assert all(image.form == "palette" and image.pixels.shape == (HEIGHT, WIDTH) for image in images)
    assert np.array_equal(images[0].pixels, draw_labels(0)) and not (folder / "beta").exists()
    assert len(list(open_frames(folder / "vis" / "alpha.mp4").frames)) == 5
    done = run_tool("test.py", *args, cwd=tmp_path)
    assert done.returncode == 0 and "alpha has a result already" in done.stderr
    args = ["-p", "results", "-d", "DAVIS2017", "--datasetdir", "sets", "--json", "s.json", "--report", "r.html"]
    command = [sys.executable, str(ROOT / "tools" / "eval.py"), *args]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "s.json").read_text())["mask"]
    assert set(scores["objects"]) == {"alpha_1", "alpha_2"} and set(scores["J"]) == {"mean", "recall", "decay"}
    assert scores["J&F"] == pytest.approx((scores["J"]["mean"] + scores["F"]["mean"]) / 2)
    assert (tmp_path / "r.html").read_text().count("data:image/jpeg") >= 5


def test_youtube_vos_is_packed_for_its_server(tmp_path, mask_args):
    make_youtube_vos(tmp_path / "sets" / "YouTube-VOS" / "valid", frames=4)
    done = run_tool("test.py", *mask_args, "-d", "YouTube-VOS", "--datasetdir", "sets", cwd=tmp_path)
    assert done.returncode == 0 and "scored by its server: send it" in done.stderr, done.stderr
    with zipfile.ZipFile(tmp_path / "results" / "YouTube-VOS" / "mask.zip") as archive:
        assert archive.namelist() == [f"Annotations/00a/{number:05d}.png" for number in (0, 5, 10, 15)]
        (tmp_path / "third.png").write_bytes(archive.read("Annotations/00a/00010.png"))
    assert (read_numbers(tmp_path / "third.png") == 2).sum() == (draw_labels(2, [2]) == 2).sum()


def test_trackers_of_boxes_take_part(tmp_path):
    """Each object is the filled box of its tracker."""
    make_davis(tmp_path / "sets", videos=["alpha"], frames=3, year=2016)
    done = run_tool("test.py", "-d", "DAVIS2016", "--datasetdir", "sets", cwd=tmp_path)
    assert done.returncode == 0 and "untrained" in done.stdout, done.stderr
    numbers = read_numbers(tmp_path / "results" / "DAVIS2016" / "untrained" / "alpha" / "00002.png")
    rows, columns = np.flatnonzero(numbers.any(axis=1)), np.flatnonzero(numbers.any(axis=0))
    assert set(np.unique(numbers)) == {0, 1}
    assert numbers[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
