"""The command tools/doctor.py."""

import subprocess
import sys

import torch

from helpers import ROOT, experiment, tiny_benchmark


def doctor(cwd, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "doctor.py"), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_what_is_missing_is_named(tmp_path):
    done = doctor(tmp_path, "--opts", "TRAIN.SNAPSHOT_DIR", "none")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("!!")]
    text = "\n".join(lines)
    assert (
        "VID.ANNO" in text
        and "training_dataset/README.md" in text
        and "BACKBONE.PRETRAINED" in text
        and "VOT2016" in text
    )
    assert f"{len(lines)} problem(s)" in done.stdout


def test_a_machine_that_is_ready(tmp_path):
    data = tiny_benchmark(tmp_path, frames=3)
    (tmp_path / "snap").mkdir()
    torch.save({"epoch": 1, "state_dict": {"a": torch.zeros(2)}}, tmp_path / "snap" / "checkpoint_e1.pth")
    arguments = [
        "--cfg",
        experiment("quickstart"),
        "--data_path",
        data,
        "--datasetdir",
        data / "testing_dataset",
        "--opts",
        "TRAIN.SNAPSHOT_DIR",
        "snap",
    ]
    done = doctor(tmp_path, "--run", *arguments)
    assert "== run on " in done.stdout and "grouped convolution        error " in done.stdout
    assert "2 videos" in done.stdout and "checkpoint_e1.pth, 1 tensors" in done.stdout
    after = done.stdout[done.stdout.index("== devices") :]  # earlier sections depend on the machine
    assert "!!" not in after.replace("lines with !!", ""), done.stdout
    (tmp_path / "snap" / "checkpoint_e1.pth").write_bytes(b"PK cut")
    done = doctor(tmp_path, *arguments)
    assert done.returncode == 1 and "!! checkpoint_e1.pth" in done.stdout, done.stdout


def test_a_config_that_is_wrong(tmp_path):
    done = doctor(tmp_path, "--opts", "TRAIN.EPOCHS", "3")
    assert done.returncode == 1 and "did you mean TRAIN.EPOCH" in done.stdout
