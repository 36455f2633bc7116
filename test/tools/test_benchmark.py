"""tools/benchmark.py as a command, and the baseline that it measures against."""

import json
import subprocess
import sys

import pytest
import torch

from helpers import ROOT, TINY, drawn_batch, experiment, small_trainer, tiny_benchmark, tiny_config
from pysot.engine.benchmark import PARTS, PlainStep, verdict
from pysot.models.model_builder import build_model


def test_the_baseline_computes_the_same_losses_and_step(tmp_path):
    ours = small_trainer(tmp_path, torch.device("cpu"), "BACKBONE.TRAIN_EPOCH", 0, "TRAIN.GRAD_CLIP", 1000)
    config = tiny_config()
    model = build_model(config)
    model.load_state_dict(ours.model.state_dict())
    ours.begin(0)
    for group in ours.optimizer.param_groups:
        group["lr"] = 1e-5
    train = config.TRAIN.clone()
    train.defrost()
    train.GRAD_CLIP = 1000.0
    plain = PlainStep(model, ours.freeze, 0, train, torch.device("cpu"))
    batch = drawn_batch(2, 255, 17)
    losses, numbers = ours.step(batch), plain(batch)
    assert numbers[:3] == pytest.approx([losses[name].item() for name in ("total_loss", "cls_loss", "loc_loss")], rel=1e-5)
    for name, value in ours.model.named_parameters():
        torch.testing.assert_close(value, dict(model.named_parameters())[name], rtol=1e-4, atol=1e-7, msg=name)


@pytest.mark.parametrize(("changes", "words"), [({}, "compute-bound"), ({"data wait": 9.0}, "data-bound"), ({"rest": 3.0}, "host-bound")])
def test_verdicts(changes, words):
    parts = {"data wait": 0.1, "to_device": 0.1, "forward": 3.0, "backward": 5.0, "update": 0.3, "rest": 0.1, **changes}
    assert verdict(parts).startswith(words)


def test_the_command(tmp_path):
    data = tiny_benchmark(tmp_path, frames=4)
    command = [sys.executable, str(ROOT / "tools" / "benchmark.py"), "train", "--cfg", experiment("quickstart"), "--device", "cpu", "--data_path", str(data),
               "--steps", "2", "--repeats", "2", "--json", "out.json", "--opts", *TINY, "TRAIN.BATCH_SIZE", "2", "TRAIN.NUM_WORKERS", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0 and "-bound: " in done.stdout and "target 1.3" in done.stdout, done.stderr
    rows = json.loads((tmp_path / "out.json").read_text())
    assert all(set(row) == {"name", "device", "value", "unit", "ratio", "target"} for row in rows)
    assert rows[0]["name"].endswith("speed") and rows[0]["ratio"] > 0 and {row["name"].split(": ")[1] for row in rows} > {"data wait", *PARTS, "peak memory"}
