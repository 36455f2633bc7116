"""The command tools/reproduce.py: bad input, small forms as a whole, interrupts, folders that were edited."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from helpers import ROOT, copy_of_repository, experiment, load_nano_weights, moving_square
from pysot.core.config import load_config
from pysot.models.model_builder import build_model
from pysot.reproduction.claims import CLAIMS

pytest.importorskip("skimage")
SMALL = ("--small", "--device", "cpu")


def command(*arguments, root: Path = ROOT) -> list[str]:
    return [sys.executable, str(root / "tools" / "reproduce.py"), *map(str, arguments)]


def reproduce(*arguments, cwd: Path, root: Path = ROOT) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command(*arguments, root=root), cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )
    assert "Traceback" not in done.stderr
    return done


def refused(*arguments, cwd: Path, root: Path = ROOT) -> str:
    """Return the error of a command that must fail and leave nothing."""
    before = sorted(cwd.rglob("*"))
    done = reproduce(*arguments, cwd=cwd, root=root)
    assert done.returncode == 2, done.stdout + done.stderr
    assert sorted(cwd.rglob("*")) == before
    return done.stderr


def test_the_list(tmp_path):
    lines = reproduce(cwd=tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(CLAIMS)
    assert re.search(r"^nanotrackv3-VOT2018 +VOT2018 EAO 0.449 \[repository of its authors\]$", "\n".join(lines), re.M)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["quikstart"], "NAME is 'quikstart'; known: .*; did you mean quickstart"),
        (["nanotrackv3"], "did you mean .*nanotrackv3-VOT2018"),
        (["nanotrackv3-VOT2018", "--small"], "expected a claim that trains, got nanotrackv3-VOT2018"),
        (["nanotrackv3-VOT2018", "--seeds", "1"], "--seeds: expected a claim that uses it, got nanotrackv3-VOT2018"),
        (["quickstart", "--devices", "2"], "--devices: expected a claim that uses it"),
        (["siamrpn_r50_l234_dwxcorr_8gpu-speed_1p", "--tune", "9"], "--tune: expected a claim that uses it"),
        (["quickstart", "--seeds", "1,1"], "expected different whole numbers such as 1,2,3, got '1,1'"),
        (["quickstart", "--data_path", "nowhere"], "--data_path: expected a folder, there is no nowhere"),
        (["quickstart", "--device", "gpu"], "device 'gpu': expected auto, npu, cuda, cpu"),
        (["quickstart", "--verify", "."], "leave out NAME"),
        (["--verify", "."], "expected the folder of a finished run, got one without manifest.json"),
    ],
)
def test_bad_arguments(tmp_path, arguments, words):
    assert re.search(words, refused(*arguments, cwd=tmp_path))


def test_missing_inputs_are_all_named(tmp_path):
    """Also with --with-deviations: what is missing can't be computed with."""
    (tmp_path / "data").mkdir()
    name = "siamrpn_r50_l234_dwxcorr_8gpu"
    error = refused(name, "--data_path", "data", "--device", "cpu", "--with-deviations", cwd=tmp_path)
    for words in (
        "- training set VID: expected to be here, got nothing; see training_dataset/vid/readme.md",
        "- training set YOUTUBEBB: expected to be here, got nothing; see training_dataset/yt_bb/readme.md",
        "- training set COCO: ",
        "- training set DET: ",
        "- benchmark VOT2016: expected to be here, got nothing; see testing_dataset/README.md; put it into",
    ):
        assert words in error


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """Return a copy of the repository with random weights of NanoTrack V3 and two sequences named VOT2018."""
    root = copy_of_repository(tmp_path_factory.mktemp("reproduce"))
    config = load_config(experiment("nanotrackv3"))
    torch.save(load_nano_weights(build_model(config)).state_dict(), root / "pretrained_models" / "nanotrackv3.pth")
    for index in range(2):
        moving_square(root / "testing_dataset" / "VOT2018" / f"square{index}", frames=115, seed=index)
    (root / "testing_dataset" / "VOT2018" / "list.txt").write_text("square0\nsquare1\n")
    return root


