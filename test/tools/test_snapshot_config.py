"""Tools without --config, for snapshots that know theirs; and test.py --check-against."""

import subprocess
import sys

import pytest
import torch
from toolkit_data import make_raw_set

from helpers import ROOT, moving_square, tiny_config, tiny_mask_config
from pysot.core.stored_config import config_text
from pysot.models.model_builder import build_model
from track_helpers import ENVIRONMENT


def run_tool(name, *args, cwd):
    command = [sys.executable, ROOT / "tools" / name, "--device", "cpu", *args]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=cwd, env=ENVIRONMENT)
    assert "Traceback" not in done.stderr
    return done


def save(path, cfg, **more):
    torch.manual_seed(0)
    torch.save({"state_dict": build_model(cfg).state_dict(), **more}, path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with snapshots and a data set; knows.pth knows its config, old.pth does not."""
    folder = tmp_path_factory.mktemp("snapshots")
    make_raw_set(folder / "testing_dataset" / "TINY")
    config = tiny_config("TRACK.LR", 0.2)
    save(folder / "knows.pth", config, config=config_text(config))
    save(folder / "old.pth", config)
    (folder / "config.yaml").write_text(config.dump())
    (folder / "mask.yaml").write_text(tiny_mask_config("refine").dump())
    return folder


def test_the_snapshot_knows_its_config(folder):
    """The results are those with the config."""
    args = ("--dataset", "TINY", "--video", "boxes", "--snapshot", "knows.pth")
    for results, config in (("stored", ()), ("given", ("--config", "config.yaml"))):
        done = run_tool("test.py", *args, "--results_dir", results, *config, cwd=folder)
        assert done.returncode == 0 and "| " in done.stdout, done.stderr
    paths = [folder / name / "TINY/knows/baseline/boxes/boxes_001.txt" for name in ("stored", "given")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--snapshot", "old.pth"), "old.pth does not know its config"),
        ((), "expected --config or --snapshot, got neither"),
        (("--snapshot", "knows.pth", "--config", "mask.yaml"), "SiamRPN checkpoint without mask_head"),
        (("--snapshot", "knows.pth", "--config", "mask.yaml"), "It knows the config that it was trained with"),
        (("--snapshot", "knows.pth", "--check-against", "gone"), "no folder of published results gone"),
    ],
)
def test_mistakes_are_sentences(folder, args, words):
    done = run_tool("test.py", "--dataset", "TINY", *args, cwd=folder)
    assert done.returncode == 2 and words in done.stderr and not (folder / "results").exists()


def test_the_demo_needs_no_config(folder, tmp_path):
    box = ",".join(map(str, moving_square(tmp_path / "clip", frames=4)[0]))
    args = ("--video_name", tmp_path / "clip" / "color", "--init", box, "--output", tmp_path / "out")
    done = run_tool("demo.py", "--snapshot", folder / "knows.pth", *args, cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "out" / "boxes.json").is_file(), done.stderr
    done = run_tool("demo.py", "--snapshot", folder / "old.pth", *args, cwd=tmp_path)
    assert done.returncode == 2 and "old.pth does not know its config" in done.stderr


def test_results_are_compared_with_published_ones(folder, tmp_path):
    """Those made here, of which one is perturbed and one is missing; the results that exist are compared too."""
    args = ("--dataset", "TINY", "--datasetdir", folder / "testing_dataset", "--snapshot", folder / "knows.pth")
    done = run_tool("test.py", *args, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    published = tmp_path / "published"
    (tmp_path / "results" / "TINY" / "knows").rename(published)
    done = run_tool("test.py", *args, "--check-against", published, cwd=tmp_path)
    assert done.returncode == 0 and "knows against" in done.stdout and "in 0 of 2" in done.stdout, done.stderr

    path = published / "baseline" / "boxes" / "boxes_001.txt"
    lines = path.read_text().splitlines()
    row = next(index for index, line in enumerate(lines) if "," in line)
    x, *rest = lines[row].split(",")
    lines[row] = ",".join([f"{float(x) + 0.06:.4f}", *rest])
    path.write_text("\n".join(lines) + "\n")
    (published / "baseline" / "slow" / "slow_001.txt").unlink()
    done = run_tool("test.py", *args, "--check-against", published, cwd=tmp_path)
    assert done.returncode == 0 and "boxes has a result already" in done.stderr
    cells = next(line for line in done.stdout.splitlines() if line.strip("| ").startswith("boxes ")).split("|")
    assert cells[4].strip() == str(row + 1) and "slow was not compared: no result" in done.stdout

    path.write_text("1\n")
    done = run_tool("test.py", *args, "--check-against", published, cwd=tmp_path)
    assert done.returncode == 0 and "nothing was compared" in done.stdout
    assert "boxes_001.txt has 1 frames, boxes has 8" in done.stdout
