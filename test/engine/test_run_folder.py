"""Snapshot folders: identities, locks, new training in used folders, damaged files, and non-finite weights."""

import json
import math
import os
import subprocess
import sys

import pytest
import torch

from helpers import ROOT, checkpoints
from pysot.engine.checkpoint import CheckpointPolicy
from pysot.engine.run_folder import find_origin, lock_folder
from trainer_helpers import same, trainer, weights


def run(folder, *opts, **more):
    trained = trainer(folder, *opts, **more)
    trained.run()
    return trained


def test_a_fresh_start_moves_an_earlier_run_aside_and_keep_counts_its_own(tmp_path, caplog):
    run(tmp_path, "TRAIN.EPOCH", 4, "TRAIN.KEEP", 2)
    assert checkpoints(tmp_path) == ["checkpoint_e3.pth", "checkpoint_e4.pth"]
    second = run(tmp_path, "TRAIN.EPOCH", 2, "TRAIN.KEEP", 2, seed=9)
    assert checkpoints(tmp_path) == ["checkpoint_e1.pth", "checkpoint_e2.pth", "earlier_1"]
    assert checkpoints(tmp_path / "earlier_1") == ["checkpoint_e3.pth", "checkpoint_e4.pth"]
    assert "earlier run" in caplog.text
    assert same(weights(second), torch.load(tmp_path / "checkpoint_e2.pth", weights_only=True)["state_dict"])
    run(tmp_path, "TRAIN.EPOCH", 2)
    assert checkpoints(tmp_path / "earlier_2") == ["checkpoint_e1.pth", "checkpoint_e2.pth"]


def test_a_new_run_that_stops_early_does_not_resume_the_old_one(tmp_path, monkeypatch):
    run(tmp_path, "TRAIN.EPOCH", 3)
    second = trainer(tmp_path, "TRAIN.EPOCH", 3, seed=9)
    monkeypatch.setattr(second, "step", lambda batch: (_ for _ in ()).throw(RuntimeError("out of memory")))
    with pytest.raises(RuntimeError, match="out of memory"):
        second.run()
    assert trainer(tmp_path, "TRAIN.EPOCH", 3, "TRAIN.RESUME", "auto").start_epoch == 0


@pytest.mark.parametrize(
    ("more", "opts", "words"),
    [
        ({"seed": 7}, [], "the seed was 1 and is 7"),
        ({}, ["TRAIN.PRECISION", "bf16"], "TRAIN.PRECISION was fp32 and is bf16"),
        ({}, ["TRAIN.BASE_LR", 0.001], "TRAIN.BASE_LR was .* and is 0.001"),
        ({}, ["DATASET.NEG", 0.5], "DATASET.NEG was .* and is 0.5"),
    ],
)
def test_auto_refuses_another_run_and_a_name_does_not(tmp_path, caplog, more, opts, words):
    def start(*others, seed=1):
        from helpers import tiny_config
        from pysot.engine.engine_builder import run_identity

        config = tiny_config("TRAIN.SNAPSHOT_DIR", str(tmp_path), *others, for_training=True)
        return find_origin(tmp_path, config.TRAIN.RESUME, run_identity(config, seed))

    first = trainer(tmp_path, "TRAIN.EPOCH", 2)
    first.identity["seed"] = 1
    first.run()
    origin = start("TRAIN.RESUME", "auto", "TRAIN.EPOCH", 2, "TRAIN.BATCH_SIZE", 2, "TRAIN.PRINT_FREQ", 1)
    assert origin.path.endswith("checkpoint_e2.pth")
    remedies = "TRAIN.RESUME ''.*TRAIN.RESUME .*checkpoint_e2.pth.*SNAPSHOT_DIR"
    with pytest.raises(ValueError, match=f"checkpoint_e2.pth is of another run: {words}.*{remedies}"):
        start("TRAIN.RESUME", "auto", "TRAIN.EPOCH", 2, *opts, **more)
    named = start("TRAIN.RESUME", str(tmp_path / "checkpoint_e1.pth"), "TRAIN.EPOCH", 2, *opts, **more)
    assert named.content["epoch"] == 1 and {path.name for path in named.kept} == {"checkpoint_e1.pth"}
    assert words.split(" was")[0] in caplog.text


def test_allowed_changes_are_reported(tmp_path, caplog):
    trainer(tmp_path, "TRAIN.EPOCH", 2, max_steps=2, data={"COCO": "a"}).run()
    resumed = trainer(tmp_path, "TRAIN.EPOCH", 3, "TRAIN.RESUME", "auto", data={"COCO": "b"})
    assert resumed.start_epoch == 1
    assert "the data of COCO have changed" in caplog.text and "TRAIN.EPOCH was 2 and is 3" in caplog.text


def test_a_checkpoint_without_an_identity_is_taken(tmp_path):
    run(tmp_path, "TRAIN.EPOCH", 1 + 5)
    content = torch.load(tmp_path / "checkpoint_e1.pth", weights_only=True)
    assert content.pop("identity")["config"]["TRAIN.PRECISION"] == "fp32"
    torch.save(content, tmp_path / "checkpoint_e6.pth")
    assert trainer(tmp_path, "TRAIN.EPOCH", 6, "TRAIN.RESUME", "auto", "TRAIN.PRECISION", "bf16").start_epoch == 1


def test_resume_from_an_earlier_epoch_moves_the_later_ones_aside(tmp_path):
    run(tmp_path, "TRAIN.EPOCH", 4)
    run(tmp_path, "TRAIN.EPOCH", 3, "TRAIN.RESUME", str(tmp_path / "checkpoint_e1.pth"))
    assert checkpoints(tmp_path / "earlier_1") == ["checkpoint_e2.pth", "checkpoint_e3.pth", "checkpoint_e4.pth"]
    assert checkpoints(tmp_path) == ["checkpoint_e1.pth", "checkpoint_e2.pth", "checkpoint_e3.pth", "earlier_1"]


