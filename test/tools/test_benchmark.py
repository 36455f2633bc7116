"""tools/benchmark.py as a command, and the baseline that it measures against."""

import argparse
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import _benchmarks
import pytest
import torch
from toy_data import make_crops

from helpers import ROOT, TINY, drawn_batch, experiment, small_trainer, tiny_benchmark, tiny_config
from pysot.benchmarks import train_step, training
from pysot.benchmarks.scaling import Scaling
from pysot.benchmarks.train_step import PARTS, PlainStep, verdict
from pysot.core.xcorr import WAYS
from pysot.models.model_builder import build_model
from pysot.utils.distributed import Rank


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


@pytest.mark.parametrize(("changes", "words"), [({}, "compute-bound"), ({"data wait": 9.0}, "data-bound"), ({"rest": 3.0}, "host-bound"),
                                               ({"communication": 3.0}, "communication-bound"), ({"communication": 1.0}, "compute-bound")])
def test_verdicts(changes, words):
    parts = {"data wait": 0.1, "to_device": 0.1, "forward": 3.0, "backward": 5.0, "update": 0.3, "rest": 0.1, **changes}
    assert verdict(parts).startswith(words)


def benchmark(what: str, folder: Path) -> tuple[str, dict[str, dict]]:
    """What the command prints, and its rows by their names."""
    data = tiny_benchmark(folder, frames=4)
    command = [sys.executable, str(ROOT / "tools" / "benchmark.py"), what, "--cfg", experiment("quickstart"), "--device", "cpu", "--data_path", str(data),
               "--steps", "1", "--repeats", "2", "--json", "out.json", "--opts", *TINY, "TRAIN.BATCH_SIZE", "2", "TRAIN.NUM_WORKERS", "0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    rows = json.loads((folder / "out.json").read_text())
    assert all(set(row) == {"name", "device", "value", "unit", "ratio", "target"} for row in rows)
    return done.stdout, {row["name"].split(": ")[1]: row for row in rows}


def test_train(tmp_path):
    text, rows = benchmark("train", tmp_path)
    assert "-bound: " in text and "target 1.3" in text
    assert rows["speed"]["ratio"] > 0 and set(rows) > {"data wait", *PARTS, "peak memory"} and rows["peak memory"]["value"] > 50


def test_scale(tmp_path):
    text, rows = benchmark("scale", tmp_path)
    assert "-bound: " in text and rows["2 processes"]["value"] > 0
    assert rows["parallel efficiency"]["value"] == pytest.approx(50 * rows["2 processes"]["value"] / rows["one process"]["value"])
    assert rows["model of 8"]["value"] > 0 and rows["model of 64, efficiency"]["value"] <= rows["model of 8, efficiency"]["value"]


def test_xcorr(tmp_path):
    text, rows = benchmark("xcorr", tmp_path)
    assert "the fastest: " in text and rows["grouped convolution"]["ratio"] == 1
    assert set(rows) >= set(WAYS) and "shifted products, compiled, backward" in rows


def test_all_ways_to_correlate_get_the_same_tensors(monkeypatch):
    seen = []

    def way(search, kernel):
        seen.append((search, kernel))
        return WAYS["grouped convolution"](search, kernel)

    monkeypatch.setattr(train_step, "WAYS", {"grouped convolution": way, "other": way})
    times = train_step.correlation_times(torch.device("cpu"), "bf16", repeats=1, channels_last=True, compiled=False, size=(2, 4))
    assert set(times) == {"grouped convolution", "other"} and all(seconds > 0 for pair in times.values() for seconds in pair)
    assert all(search is seen[0][0] and kernel is seen[0][1] for search, kernel in seen)
    assert {tensor.dtype for tensor in seen[0]} == {torch.bfloat16} and all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in seen[0])


def test_the_plain_way_has_the_memory_to_itself(tmp_path, monkeypatch):
    """The trainer is gone before the plain way begins, or its memory would count twice."""
    make_crops(tmp_path)
    cfg = tiny_config("DATASET.QUICKSTART.ROOT", str(tmp_path / "crop511"), "DATASET.QUICKSTART.ANNO", str(tmp_path / "train.json"), "TRAIN.BATCH_SIZE", 2,
                      "TRAIN.NUM_WORKERS", 0, for_training=True)
    trainers, alive, build = [], [], _benchmarks.build_trainer

    def remembered(*args, **more):
        trainer = build(*args, **more)
        trainers.extend(map(weakref.ref, (trainer, trainer.model)))
        return trainer

    def plain(*args):
        alive.extend(reference() for reference in trainers)
        return PlainStep(*args)

    monkeypatch.setattr(_benchmarks, "build_trainer", remembered)
    monkeypatch.setattr(training, "PlainStep", plain)
    args = argparse.Namespace(data_path=None, steps=1, repeats=1, backbone=False)
    _benchmarks.train(args, cfg, torch.device("cpu"), Rank())
    assert alive == [None, None]


def test_the_model_of_weak_scaling():
    seen = Scaling(processes=2, alone=1.0, apart=1.0, together=1.1, latency=0.02, reduce=0.32, gradient_bytes=1)
    assert seen.ring(2) == pytest.approx(0.32) and seen.communication == pytest.approx(0.1)
    assert seen.ring(4) == pytest.approx(6 * 0.01 + 1.5 * 0.3)  # 6 messages, and 3/4 of the bytes twice where two processes move half of them twice
    assert seen.step_of(2) == pytest.approx(1.1) and seen.efficiency_of(2) == pytest.approx(seen.efficiency)
    assert seen.step_of(4) == pytest.approx(1.1 + 0.51 - 0.32)
    slow = Scaling(processes=2, alone=1.0, apart=1.2, together=1.3, latency=0.0, reduce=0.01, gradient_bytes=1)  # waits for each other, not for bytes
    assert slow.step_of(2) == pytest.approx(1.3) and slow.step_of(8) == pytest.approx(1.3 + 0.02 * 7 / 8 - 0.01)
    hidden = Scaling(processes=2, alone=1.0, apart=1.0, together=0.99, latency=0.0, reduce=0.3, gradient_bytes=1)
    assert hidden.communication == 0 and hidden.step_of(64) == pytest.approx(1.0 + 0.6 * 63 / 64 - 0.3)