def test_a_published_tracker(copy, tmp_path):
    """Its weights and its benchmark are others: both are named, and the table judges nothing."""
    arguments = ("nanotrackv3-VOT2018", "--device", "cpu")
    error = refused(*arguments, cwd=tmp_path, root=copy)
    assert "3 inputs differ from those of the published result" in error
    assert "- weights pretrained_models/nanotrackv3.pth: expected sha256 4f0d25108385, got " in error
    assert "- VOT2018: videos: expected 60 (The sixth Visual Object Tracking VOT2018 challenge results), got 2" in error
    assert "3 inputs differ" in refused(*arguments, "--check", cwd=tmp_path, root=copy)
    assert reproduce(*arguments, "--with-deviations", cwd=tmp_path, root=copy).returncode == 0
    done = reproduce(*arguments, "--with-deviations", "--tune", 2, cwd=tmp_path, root=copy)  # added to the finished run
    assert done.returncode == 0, done.stderr
    assert "== 2/3 score_tracked (0 s): finished before" in done.stderr
    assert re.search(r"VOT2018 EAO +\| +0.449 +\| +[\d.-]+ +\|.*\| not comparable: 3 deviations \|", done.stdout)
    assert re.search(r"VOT2018, tuned on the benchmark itself \| +- +\|.*\| +not comparable +\|", done.stdout)
    folder = tmp_path / "reproductions" / "nanotrackv3-VOT2018"
    assert "neither reproduces nor refutes" in (folder / "table.md").read_text()
    verified = reproduce("--verify", folder, cwd=tmp_path, root=copy)
    assert verified.returncode == 0 and "verified: files, scores, speeds and table of" in verified.stdout, (
        verified.stderr
    )
    (copy / "pretrained_models" / "nanotrackv3.pth").unlink()
    error = refused(*arguments, "--out", "other", cwd=tmp_path, root=copy)
    assert (
        "- weights pretrained_models/nanotrackv3.pth: expected to be here, got nothing; python tools/get_weights.py"
        in error
    )


