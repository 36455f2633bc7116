"""Training of SiamMask: both stages with freezing, resuming, several processes, precisions, graphs and pictures."""

import logging

import numpy as np
import pytest
import torch

import two_ranks
from fake_graphs import Clock, use_fake_graphs
from helpers import add_masks, synthetic_batch, tiny_mask_config
from pysot.engine import step_graph
from pysot.engine.engine_builder import build_freeze_plan, build_picture, load_start_weights
from pysot.models.model_builder import Prediction, build_model
from rank_helpers import train_two_ranks
from trainer_helpers import same, trainer, weights

STAGES = ("base", "refine")
BASE_VALUES = ["total_loss", "cls_loss", "loc_loss", "mask_loss", "mask_iou", "mask_iou_0.5", "mask_iou_0.7"]


def changed_parts(before: dict, after: dict) -> set[str]:
    return {".".join(name.split(".")[:2]) for name in before if not torch.equal(before[name], after[name])}


def test_the_refinement_stage_trains_nothing_else(tmp_path):
    run = trainer(tmp_path, "TRAIN.EPOCH", 3, "BACKBONE.TRAIN_EPOCH", 1, stage="refine")
    before = weights(run)
    run.run()
    parts = changed_parts(before, weights(run))
    assert parts == {f"refine_head.{name}" for name in "v0 v1 v2 h0 h1 h2 deconv post0 post1 post2".split()}
    assert [group["name"] for group in run.optimizer.param_groups] == ["refine_head"]
    assert not build_freeze_plan(tiny_mask_config("refine", "BACKBONE.TRAIN_EPOCH", 4)).changes_at(4)


def test_the_base_stage_trains_all_heads_and_then_the_backbone(tmp_path):
    run = trainer(tmp_path, "TRAIN.EPOCH", 2, "BACKBONE.TRAIN_EPOCH", 1, stage="base")
    before = weights(run)
    run.begin(0)
    run.step(run.loader[0])
    heads = {"neck.downsample", "rpn_head.cls", "rpn_head.loc", "mask_head.conv_kernel", "mask_head.conv_search"}
    assert changed_parts(before, weights(run)) == heads | {"mask_head.head"}
    run.begin(1)
    run.step(run.loader[0])
    assert changed_parts(before, weights(run)) == heads | {"mask_head.head", "backbone.layer4", "backbone.layer5"}


def test_values_are_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    trainer(tmp_path, "TRAIN.EPOCH", 2, stage="base").run()
    line = next(record.getMessage() for record in caplog.records if record.getMessage().startswith("Epoch: [1][1/2]"))
    assert all(f"{name}: " in line for name in BASE_VALUES)


@pytest.mark.parametrize("stage", STAGES)
def test_resuming_gives_the_same_weights(tmp_path, stage):
    opts = ("TRAIN.EPOCH", 3, "BACKBONE.TRAIN_EPOCH", 1)
    whole = trainer(tmp_path / "whole", *opts, stage=stage)
    whole.run()
    trainer(tmp_path / "cut", *opts, stage=stage, epochs=1).run()
    rest = trainer(tmp_path / "cut", *opts, "TRAIN.RESUME", "auto", stage=stage, seed=9)
    rest.run()
    assert same(weights(rest), weights(whole))


def test_two_ranks_equal_one_process(tmp_path):
    cases = [{"folder": str(tmp_path / stage), "clip": "1000", "stage": stage} for stage in STAGES]
    train_two_ranks("cpu", *cases)
    for case in cases:
        got = torch.load(f"{case['folder']}/checkpoint_e3.pth", weights_only=True)["state_dict"]
        expected = two_ranks.train_one_process(case["folder"], "sum", "1000", case["stage"])
        for name, value in expected.items():
            torch.testing.assert_close(got[name], value, rtol=0, atol=1e-5, msg=f"{case['stage']} {name}")


@pytest.mark.parametrize("stage", STAGES)
def test_half_precision_trains_like_full(tmp_path, stage):
    full = trainer(tmp_path / "full", "TRAIN.EPOCH", 2, stage=stage).run()["loss"]
    for precision in ("bf16", "fp16"):
        half = trainer(tmp_path / precision, "TRAIN.EPOCH", 2, "TRAIN.PRECISION", precision, stage=stage).run()["loss"]
        assert half == pytest.approx(full, rel=0.02), precision


