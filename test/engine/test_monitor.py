"""Log lines, progress bar and TensorBoard output of a training run."""

import logging
import math

import numpy as np
import pytest
import torch

from helpers import small_trainer, synthetic_batch, tiny_config
from pysot.engine.batch import float_images
from pysot.engine.engine_builder import build_picture
from pysot.engine.monitor import Monitor
from pysot.models.model_builder import build_model


class Writer(dict):
    def add_scalar(self, name, value, step):
        self.setdefault(name, {})[step] = value

    def add_image(self, name, picture, step, dataformats):
        assert dataformats == "HWC"
        self.setdefault(name, {})[step] = picture


class Bar(list):
    def set_postfix_str(self, text, refresh):
        self.text = text


def test_bytes_and_light_become_float():
    batch = synthetic_batch(2, 127, 17)
    light = torch.tensor([[1.5, -2, 300], [0, 0, 0]])
    packed = {
        **batch,
        "template": batch["template"].byte(),
        "search": batch["search"].byte(),
        "template_light": light,
        "search_light": 2 * light,
    }
    ours = float_images(packed, torch.channels_last)
    assert set(ours) == set(batch) and ours["search"].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(ours["template"], batch["template"] - light[:, :, None, None]) and ours["template"].min() < 0
    assert torch.equal(ours["search"], batch["search"] - 2 * light[:, :, None, None])
    assert all(torch.equal(float_images(batch)[name], value) for name, value in batch.items())


@pytest.mark.parametrize("clip", [0.01, 1000.0])
def test_gradients_are_those_before_the_clip(tmp_path, clip):
    writer = Writer()
    run = small_trainer(
        tmp_path, torch.device("cpu"), "TRAIN.GRAD_CLIP", clip, "TRAIN.LOG_GRADS", True, "TRAIN.EPOCH", 2
    )
    run.monitor.writer = writer
    run.run()
    for step, norm in writer["grad_norm"].items():
        assert writer["grad/tot"][step] == pytest.approx(norm, rel=1e-3)
        assert math.hypot(writer["grad/feature"][step], writer["grad/rpn"][step]) == pytest.approx(norm, rel=1e-3)
    assert writer["grad/feature"][1] == 0 < writer["grad/feature"][3]  # the backbone trains from the second epoch on
    assert {"pairs_per_second", "data_time", "skipped_steps", "lr"} <= set(writer)


def test_the_bar_shows_loss_rate_speed_and_wait(tmp_path):
    bars = []

    def bar(loader, total, description, initial):
        bars.append(Bar(loader))
        assert total == 2 and description == f"epoch {len(bars)}/3" and initial == 0
        return bars[-1]

    run = small_trainer(tmp_path, torch.device("cpu"))
    run.monitor.bar = bar
    run.run()
    assert len(bars) == 3 and all(word in bars[-1].text for word in ("loss ", "lr 0.0", " pairs/s", "data wait "))


def test_pictures_every_few_steps_change_nothing(tmp_path):
    writer, plain = Writer(), small_trainer(tmp_path / "a", torch.device("cpu"))
    plain.run()
    run = small_trainer(tmp_path / "b", torch.device("cpu"), "TRAIN.LOG_PICTURES", 2)
    run.monitor.writer = writer
    run.run()
    assert list(writer["pairs"]) == [2, 4, 6]
    picture = writer["pairs"][4]
    assert picture.shape == (2 * 255, 127 + 255, 3) and picture.dtype == np.uint8
    state = run.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in plain.model.state_dict().items())


def test_a_picture_shows_target_positives_and_prediction():
    config = tiny_config()
    model = build_model(config).train()
    size = config.TRAIN.SEARCH_SIZE
    batch = synthetic_batch(3, size, config.TRAIN.OUTPUT_SIZE)
    batch["search"][:] = 128
    batch["bbox"] = torch.tensor([[60.0, 70, 150, 160]] * 3)
    batch["label_cls"][:] = 0
    batch["label_cls"][:2, :, 5, 6] = 1
    picture = build_picture(config)(model, batch)
    first, last = picture[:size, 127:].astype(int), picture[2 * size :, 127:].astype(int)
    assert picture.shape == (3 * size, 127 + size, 3)
    assert model.training and all(module.training for module in model.modules())
    green = (abs(first - np.array([0, 158, 115])).max(axis=2) < 30).nonzero()
    assert 68 <= green[0].min() <= 72 and 158 <= green[0].max() <= 162 and 58 <= green[1].min() <= 62
    assert (abs(first - np.array([86, 180, 233])).max(axis=2) < 30).any()  # positives
    assert (abs(first - np.array([213, 94, 0])).max(axis=2) < 40).any()  # prediction
    assert not (abs(last - np.array([0, 158, 115])).max(axis=2) < 30).any()  # a pair of two objects has no target


def test_data_time_leaves_out_what_is_done_between_steps(monkeypatch):
    clock = iter(range(0, 1000))
    monkeypatch.setattr("pysot.engine.monitor.time.perf_counter", lambda: float(next(clock)))
    monitor = Monitor(is_main=False)
    monitor.begin_epoch([1, 2], "", 2, 0, pairs=4)
    for _ in monitor.time_batches([1, 2]):
        monitor.end_step(synchronized=True)
        for _ in range(10):
            next(clock)  # as while a checkpoint is written
    assert monitor.means.mean("data_time") == 1 and monitor.means.mean("batch_time") > 5


def test_quiet_processes_report_nothing(caplog):
    caplog.set_level(logging.INFO)
    monitor = Monitor(is_main=False, writer=None)
    monitor.report({"total_loss": 1.0}, 0.1, 1, 1, 2, 1, 2)
    assert monitor.means.mean("total_loss") == 1 and not caplog.records


def test_defaults_are_the_published_recipe():
    config = tiny_config()
    assert not config.GPU.TF32 and not config.GPU.CUDNN_BENCHMARK
    assert not config.TRAIN.COMPILE and config.TRAIN.VAL.DATASET == ""