def training_process(folder: Path, *arguments) -> subprocess.Popen:
    return subprocess.Popen(
        command("quickstart", *SMALL, "--out", folder, *arguments), cwd=folder.parent, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for_text(process: subprocess.Popen, path: Path, text: str) -> None:
    end = time.monotonic() + 120
    while not (path.exists() and text in path.read_text()):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Return the folder of the small quickstart, which was interrupted while it trained and then went on."""
    folder = tmp_path_factory.mktemp("quickstart") / "run"
    process = training_process(folder)
    wait_for_text(process, folder / "logs" / "train_seed_123456.log", "Epoch: [1][2/8]")
    process.send_signal(signal.SIGTERM)
    error = process.communicate(timeout=100)[1]
    assert process.returncode == 143 and "interrupted; finished work is kept, the same command goes on" in error
    assert not (folder / "manifest.json").exists()
    done = reproduce("quickstart", *SMALL, "--out", folder, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    assert "== 1/2 data (0 s): finished before" in done.stderr and "resumed from" in done.stderr
    assert re.search(r"VOT-QUICKSTART EAO +\| +0.394 .*\| not comparable: \d deviations? \|", done.stdout)
    assert "- data: expected QUICKSTART, VOT-QUICKSTART, got 3 generated sequences each" in done.stdout
    return folder


def test_quickstart_leaves_everything_in_one_folder(finished):
    files = json.loads((finished / "manifest.json").read_text())["files"]
    assert {"run.json", "table.md", "logs/train_seed_123456.log", "seed_123456/scores.json"} <= files.keys()
    assert "seed_123456/snapshot/checkpoint_e2.pth" in files
    assert any(re.search(r"results/VOT-QUICKSTART/checkpoint_e2/baseline/.*_001.txt", name) for name in files)
    record = json.loads((finished / "run.json").read_text())
    assert record["settings"]["seeds"] == [123456] and record["machine"]["versions"]["torch"].startswith("2.")
    assert record["machine"]["variables"]["OMP_NUM_THREADS"] == "1"
    steps = ["data", "crops", "train_seed_123456", "track_seed_123456", "score_seed_123456"]
    assert [step["name"] for step in record["steps"]] == steps
    if shutil.which("git") and (ROOT / ".git").exists():
        assert re.fullmatch("[0-9a-f]{40}", record["commit"])


def test_a_finished_run_is_only_printed_again(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.name != ".lock"}
    done = reproduce("quickstart", *SMALL, "--out", finished, cwd=finished.parent)
    assert done.returncode == 0 and "== " not in done.stderr, done.stderr
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.name != ".lock"} == before


def test_another_seed_is_refused(finished):
    done = reproduce("quickstart", *SMALL, "--out", finished, "--seed", 5, cwd=finished.parent)
    assert done.returncode == 2 and "is of another run: seeds was [123456] and is [5]" in done.stderr


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_verification(finished, tmp_path):
    """Snapshots may be left out; an edited result, score, log and table are named, and what they change."""
    folder = shutil.copytree(finished, tmp_path / "sent")
    for path in folder.rglob("*.pth"):
        path.unlink()
    done = reproduce("--verify", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "checkpoint_e2.pth was left out; the manifest has its hash" in done.stdout
    folder = shutil.copytree(finished, tmp_path / "edited")
    result = next((folder / "seed_123456" / "results").rglob("coins_001_001.txt"))
    truth = folder / "data" / "testing_dataset" / "VOT-QUICKSTART" / "coins_001" / "groundtruth.txt"
    result.write_text("1\n" + truth.read_text().partition("\n")[2])  # a perfect tracker
    edit(folder / "seed_123456" / "scores.json", '"robustness": ', '"robustness": 1')
    edit(folder / "logs" / "score_seed_123456.log", "checkpoint", "chequepoint")
    edit(folder / "table.md", "not comparable", "reproduced")
    (folder / "notes.txt").write_text("")
    done = reproduce("--verify", folder, cwd=tmp_path)
    assert done.returncode == 2
    for words in (
        f"- {result.relative_to(folder)} was edited",
        "- seed_123456/scores.json was edited",
        "- logs/score_seed_123456.log was edited",
        "- table.md was edited",
        "- notes.txt is new",
        "- score (measure robustness, benchmark VOT-QUICKSTART, epoch 0, seed 123456): value is ",
        "- seed_123456/scores.json: robustness of checkpoint_e2 is ",
        "- table.md is not the table that the results give",
    ):
        assert words in done.stderr, words
    again = reproduce("quickstart", *SMALL, "--out", folder, cwd=tmp_path)
    assert (
        again.returncode == 2 and f"{folder} was edited after its run: logs/score_seed_123456.log was" in again.stderr
    )


def test_a_verification_without_the_benchmark(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "sent")
    shutil.rmtree(folder / "data")
    done = reproduce("--verify", folder, cwd=tmp_path)
    assert done.returncode == 2 and "benchmark VOT-QUICKSTART: expected it in " in done.stderr


def test_check_stops_after_the_inputs(tmp_path):
    done = reproduce("quickstart", *SMALL, "--check", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\| +network +\| +that of experiments/quickstart +\| +a tiny network", done.stdout)
    assert (tmp_path / "run" / "data").is_dir() and not list((tmp_path / "run").glob("seed_*"))


def test_the_published_run_on_eight_cards(tmp_path):
    """In its small form, with the launch script: two ranks on a CPU, a speed, and the spread over two epochs."""
    done = reproduce("siamrpn_r50_l234_dwxcorr_8gpu", *SMALL, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"pairs/s +\| +280.1 +\| +[\d.]+ +\| +-[\d.]+ +\|.*\| +0.\d+ x, other devices +\|", done.stdout)
    row = (
        r"VOT-QUICKSTART epoch 2 EAO \(in place of VOT2016 epoch 20 EAO\) +\| +0.406 +\| +[\d.]+ +\|.*not comparable: "
    )
    assert re.search(row, done.stdout)
    assert "- pairs of a step: expected 8 x 28, got 2 x 2" in done.stdout
    folder = tmp_path / "run"
    verified = reproduce("--verify", folder, cwd=tmp_path)
    assert verified.returncode == 0, verified.stderr
    log = folder / "logs" / "train_seed_123456.log"
    log.write_text(re.sub("Speed pairs/s : mean [0-9.]+", "Speed pairs/s : mean 281.00", log.read_text()))
    edited = reproduce("--verify", folder, cwd=tmp_path).stderr
    assert "- logs/train_seed_123456.log was edited" in edited
    assert re.search(r"- speed \(seed 123456, .*\): mean is [\d.]+ in the manifest, the files give 281.0", edited)
