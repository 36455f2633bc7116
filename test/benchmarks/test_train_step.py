"""Training step and the plain step, its baseline."""

import weakref

import pytest
import torch
from toy_data import make_crops

from fake_graphs import use_fake_graphs
from helpers import small_trainer, synthetic_batch, tiny_config, tiny_mask_config
from pysot.benchmarks import case_builder, training
from pysot.benchmarks.case_builder import build_case, build_plain_step
from pysot.benchmarks.job import Job
from pysot.benchmarks.train_step import PARTS, PlainStep, describe_bottleneck, time_parts
from pysot.core.xcorr import grouped_correlation, xcorr_depthwise
from pysot.models.head.rpn import DepthwiseXCorr
from pysot.models.model_builder import build_model
from pysot.utils.distributed import Rank

CPU = torch.device("cpu")


def plain_step(model, freeze, train, **changes) -> PlainStep:
    values = {
        "momentum": train.MOMENTUM,
        "weight_decay": train.WEIGHT_DECAY,
        "cls_weight": train.CLS_WEIGHT,
        "loc_weight": train.LOC_WEIGHT,
        "grad_clip": train.GRAD_CLIP,
    }
    return PlainStep(model, freeze, 0, CPU, **values | changes)


def test_the_baseline_computes_the_same_losses_and_step(tmp_path):
    trainer = small_trainer(tmp_path, CPU, "BACKBONE.TRAIN_EPOCH", 0, "TRAIN.GRAD_CLIP", 1000)
    config = tiny_config()
    model = build_model(config)
    model.load_state_dict(trainer.model.state_dict())
    trainer.begin(0)
    for group in trainer.optimizer.param_groups:
        group["lr"] = 1e-5
    plain = plain_step(model, trainer.freeze, config.TRAIN, grad_clip=1000)
    batch = synthetic_batch(2, 255, 17)
    losses, numbers = trainer.step(batch), plain(batch)
    expected = [losses[name].item() for name in ("total_loss", "cls_loss", "loc_loss")]
    assert numbers[:3] == pytest.approx(expected, rel=1e-5)
    for name, value in trainer.model.named_parameters():
        torch.testing.assert_close(value, dict(model.named_parameters())[name], rtol=1e-4, atol=1e-7, msg=name)


def correlation_functions(model) -> set:
    return {module.correlate for module in model.modules() if isinstance(module, DepthwiseXCorr)}


def test_the_baseline_changes_the_way_to_correlate_of_its_own_network_only(tmp_path):
    trainer = small_trainer(tmp_path, CPU)
    values = [
        "TRAIN.MOMENTUM",
        0.5,
        "TRAIN.WEIGHT_DECAY",
        0.25,
        "TRAIN.CLS_WEIGHT",
        2.0,
        "TRAIN.LOC_WEIGHT",
        3.0,
        "TRAIN.GRAD_CLIP",
        4.0,
    ]
    plain = build_plain_step(tiny_config(*values), trainer.freeze, 0, CPU)
    plain(synthetic_batch(2, 255, 17))
    assert correlation_functions(plain.model) == {grouped_correlation}
    assert correlation_functions(trainer.model) == {DepthwiseXCorr.correlate} == {xcorr_depthwise}
    group = plain.optimizer.param_groups[0]
    assert (group["momentum"], group["weight_decay"]) == (0.5, 0.25)
    assert (plain.cls_weight, plain.loc_weight, plain.grad_clip) == (2, 3, 4)


def test_the_parts_are_timed_while_they_are_measured_only(tmp_path):
    trainer, batch = small_trainer(tmp_path, CPU), synthetic_batch(2, 255, 17)
    trainer.begin(0)
    before = dict(vars(trainer))
    parts = time_parts(trainer, iter([batch] * 2), 2)
    assert list(parts) == ["data wait", *PARTS, "rest"] and all(seconds > 0 for seconds in parts.values())
    with pytest.raises(StopIteration):
        time_parts(trainer, iter([batch]), 2)
    assert set(vars(trainer)) == set(before) and trainer.step_count == before["step_count"] + 3


def test_the_parts_of_a_graph(tmp_path, monkeypatch):
    use_fake_graphs(monkeypatch)
    trainer, batch = small_trainer(tmp_path, CPU), synthetic_batch(2, 255, 17)
    trainer.begin(0)
    assert list(time_parts(trainer, iter([batch]), 1)) == ["data wait", *PARTS, "rest"]
    trainer.compute.is_settled = True
    before = dict(vars(trainer))
    parts = time_parts(trainer, iter([batch] * 3), 3)
    assert list(parts) == ["data wait", "copy", "graph", "rest"] and all(seconds > 0 for seconds in parts.values())
    assert vars(trainer) == before | {"step_count": before["step_count"] + 3}
    assert describe_bottleneck(parts | {"graph": 9.0}) == "compute-bound: 100% of the time is spent in the graph"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "compute-bound"),
        ({"data wait": 9.0}, "data-bound"),
        ({"rest": 3.0}, "host-bound"),
        ({"communication": 3.0}, "communication-bound"),
        ({"communication": 1.0}, "compute-bound"),
    ],
)
def test_bottlenecks(changes, words):
    parts = {"data wait": 0.1, "to_device": 0.1, "forward": 3.0, "backward": 5.0, "update": 0.3, "rest": 0.1, **changes}
    assert describe_bottleneck(parts).startswith(words)


def test_the_plain_way_has_the_memory_to_itself(tmp_path, monkeypatch):
    """The trainer is freed before the plain step starts; otherwise its memory would count twice."""
    make_crops(tmp_path)
    cfg = tiny_config(
        "DATASET.QUICKSTART.ROOT",
        str(tmp_path / "crop511"),
        "DATASET.QUICKSTART.ANNO",
        str(tmp_path / "train.json"),
        "TRAIN.BATCH_SIZE",
        2,
        "TRAIN.NUM_WORKERS",
        0,
        for_training=True,
    )
    trainers, alive, build = [], [], training.build_trainer

    def build_trainer(*args, **more):
        trainer = build(*args, **more)
        trainers.extend(map(weakref.ref, (trainer, trainer.model)))
        return trainer

    def make_plain_step(*args, **more):
        alive.extend(reference() for reference in trainers)
        return PlainStep(*args, **more)

    monkeypatch.setattr(training, "build_trainer", build_trainer)
    monkeypatch.setattr(case_builder, "PlainStep", make_plain_step)
    rows, words = training.train(Job(build_case(cfg), CPU, Rank(), lambda rank, device: 0, steps=1, repeats=1))
    assert alive == [None, None]
    assert [row.name for row in rows[:2]] == ["speed", "speed, spread"] and "-bound: " in words


def test_networks_with_masks_have_no_plain_step():
    with pytest.raises(ValueError, match="MASK.MASK true.*--is_performance"):
        training.train(Job(build_case(tiny_mask_config("base")), CPU, Rank(), lambda rank, device: 0))
