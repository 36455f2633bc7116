"""Training without anchors: freezing, resuming, several processes, precisions, graphs, pictures and identities."""

import math

import numpy as np
import pytest
import torch

import two_ranks
from fake_graphs import Clock, use_fake_graphs
from helpers import BATCH_SIZES, add_points, experiment, small_config, synthetic_batch, tiny_config
from pysot.core.config import load_config
from pysot.engine import step_graph
from pysot.engine.engine_builder import build_picture, load_start_weights, run_identity
from pysot.models.model_builder import build_model
from pysot.utils.model_load import read_checkpoint
from rank_helpers import train_two_ranks
from trainer_helpers import same, trainer, weights

KINDS = ("point", "nano")
HEADS = {"point": "head", "nano": "ban_head"}


def changed_parts(before: dict, after: dict) -> set[str]:
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("kind", KINDS)
def test_the_losses_fall(tmp_path, kind):
    run = trainer(tmp_path, "TRAIN.LR_WARMUP.WARMUP", False, stage=kind)
    if kind == "nano":  # its random weights give distances that are too far off for a short run
        last = run.model.ban_head.bbox_pred[0]
        torch.nn.init.normal_(last.weight, 0, 0.01)
        torch.nn.init.constant_(last.bias, 3.0)
    run.begin(0)
    batch = run.loader[0]
    losses = [{name: float(value) for name, value in run.step(batch).items()} for _ in range(40)]
    assert all(math.isfinite(value) for values in losses for value in values.values())
    for name in ("cls_loss", "loc_loss"):
        assert np.mean([values[name] for values in losses[-3:]]) < 0.8 * losses[0][name], name


@pytest.mark.parametrize("kind", KINDS)
def test_the_backbone_trains_from_its_epoch_on_and_the_neck_of_nanotrack_never(tmp_path, kind):
    """The neck is in the published weights, but takes no part: not even weight decay changes it."""
    opts = ("TRAIN.EPOCH", 3, "BACKBONE.TRAIN_EPOCH", 1, "TRAIN.WEIGHT_DECAY", 0.1)
    run = trainer(tmp_path, *opts, stage=kind)
    before, optimizers = weights(run), set()
    for epoch, parts in ((0, {HEADS[kind]}), (1, {"backbone", HEADS[kind]}), (2, {"backbone", HEADS[kind]})):
        run.begin(epoch)
        run.step(run.loader[0])
        assert changed_parts(before, weights(run)) == parts
        assert {group["name"] for group in run.optimizer.param_groups} == parts
        optimizers.add(id(run.optimizer))
    assert len(optimizers) == 2  # it is rebuilt once, at the unfreeze epoch
    assert any(name.startswith("neck.") for name in before) == (kind == "nano")


@pytest.mark.parametrize("kind", KINDS)
def test_resuming_gives_the_same_weights(tmp_path, kind):
    opts = ("TRAIN.EPOCH", 3, "BACKBONE.TRAIN_EPOCH", 1)
    whole = trainer(tmp_path / "whole", *opts, stage=kind)
    whole.run()
    trainer(tmp_path / "cut", *opts, stage=kind, epochs=1).run()
    rest = trainer(tmp_path / "cut", *opts, "TRAIN.RESUME", "auto", stage=kind, seed=9)
    rest.run()
    assert rest.start_epoch == 1 and same(weights(rest), weights(whole))


def test_two_ranks_equal_one_process(tmp_path):
    """DDP waits for every gradient, so a neck without gradients must not be in it."""
    cases = [{"folder": str(tmp_path / kind), "clip": "1000", "stage": kind} for kind in KINDS]
    train_two_ranks("cpu", *cases)
    for case in cases:
        got = torch.load(f"{case['folder']}/checkpoint_e3.pth", weights_only=True)["state_dict"]
        expected = two_ranks.train_one_process(case["folder"], "sum", "1000", case["stage"])
        for name, value in expected.items():
            # The average of the gradients in place of their sum would change weights by 6e-3 and 9e-5.
            tolerance = {"point": 5e-5, "nano": 1e-6}[case["stage"]]
            torch.testing.assert_close(got[name], value, rtol=0, atol=tolerance, msg=f"{case['stage']} {name}")


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_trains_like_full(tmp_path, kind):
    # The random weights of a frozen NanoTrack give features of 1e-4, whose gradients overflow in fp16.
    opts = ("TRAIN.EPOCH", 2, "BACKBONE.TRAIN_EPOCH", 0 if kind == "nano" else 1)
    full = trainer(tmp_path / "full", *opts, stage=kind).run()["loss"]
    for precision in ("bf16", "fp16"):
        half = trainer(tmp_path / precision, *opts, "TRAIN.PRECISION", precision, stage=kind).run()
        # The steps of NanoTrack from random weights, with distances of e^-10 to e^10, differ more.
        limit = 0.15 if kind == "nano" else 0.03
        assert half["loss"] == pytest.approx(full, rel=limit) and half["skipped"] == 0, precision


@pytest.mark.parametrize("kind", KINDS)
def test_steps_as_a_graph(tmp_path, monkeypatch, kind):
    """The labels choose the cells on the device, so that a graph that repeats the operators chooses others."""
    fake = use_fake_graphs(monkeypatch)
    monkeypatch.setattr(step_graph, "time", Clock(fake, 1.0, 2.0))
    losses = []
    for way in ("auto", "off"):
        run = trainer(tmp_path, "TRAIN.GRAPH", way, "BACKBONE.TRAIN_EPOCH", 1, stage=kind)
        run.begin(0)
        batches = [dict(batch) for batch in run.loader]
        batches[1]["label_cls"] = batches[1]["label_cls"].flip(1)
        batches[1]["label_cls"][0][batches[1]["label_cls"][0] == 1] = -1
        losses.append([run.step(batches[index % 2])["loc_loss"].item() for index in range(16)])
    assert fake.replays and losses[0] == losses[1]


