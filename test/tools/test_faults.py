"""Faults put into real training runs of two processes: whatever happens, the same command goes on to the weights of an undisturbed run."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from helpers import ROOT, TINY, experiment, tiny_benchmark

STEPS = 60  # of an epoch; two epochs, the backbone trains in the second
KILLS = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_benchmark(tmp_path_factory.mktemp("faults"), frames=8, videos=3)


def command(data, folder, *opts: str, ranks: int = 2, launcher=(), workers: int = 1) -> list[str]:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}", *launcher] if ranks > 1 else [sys.executable]
    fixed = ["DATASET.VIDEOS_PER_EPOCH", str(STEPS * 4), "TRAIN.EPOCH", "2", "TRAIN.BATCH_SIZE", str(4 // ranks), "TRAIN.NUM_WORKERS", str(workers),
             "BACKBONE.TRAIN_EPOCH", "1", "TRAIN.PRINT_FREQ", "1", "TRAIN.CHECKPOINT_EVERY", "1", "TRAIN.RESUME", "auto",
             "TRAIN.SNAPSHOT_DIR", str(folder / "snap"), "TRAIN.LOG_DIR", str(folder / "logs")]
    arguments = ["--cfg", experiment("quickstart"), "--device", "cpu", "--data_path", str(data), "--opts", *TINY, *fixed, *opts]
    return [*start, str(ROOT / "tools" / "train.py"), *arguments]


def start(*arguments, **more) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command(*arguments, **more), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def finish(process: subprocess.Popen) -> str:
    text, _ = process.communicate(timeout=300)
    return text


def lines(folder: Path) -> list[str]:
    """`[epoch][step/steps]` and losses of all steps so far, over all starts."""
    log = folder / "logs" / "train.log"
    return re.findall(r"Epoch: (\[\d+\]\[\d+/\d+\]) .*?(total_loss: [\d.]+)", log.read_text()) if log.exists() else []


def wait_for(folder: Path, count: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while len(lines(folder)) < count and process.poll() is None:
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.02)


def final_weights(folder: Path) -> dict:
    return torch.load(folder / "snap" / "checkpoint_e2.pth", weights_only=True)["state_dict"]


def assert_equal(one: Path, other: Path) -> None:
    a, b = final_weights(one), final_weights(other)
    assert all(torch.equal(value, b[name]) for name, value in a.items())


def processes(folder: Path) -> dict[int, tuple[int, bytes]]:
    """Pid to (parent, environment) of the training processes and loader processes of a run."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(folder).encode() in (entry / "cmdline").read_bytes():
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                found[int(entry.name)] = parent, (entry / "environ").read_bytes()
        except OSError:
            continue
    return found


def rank_process(folder: Path, rank: int) -> int:
    """The training process of a rank: the one whose parent is of another kind."""
    found = processes(folder)
    wanted = [pid for pid, (_, environment) in found.items() if f"RANK={rank}".encode() in environment.split(b"\0")]
    return next(pid for pid in wanted if found[pid][0] not in wanted)


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(data, folder)
    text = finish(process)
    assert process.returncode == 0, text
    assert len(lines(folder)) == 2 * STEPS
    return folder


def test_twenty_kills(data, undisturbed, tmp_path):
    rng = random.Random(5)
    for kill in range(KILLS):
        process = start(data, tmp_path, workers=kill % 3)
        wait_for(tmp_path, len(lines(tmp_path)) + rng.randint(1, 4), process)
        time.sleep(rng.random() * 0.2)
        os.killpg(process.pid, signal.SIGKILL)
        for pid in processes(tmp_path):  # torchrun's ranks have sessions of their own
            os.kill(pid, signal.SIGKILL)
        finish(process)
    process = start(data, tmp_path)
    text = finish(process)
    assert process.returncode == 0, text
    assert_equal(undisturbed, tmp_path)
    assert dict(lines(tmp_path)) == dict(lines(undisturbed)), "the losses of every step"


@pytest.mark.parametrize("target", ["all", "rank 1"])
def test_sigterm_saves_and_ends_with_a_message(data, undisturbed, tmp_path, target):
    process = start(data, tmp_path)
    wait_for(tmp_path, 5 if target == "rank 1" else STEPS + 5, process)  # word of rank 1 takes a second or two
    os.kill(process.pid if target == "all" else rank_process(tmp_path, 1), signal.SIGTERM)
    text = finish(process)
    assert process.returncode != 0 and re.search(r"ended by SIGTERM after step \d+; its state is saved", text), text
    assert (tmp_path / "snap" / "latest.pth").exists()
    again = start(data, tmp_path)
    text = finish(again)
    assert again.returncode == 0 and "resumed from" in text, text
    assert_equal(undisturbed, tmp_path)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_process_ends_with_the_status_of_the_signal(data, tmp_path, signum, status):
    process = start(data, tmp_path, ranks=1)
    wait_for(tmp_path, 5, process)
    os.killpg(process.pid, signum)  # its loader processes get it as well, as from a terminal
    text = finish(process)
    assert process.returncode == status and f"ended by {signum.name}" in text and "Traceback" not in text, text
    assert (tmp_path / "snap" / "latest.pth").exists()


def test_torchrun_restarts_and_resumes_by_itself(data, undisturbed, tmp_path):
    process = start(data, tmp_path, "TRAIN.RESUME", "", launcher=("--max-restarts=1",))
    wait_for(tmp_path, STEPS + 5, process)
    os.kill(rank_process(tmp_path, 1), signal.SIGKILL)
    text = finish(process)
    assert process.returncode == 0 and "resumed from" in text, text
    assert_equal(undisturbed, tmp_path)


def test_a_loader_process_that_is_killed_leaves_a_state_to_resume_from(data, tmp_path):
    for folder in ("whole", "hurt"):
        (tmp_path / folder).mkdir()
    assert (whole := start(data, tmp_path / "whole", ranks=1)) and finish(whole) and whole.returncode == 0
    process = start(data, tmp_path / "hurt", "TRAIN.CHECKPOINT_EVERY", "", ranks=1)
    wait_for(tmp_path / "hurt", 5, process)
    loaders = [pid for pid, (parent, _) in processes(tmp_path / "hurt").items() if parent == process.pid]
    os.kill(loaders[0], signal.SIGKILL)
    text = finish(process)
    assert process.returncode == 2 and "a loader process died" in text and "TRAIN.NUM_WORKERS" in text and "Traceback" not in text, text
    again = start(data, tmp_path / "hurt", ranks=1)
    text = finish(again)
    assert again.returncode == 0 and re.search(r"resumed from .*latest.pth: epoch 1, step \d+ is next", text), text
    assert_equal(tmp_path / "whole", tmp_path / "hurt")


def test_crops_that_cannot_be_read_are_reported_at_the_end_of_the_epoch(tmp_path):
    data = tiny_benchmark(tmp_path / "data", frames=8, videos=3)
    crops = sorted((data / "training_dataset" / "quickstart" / "crop511").rglob("*.jpg"))
    crops[0].unlink()
    crops[9].write_bytes(crops[9].read_bytes()[:200])
    process = start(data, tmp_path)
    text = finish(process)
    assert process.returncode == 0, text
    assert re.search(r"epoch 1: \d+ crops could not be read and were replaced by other draws", text)
    assert re.search(rf"epoch 1: .*{re.escape(crops[0].name)}", text) and re.search(rf"epoch 1: .*{re.escape(crops[9].name)}", text), text
