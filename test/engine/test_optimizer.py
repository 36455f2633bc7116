"""Trained parts and parameter groups by epoch."""

import pytest
import torch

from helpers import experiment, tiny_config
from pysot.core.config import load_config
from pysot.engine.engine_builder import build_freeze_plan, build_optimizer
from pysot.models.model_builder import build_model


def training_flags(module) -> set[bool]:
    """Return the values of requires_grad and of the batch-norm mode in a module."""
    return {p.requires_grad for p in module.parameters()} | {
        m.training for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)
    }


@pytest.fixture(scope="module")
def resnet():
    return build_model(load_config(experiment("siamrpn_r50_l234_dwxcorr_8gpu")))


def test_freeze_is_a_function_of_the_epoch(resnet):
    plan = build_freeze_plan(load_config(experiment("siamrpn_r50_l234_dwxcorr_8gpu")))
    for epoch, stages in ((0, False), (9, False), (10, True), (19, True), (3, False)):
        plan.apply(resnet, epoch)
        for part in (resnet.backbone.conv1, resnet.backbone.bn1, resnet.backbone.layer1):
            assert training_flags(part) == {False}
        for stage in (resnet.backbone.layer2, resnet.backbone.layer3, resnet.backbone.layer4):
            assert training_flags(stage) == {stages}
        assert training_flags(resnet.neck) == training_flags(resnet.rpn_head) == {True}
    assert [epoch for epoch in range(20) if plan.changes_at(epoch)] == [10]


def test_groups(resnet):
    config = load_config(experiment("siamrpn_r50_l234_dwxcorr_8gpu"))
    plan = build_freeze_plan(config)
    plan.apply(resnet, 0)
    assert [g["name"] for g in build_optimizer(resnet, config).param_groups] == ["neck", "rpn_head"]
    plan.apply(resnet, 10)
    optimizer = build_optimizer(resnet, config)
    assert [(g["name"], g["base_lr"]) for g in optimizer.param_groups] == [
        ("backbone", 0.0005),
        ("neck", 0.005),
        ("rpn_head", 0.005),
    ]
    assert {g["momentum"] for g in optimizer.param_groups} == {0.9}
    assert {g["weight_decay"] for g in optimizer.param_groups} == {0.0001}
    assert sum(len(g["params"]) for g in optimizer.param_groups) == sum(p.requires_grad for p in resnet.parameters())


def test_stages_that_are_missing_in_the_backbone():
    model = build_model(tiny_config())
    plan = build_freeze_plan(tiny_config("BACKBONE.TRAIN_LAYERS", "[layer5, layer6]"))
    with pytest.raises(ValueError, match="TRAIN_LAYERS.*no layer6; it has layer1.*layer5"):
        plan.apply(model, 0)