def test_a_bad_batch_changes_nothing(tmp_path):
    run = trainer(tmp_path, stage="point")
    run.begin(0)
    bad = {name: value.clone() for name, value in run.loader[0].items()}
    bad["search"][0, 0, 0, 0] = float("nan")
    before = weights(run)
    run.step(bad)
    assert same(weights(run), before)
    run.step(run.loader[1])
    assert not same(weights(run), before)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_have_the_name_of_the_head(tmp_path, kind):
    scalars = {}
    run = trainer(tmp_path, "BACKBONE.TRAIN_EPOCH", 1, stage=kind)
    run.monitor.writer = type(
        "Writer", (), {"add_scalar": lambda self, name, value, step: scalars.update({name: value})}
    )()
    run.begin(0)
    norm = run.step(run.loader[0])["grad_norm"].item()
    run.monitor.log_gradients(run.model, 1.0, 1)
    total = scalars[f"grad/{HEADS[kind].removesuffix('_head')}"]
    assert total == pytest.approx(min(norm, 10.0), rel=1e-3) and scalars["grad/feature"] == 0
    assert "grad/rpn" not in scalars and not any(name.startswith("grad_all/neck") for name in scalars)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_shows_target_points_and_prediction(kind):
    config = small_config(kind)
    model = build_model(config)
    stride = config.POINT.STRIDE
    side, count = BATCH_SIZES[kind]
    batch = add_points(synthetic_batch(2, side, count), stride)
    batch["search"][:] = 128
    batch["bbox"] = torch.tensor([[60.0, 70, 150, 160]] * 2)
    batch["label_cls"][:] = -1
    batch["label_cls"][0, 3, 4] = 1
    best = (count // 2 + 2) * count + count // 2 - 1
    cls, loc = torch.zeros(2, 2, count, count), torch.full((2, 4, count, count), 1.0)
    cls[:, 1].flatten(1)[:, best] = 9
    loc.flatten(2)[:, :, best] = torch.tensor([20.0, 30, 40, 10])
    model.predict = lambda data: type(type(model).predict(model, data))(cls, loc)
    picture = build_picture(config)(model, batch)
    assert picture.shape == (2 * side, 127 + side, 3)
    first, last = picture[:side, 127:].astype(int), picture[side:, 127:].astype(int)

    def places(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
        return np.argwhere(abs(image - np.array(colour)).max(axis=2) < 40)

    row, column = (side // 2 + (cell - count // 2) * stride for cell in (3, 4))
    np.testing.assert_allclose(places(first, (86, 180, 233)).mean(axis=0), [row, column], atol=1)  # the target's point
    assert (places(first, (0, 158, 115)).min(axis=0) <= [71, 61]).all()  # its box
    x, y = side // 2 - stride, side // 2 + 2 * stride
    for corner in ([y - 30, x - 20], [y + 10, x + 40]):
        assert (abs(places(first, (213, 94, 0)) - corner).max(axis=1) <= 1).any(), corner  # the predicted box
    assert not len(places(last, (0, 158, 115)))  # a pair of two objects has no target


def test_what_determines_a_run_without_anchors():
    """Runs with anchors keep the identity that they had before there were others, so that they resume."""
    points, anchors = run_identity(small_config("point"))["config"], run_identity(tiny_config())["config"]
    assert points["BAN.TYPE"] == "DepthwiseBAN" and points["POINT.STRIDE"] == "8"
    assert not any(name.startswith(("RPN.", "ANCHOR.")) for name in points)
    assert not any(name.startswith(("BAN.", "POINT.")) for name in anchors)
    assert anchors["RPN.TYPE"] == "DepthwiseRPN" and anchors["ANCHOR.STRIDE"] == "8"
    assert run_identity(tiny_config("POINT.STRIDE", 16)) == run_identity(tiny_config())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_split", [False, True])
def test_a_run_starts_from_weights_of_the_same_network(tmp_path, kind, is_split):
    """A checkpoint has the names of a wrapper, or a separate dict for each part of the network."""
    start, path = build_model(small_config(kind)), tmp_path / "start.pth"
    content = {"state_dict": {f"module.{name}": value for name, value in start.state_dict().items()}}
    if is_split:
        content = {name: part.state_dict() for name, part in start.named_children()}
    torch.save(content, path)
    config = small_config(kind, "TRAIN.PRETRAINED", str(path))
    model = build_model(config)
    load_start_weights(model, config)
    assert same(start.state_dict(), model.state_dict())


@pytest.mark.shared
def test_the_published_weights_are_fine_tuned(tmp_path, shared):
    path = shared / "data" / "weights" / "nanotrackv3.pth"
    run = trainer(tmp_path, "TRAIN.PRETRAINED", str(path), "TRAIN.EPOCH", 2, stage="nano")
    state = {name.removeprefix("module."): value for name, value in read_checkpoint(path)["state_dict"].items()}
    assert same(state, weights(run))
    assert run.run()["skipped"] == 0
    assert changed_parts(state, weights(run)) == {"backbone", "ban_head"}


def test_the_experiments_are_complete_for_training():
    for name in ("siamban_r50_l234", "nanotrackv3"):
        config = load_config(experiment(name), for_training=True)
        for section in config.DATASET.NAMES:
            assert config.DATASET[section].NUM_USE > 0 and config.DATASET[section].ROOT
