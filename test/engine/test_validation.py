"""Validation between epochs: best.pth, its EAO, and the same values from tools/test.py on all snapshots."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch

from helpers import POINTS, ROOT, TINY, experiment, moving_square, tiny_benchmark, tiny_config
from pysot.engine.checkpoint import CheckpointPolicy
from pysot.engine.validation_builder import build_validation
from pysot.load import load_tracker
from pysot.models.model_builder import build_model
from pysot.tracker.siamban_tracker import SiamBANTracker
from pysot.utils.distributed import Rank
from pysot.utils.signals import Interrupted, StopRequest
from rank_helpers import free_port

VALIDATE = ["TRAIN.VAL.DATASET", "VOT2016"]
SHORT = (
    "TRAIN.EPOCH 3 TRAIN.BATCH_SIZE 2 DATASET.VIDEOS_PER_EPOCH 8 TRAIN.NUM_WORKERS 0 TRAIN.SNAPSHOT_DIR snap "
    "TRAIN.LOG_DIR logs TRAIN.LOG_PICTURES 2 TRAIN.BASE_LR 0.001"
).split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_benchmark(tmp_path_factory.mktemp("benchmark"))


def tool(name, *arguments, cwd, launcher=()):
    command = [sys.executable, *launcher, str(ROOT / "tools" / name), "--cfg", experiment("quickstart")]
    command += ["--device", "cpu", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=400)


def test_best_checkpoint_of_two_processes_and_the_table_of_all(folder):
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=29641")
    done = tool("train.py", "--opts", *TINY, *SHORT, *VALIDATE, cwd=folder, launcher=launcher)
    assert done.returncode == 0, done.stderr
    scores = [float(value) for value in re.findall(r"validation after epoch \d: .*EAO ([\d.]+)", done.stderr)]
    best = torch.load(folder / "snap" / "best.pth", weights_only=True)
    assert len(scores) == 3 and round(best["eao"], 3) == max(scores) and scores[best["epoch"] - 1] == max(scores)
    assert re.search(rf"Best EAO on VOT2016 : {best['eao']:.3f}, ", done.stdout)
    assert re.search(r"Last checkpoint : .*checkpoint_e3.pth", done.stdout)

    snapshots = ["--snapshot", "snap/checkpoint_e{1..3}.pth"]
    tested = tool("test.py", *snapshots, "--dataset", "VOT2016", "--opts", *TINY, cwd=folder)
    assert tested.returncode == 0, tested.stderr
    lines = [line.strip("|") for line in tested.stdout.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    rows = {row[0]: float(row[-1]) for row in cells[1:]}
    assert [rows[f"checkpoint_e{n}"] for n in (1, 2, 3)] == scores
    assert rows["mean of 3"] == pytest.approx(sum(scores) / 3, abs=1e-3) and "spread" in rows
    command = [sys.executable, str(ROOT / "tools" / "eval.py"), "-p", "snap/validation", "-d", "VOT2016"]
    command += ["--json", "scores.json"]
    assert subprocess.run(command, cwd=folder, capture_output=True, timeout=100).returncode == 0
    evaluated = json.loads((folder / "scores.json").read_text()).values()
    assert {round(score["eao"]["all"], 3) for score in evaluated} == set(scores)


def test_a_network_without_anchors(folder, tmp_path):
    """Its checkpoints know their config: they are loaded and tracked with without one."""
    snap = tmp_path / "points"
    opts = [*TINY, *POINTS, *SHORT, *VALIDATE, "TRAIN.SNAPSHOT_DIR", str(snap), "TRAIN.EPOCH", "1"]
    done = tool("train.py", "--opts", *opts, "TRAIN.LR_WARMUP.WARMUP", "False", cwd=folder)
    assert done.returncode == 0, done.stderr
    score = re.search(r"validation after epoch 1: .*EAO ([\d.]+)", done.stderr)[1]
    assert type(load_tracker(snap, device="cpu")) is SiamBANTracker
    command = [sys.executable, str(ROOT / "tools" / "test.py"), "--snapshot", str(snap / "best.pth"), "-d", "VOT2016"]
    command += ["--results_dir", str(tmp_path), "--device", "cpu"]
    tested = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=400)
    assert tested.returncode == 0, tested.stderr
    row = next(line for line in tested.stdout.splitlines() if line.startswith("|") and "best" in line)
    assert row.strip("|").split("|")[-1].strip() == score


def test_processes_without_a_common_disk_validate_together(folder, tmp_path):
    """Start two processes one by one with WORLD_SIZE and --local_rank, each with its own snapshot folder."""
    variables = {"WORLD_SIZE": "2", "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    environment = {**{name: value for name, value in os.environ.items() if "RANK" not in name}, **variables}
    command = [sys.executable, str(ROOT / "tools" / "train.py"), "--cfg", experiment("quickstart"), "--device", "cpu"]
    command += ["--data_path", str(folder)]
    opts = ["--opts", *TINY, *SHORT, *VALIDATE, "TRAIN.EPOCH", "2", "TRAIN.LR_WARMUP.WARMUP", "False"]
    opts += ["TRAIN.VAL.ROOT", str(folder / "testing_dataset")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    folders = [(tmp_path / name) for name in "ab"]
    processes = []
    for rank, own_folder in enumerate(folders):
        own_folder.mkdir()
        rank_command = [*command, "--local_rank", str(rank), *opts]
        processes.append(subprocess.Popen(rank_command, cwd=own_folder, env=environment, **pipes))
    texts = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], texts
    assert len(re.findall(r"validation after epoch \d: .*EAO [\d.]+", texts[0])) == 2
    assert not list((folders[1] / "snap").glob("*.pth"))
    names = sorted(path.name for path in (folders[0] / "snap" / "validation").rglob("square*_001.txt"))
    assert names == ["square0_001.txt", "square0_001.txt", "square1_001.txt", "square1_001.txt"]


def test_an_interrupted_validation_is_continued(folder, tmp_path):
    root = str(folder / "testing_dataset")
    config = tiny_config(*VALIDATE, "TRAIN.VAL.ROOT", root, "TRAIN.SNAPSHOT_DIR", str(tmp_path))
    request = StopRequest()
    validation = build_validation(config, torch.device("cpu"), Rank(), request)
    torch.manual_seed(1)
    path = tmp_path / "checkpoint_e1.pth"
    torch.save({"epoch": 1, "optimizer": {}, "state_dict": build_model(config).state_dict()}, path)
    request.signum = 15
    with pytest.raises(Interrupted, match="TRAIN.RESUME auto continues it"):
        validation(path)
    request.signum = 0
    scores = validation(path)
    first = tmp_path / "validation" / "VOT2016" / "checkpoint_e1" / "baseline" / "square0" / "square0_001.txt"
    written = first.stat().st_mtime_ns
    assert validation(path) == scores and set(scores) == {"accuracy", "robustness", "EAO"}
    assert first.stat().st_mtime_ns == written
    torch.manual_seed(2)
    torch.save({"epoch": 1, "optimizer": {}, "state_dict": build_model(config).state_dict()}, path)
    validation(path)
    assert first.stat().st_mtime_ns != written  # the snapshot has other weights now


def test_a_set_that_cannot_be_scored_is_refused_at_the_start(tmp_path):
    moving_square(tmp_path / "VOT2016" / "short", frames=5)
    (tmp_path / "VOT2016" / "list.txt").write_text("short\n")
    with pytest.raises(ValueError, match="averages over lengths from 108 frames on.*has 5; choose longer"):
        build_validation(tiny_config(*VALIDATE, "TRAIN.VAL.ROOT", str(tmp_path)), torch.device("cpu"), Rank())
    with pytest.raises(ValueError, match="no video nobody"):
        config = tiny_config(*VALIDATE, "TRAIN.VAL.ROOT", str(tmp_path), "TRAIN.VAL.VIDEOS", "[nobody]")
        build_validation(config, torch.device("cpu"), Rank())
    (tmp_path / "VOT2016" / "short" / "color" / "00000001.jpg").unlink()
    with pytest.raises((ValueError, FileNotFoundError)):
        build_validation(tiny_config(*VALIDATE, "TRAIN.VAL.ROOT", str(tmp_path)), torch.device("cpu"), Rank())
    assert build_validation(tiny_config(), torch.device("cpu"), Rank()) is None


def test_the_best_is_known_after_a_restart_and_not_in_a_new_run(tmp_path):
    path = tmp_path / "checkpoint_e1.pth"
    torch.save({"epoch": 1, "optimizer": {}, "state_dict": {}}, path)
    policy = CheckpointPolicy(tmp_path)
    assert policy.keep_best(path, 0.3) == tmp_path / "best.pth"
    assert policy.keep_best(path, 0.2) is None and policy.keep_best(path, float("nan")) is None
    resumed = CheckpointPolicy(tmp_path)
    resumed.resume()
    assert resumed.best == 0.3 and resumed.keep_best(path, 0.25) is None
    assert CheckpointPolicy(tmp_path).keep_best(path, 0.1) is not None
