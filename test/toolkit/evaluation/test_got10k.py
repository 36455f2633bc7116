"""One-pass scores against the got10k package itself, where it is installed and the definitions agree.

They agree on GOT-10k's own scores, and on success and precision of valid boxes. The package takes the ground truth as
the first box, like the official modes.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers import ROOT
from pysot.toolkit.datasets import load_dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.results.files import save_ope

needs_got10k = pytest.mark.skipif(
    not os.environ.get("GOT10K_PYTHON"), reason="GOT10K_PYTHON does not name a Python with got10k"
)


def ask(*arguments):
    command = [os.environ["GOT10K_PYTHON"], Path(__file__).with_name("ask_got10k.py"), *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def images(folder, count):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, count + 1):
        cv2.imwrite(str(folder / f"{number:08d}.jpg"), np.zeros((120, 160, 3), np.uint8))


@needs_got10k
@pytest.mark.parametrize("tracker", ["one", "three"])
def test_got10k(tmp_path, tracker):
    shutil.copytree(ROOT / "test" / "parity" / "got10k_small" / "val", tmp_path / "GOT-10k" / "val")
    for video in (tmp_path / "GOT-10k" / "val").glob("GOT*"):
        images(video, len((video / "groundtruth.txt").read_text().splitlines()))
    results = ROOT / "test" / "parity" / "got10k_small" / "results"
    expected = ask("GOT-10k", tmp_path / "GOT-10k", results, tracker, tmp_path / "reports")
    scores = score_trackers(load_dataset("GOT-10k", tmp_path), [results / tracker], mode="official")
    official = scores.to_json()[tracker]["official"]
    assert [official[key] for key in ("ao", "sr50", "fps")] == pytest.approx(
        [expected["overall"][key] for key in ("ao", "sr", "speed_fps")], abs=1e-9
    )
    assert {name: video["ao"] for name, video in official["videos"].items()} == pytest.approx(
        {name: video["ao"] for name, video in expected["seq_wise"].items()}
    )


@needs_got10k
def test_success_and_precision(tmp_path):
    rng = np.random.default_rng(0)
    for index, count in enumerate((30, 45, 25)):
        truth = np.concatenate([rng.uniform(5, 60, (count, 2)), rng.uniform(10, 40, (count, 2))], axis=1)
        images(tmp_path / "DTB70" / f"v{index}" / "img", count)
        np.savetxt(tmp_path / "DTB70" / f"v{index}" / "groundtruth_rect.txt", truth, fmt="%.4f", delimiter=",")
        save_ope(tmp_path / "results" / "m", f"v{index}", truth + rng.normal(0, 6, (count, 4)) * [1, 1, 0.3, 0.3])
    expected = ask("DTB70", tmp_path / "DTB70", tmp_path / "results", "m", tmp_path / "reports")
    scores = score_trackers(load_dataset("DTB70", tmp_path), [tmp_path / "results" / "m"], mode="official")
    official = scores.to_json()["m"]["official"]
    assert (official["auc"], official["precision20"]) == pytest.approx(
        [expected["overall"][key] for key in ("success_score", "precision_score")], abs=1e-9
    )
    assert {name: video["auc"] for name, video in official["videos"].items()} == pytest.approx(
        {name: video["success_score"] for name, video in expected["seq_wise"].items()}, abs=1e-9
    )