@pytest.mark.parametrize("resume", ["", "named"])
def test_a_restarted_launch_resumes_from_its_own_checkpoints_only(tmp_path, monkeypatch, resume):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "launch-a")
    old, new = tmp_path / "old", tmp_path / "new"
    run(old, "TRAIN.EPOCH", 2)
    run(new, "TRAIN.EPOCH", 4)
    opts = ["TRAIN.EPOCH", 4, "TRAIN.RESUME", str(old / "checkpoint_e1.pth") if resume else ""]
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "launch-b")
    assert trainer(new, *opts).start_epoch == bool(resume), "this launch has written no checkpoint yet"
    trainer(new, *opts, max_steps=4 if not resume else 2).run()
    assert trainer(new, *opts).start_epoch == 2


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_damaged_files_beside_the_checkpoints_stop_nothing(tmp_path, caplog, damage):
    run(tmp_path, "TRAIN.EPOCH", 2)
    for name in ("run.json", "best.pth", ".lock"):
        (tmp_path / name).write_bytes(damage)
    with lock_folder(tmp_path):
        for resume in ("auto", str(tmp_path / "checkpoint_e1.pth")):
            resumed = trainer(tmp_path, "TRAIN.EPOCH", 3, "TRAIN.RESUME", resume)
            assert resumed.checkpoints.best == -math.inf and "best.pth" in caplog.text
        resumed.run()
    assert json.loads((tmp_path / "run.json").read_text())["identity"]["config"]["TRAIN.EPOCH"] == "3"


def test_one_run_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("pysot.engine.run_folder._SHUTDOWN_SECONDS", 0.3)
    code = (
        "import sys; from pysot.engine.run_folder import lock_folder\n"
        "with lock_folder(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
    assert other.stdout.readline() == "held\n"
    with (
        pytest.raises(ValueError, match=rf"in use by another run \(process {other.pid} on .*TRAIN.SNAPSHOT_DIR"),
        lock_folder(tmp_path),
    ):
        pass
    other.kill()
    other.wait()
    with lock_folder(tmp_path):
        pass


@pytest.mark.parametrize("where", ["weight", "momentum", "statistics"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_non_finite_values_are_not_written(tmp_path, where, value):
    run = trainer(tmp_path, "TRAIN.EPOCH", 3)
    run.settings = run.settings.__class__(**{**vars(run.settings), "max_steps": 2})
    run.run()
    if where == "weight":
        next(run.model.rpn_head.parameters()).data[0] = value
    elif where == "momentum":
        next(iter(run.optimizer.state.values()))["momentum_buffer"][0] = value
    else:
        next(buffer for name, buffer in run.model.named_buffers() if "running_var" in name).view(-1)[0] = value
    cause = r"NaN or infinity in (rpn_head|momentum|backbone)"
    message = rf"checkpoint_e1.pth was not written.*{cause}.*last good state is .*checkpoint_e1"
    with pytest.raises(RuntimeError, match=message):
        run._save(0)
    torch.load(tmp_path / "checkpoint_e1.pth", weights_only=True)
    assert checkpoints(tmp_path) == ["checkpoint_e1.pth"]


@pytest.mark.parametrize("where", ["weight", "momentum"])
def test_non_finite_values_are_not_read(tmp_path, where):
    run(tmp_path, "TRAIN.EPOCH", 2)
    path = tmp_path / "checkpoint_e2.pth"
    content = torch.load(path, weights_only=True)
    if where == "weight":
        values = list(content["state_dict"].values())
    else:
        values = [state["momentum_buffer"] for state in content["optimizer"]["state"].values()]
    values[3].view(-1)[0] = math.nan
    torch.save(content, path)
    for resume in ("auto", str(path)):
        with pytest.raises(ValueError, match="checkpoint_e2.pth holds NaN or infinity in .*use an earlier checkpoint"):
            trainer(tmp_path, "TRAIN.EPOCH", 3, "TRAIN.RESUME", resume)


def test_layers_that_train_later_are_checked_at_the_start(tmp_path):
    opts = ["BACKBONE.TRAIN_EPOCH", 7, "BACKBONE.TRAIN_LAYERS", "[layer9]"]
    with pytest.raises(ValueError, match="TRAIN_LAYERS: this backbone has no layer9"):
        trainer(tmp_path, "TRAIN.EPOCH", 8, *opts)
    # With 7 epochs the layer is never trained.
    trainer(tmp_path, "TRAIN.EPOCH", 7, *opts)


def test_fewer_epochs_have_the_rates_of_the_complete_schedule(tmp_path):
    rates = trainer(tmp_path, "TRAIN.EPOCH", 8).schedule.rates.tolist()
    for epochs in (1, 3, 8):
        shorter = trainer(tmp_path, "TRAIN.EPOCH", 8, epochs=epochs)
        assert shorter.settings.epochs == epochs and shorter.schedule.rates.tolist() == rates
    assert trainer(tmp_path, "TRAIN.EPOCH", 8, epochs=1).run()["steps"] == 2
    assert checkpoints(tmp_path) == ["checkpoint_e1.pth"]


def test_the_policy_forgets_a_best_without_a_score(tmp_path):
    optimizer = {"state": {}, "param_groups": []}
    content = {"epoch": 1, "state_dict": {"a": torch.ones(1)}, "optimizer": optimizer, "eao": "high"}
    torch.save(content, tmp_path / "best.pth")
    policy = CheckpointPolicy(tmp_path)
    policy.resume()
    assert policy.best == -math.inf