@pytest.mark.parametrize("stage", STAGES)
def test_steps_as_a_graph(tmp_path, monkeypatch, stage):
    """The labels choose the cells on the device, so that a graph that repeats the operators chooses others."""
    fake = use_fake_graphs(monkeypatch)
    monkeypatch.setattr(step_graph, "time", Clock(fake, 1.0, 2.0))
    runs = [trainer(tmp_path, "TRAIN.GRAPH", way, stage=stage) for way in ("auto", "off")]
    losses = []
    for run in runs:
        run.begin(0)
        batches = [dict(batch) for batch in run.loader]
        batches[1]["has_mask"] = torch.tensor([False, True])
        losses.append([run.step(batches[index % 2])["mask_loss"].item() for index in range(16)])
    assert fake.replays and losses[0] == losses[1]


def test_the_refinement_starts_from_the_base_stage(tmp_path):
    base = trainer(tmp_path, "TRAIN.EPOCH", 2, stage="base")
    base.run()
    config = tiny_mask_config("refine", "TRAIN.PRETRAINED", str(tmp_path / "checkpoint_e2.pth"))
    model = build_model(config)
    own = {name: value.clone() for name, value in model.refine_head.state_dict().items()}
    load_start_weights(model, config)
    state, expected = model.state_dict(), weights(base)
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    assert all(torch.equal(state[f"refine_head.{name}"], value) for name, value in own.items())


def test_a_refinement_without_the_base_stage(tmp_path, caplog):
    path = str(tmp_path / "checkpoint_e8.pth")
    config = tiny_mask_config("refine", "TRAIN.PRETRAINED", path)
    with pytest.raises(FileNotFoundError, match="TRAIN.PRETRAINED.*REFINE.REFINE false first"):
        load_start_weights(build_model(config), config)
    base = build_model(tiny_mask_config("base")).state_dict()
    for state in (
        {name: value for name, value in base.items() if name.startswith("backbone.")},
        {name: value for name, value in base.items() if not name.startswith("mask_head.")},
    ):
        torch.save({"state_dict": state}, path)
        with pytest.raises(ValueError, match="TRAIN.PRETRAINED.*has no mask_head.*REFINE.REFINE false first"):
            load_start_weights(build_model(config), config)
    config = tiny_mask_config("refine")
    load_start_weights(build_model(config), config)
    assert "trains on random weights" in caplog.text


@pytest.mark.parametrize(("stage", "shape"), [("base", (255, 25)), ("refine", (143, 3))])
def test_a_picture_shows_both_masks(stage, shape):
    config = tiny_mask_config(stage)
    model = build_model(config)
    batch = add_masks(synthetic_batch(2, *shape))
    batch["search"][:] = 128
    batch["search_mask"][1] = 0  # a pair without a mask
    model.predict = lambda data: (
        type(model).predict(model, data)._replace(masks=lambda cells: torch.ones(len(cells.rows), 127 * 127))
    )
    picture = build_picture(config)(model, batch)
    side = shape[0]
    assert picture.shape == (2 * side, 127 + side, 3) and picture.dtype == np.uint8
    first, second = (picture[part, 127:].astype(int) for part in (slice(0, side), slice(side, None)))

    def count(image: np.ndarray, colour: tuple[int, int, int]) -> int:
        return int((abs(image - np.array(colour)).max(axis=2) < 40).sum())

    assert count(first, (0, 158, 115)) > 150 and count(second, (0, 158, 115)) < 20  # outline of the true mask
    assert count(first, (213, 94, 0)) > 200  # outline of the predicted mask: the border of a window


@pytest.mark.parametrize(("side", "count", "corner"), [(255, 25, 64), (143, 3, 8)])
def test_the_central_cell_has_its_window_in_the_centre(side, count, corner):
    prediction = Prediction(
        torch.zeros(1, 10, count, count),
        torch.zeros(1, 20, count, count),
        lambda cells: torch.ones(len(cells.rows), 127 * 127),
    )
    picture = build_picture(tiny_mask_config("base"))
    anchor = 2 * count**2 + (count // 2) * count + count // 2 + 1  # one cell to the right
    (mask,) = picture._masks(prediction, torch.tensor([anchor]), side).values()
    assert (mask.x, mask.y, mask.pixels.shape) == (corner + 8, corner, (127, 127))
