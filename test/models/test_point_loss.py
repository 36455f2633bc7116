"""Losses without anchors: their authors' numbers, their definition cell by cell, and values that could be NaN."""

import numpy as np
import pytest
import torch

from helpers import experiment, load_synthetic_weights, parity_json, synthetic_batch
from pysot.core.config import load_config
from pysot.models.head.ban import DepthwiseBAN, MultiBAN
from pysot.models.head.nano import NanoBAN
from pysot.models.model_builder import build_model
from pysot.models.point_loss import iou_loss, point_loss
from pysot.utils.device import autocast
from pysot.utils.model_load import load_pretrain


def labelled_batch(seed: int, count: int, first: int, last: int) -> dict[str, torch.Tensor]:
    """Return the batch of the authors' losses: labels drawn in the cells from `first` to `last`, and at the top."""
    rng = np.random.RandomState(seed)
    labels = -np.ones((2, count, count), np.int64)
    labels[:, first:last, first:last] = rng.randint(-1, 2, (2, last - first, last - first))
    labels[:, 0:2, :] = 0
    distances = (20 + 40 * rng.rand(2, 4, count, count)).astype(np.float32)
    images = synthetic_batch(2, 255, count)
    return {
        "template": images["template"],
        "search": images["search"],
        "label_cls": torch.from_numpy(labels),
        "label_loc": torch.from_numpy(distances),
    }


def assert_losses(model, batch, name: str) -> None:
    with torch.inference_mode():
        losses = model.eval()(batch)
    expected = parity_json(f"{name}.loss.json")
    assert set(losses) == set(expected)
    for key, value in expected.items():
        assert losses[key].item() == pytest.approx(value, abs=1e-4), key


def test_siamban_has_the_losses_of_its_authors():
    model = load_synthetic_weights(build_model(load_config(experiment("siamban_r50_l234"))), loc_gain=-0.0025)
    assert_losses(model, labelled_batch(8, 25, 9, 15), "siamban_r50_l234")


@pytest.mark.shared
def test_nanotrack_with_its_published_weights_has_the_losses_of_its_authors(shared):
    model = build_model(load_config(experiment("nanotrackv3")))
    load_pretrain(model, shared / "data" / "weights" / "nanotrackv3.pth")
    assert_losses(model, labelled_batch(5, 15, 5, 10), "nanotrackv3")


def random_case(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    loc = 60 * torch.rand(2, 4, 5, 5, generator=generator)
    target = 60 * torch.rand(2, 4, 5, 5, generator=generator)
    return loc, target, torch.randint(-1, 2, (2, 5, 5), generator=generator)


def test_iou_equals_the_definition():
    loc, target, label = random_case()
    losses = []
    for sample, row, column in (label == 1).nonzero().tolist():
        boxes = []
        for left, top, right, bottom in (loc[sample, :, row, column], target[sample, :, row, column]):
            boxes.append((-left, -top, right, bottom))
        (x1, y1, x2, y2), (tx1, ty1, tx2, ty2) = boxes
        common = (min(x2, tx2) - max(x1, tx1)) * (min(y2, ty2) - max(y1, ty1))
        both = (x2 - x1) * (y2 - y1) + (tx2 - tx1) * (ty2 - ty1) - common
        losses.append(1 - (common + 1) / (both + 1))
    torch.testing.assert_close(iou_loss(loc, target, label), torch.stack(losses).mean())


def test_a_perfect_box_has_no_loss_and_a_single_object_counts():
    loc, target, label = random_case()
    assert iou_loss(target, target, label).item() == pytest.approx(0, abs=1e-6)
    label[:] = -1
    label[1, 2, 3] = 1
    loc[1, :, 2, 3], target[1, :, 2, 3] = torch.tensor([1.0, 2, 3, 4]), torch.tensor([2.0, 2, 2, 4])
    assert iou_loss(loc, target, label).item() == pytest.approx(1 - (18 + 1) / (30 + 1))


def test_no_objects_give_zero_and_gradients():
    loc, target, label = random_case()
    loc.requires_grad_()
    loss = iou_loss(loc, target, torch.where(label == 1, 0, label))
    loss.backward()
    assert loss.item() == 0 and loc.grad.abs().sum() == 0


def test_cells_without_an_object_change_nothing():
    """Their target may not contain the point, as that of a background point, and their output may be damaged."""
    loc, target, label = random_case()
    expected = iou_loss(loc, target, label)
    is_other = (label != 1)[:, None].expand_as(loc)
    damaged = torch.where(is_other, float("inf"), loc)
    # With distances of 1 their union is -1 pixel, to which 1 is added below the line.
    moved = torch.where(is_other, torch.tensor([-5.0, -3, 8, 4])[:, None, None], target)
    damaged.requires_grad_()
    loss = iou_loss(damaged, moved, label)
    loss.backward()
    assert torch.equal(loss, expected)
    assert torch.isfinite(damaged.grad).all() and not damaged.grad[is_other].any() and damaged.grad.any()


def test_half_precision_outputs_are_compared_in_float():
    loc, target, label = random_case()
    loc = 10 * loc.half()  # the areas are infinite in fp16
    loss = iou_loss(loc, 10 * target, label)
    assert loss.dtype == torch.float32 and torch.equal(loss, iou_loss(loc.float(), 10 * target, label))


def test_total_is_the_weighted_sum():
    loc, target, label = random_case()
    output = {"cls": torch.randn(2, 2, 5, 5), "loc": loc}
    losses = point_loss(output, {"label_cls": label, "label_loc": target}, cls_weight=2.0, loc_weight=3.0)
    torch.testing.assert_close(losses["total_loss"], 2 * losses["cls_loss"] + 3 * losses["loc_loss"])
    scores = output["cls"].log_softmax(1)
    expected = -0.5 * (scores[:, 1][label == 1].mean() + scores[:, 0][label == 0].mean())
    torch.testing.assert_close(losses["cls_loss"], expected)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("kind", ["one", "several", "nano"])
def test_an_untrained_head_gives_finite_distances_and_gradients(kind, precision):
    """The logarithms are far too large; in a trained network they are at most 7."""
    torch.manual_seed(0)
    head, sides = {
        "one": (DepthwiseBAN(8, 8), (7, 15)),
        "several": (MultiBAN([8] * 5), (7, 15)),
        "nano": (NanoBAN(8, 8), (8, 16)),
    }[kind]
    last = head.bbox_pred[0] if kind == "nano" else None
    layers = [last] if last else [module.head[3] for name, module in head.named_modules() if name.endswith("loc")]
    for layer in layers:
        torch.nn.init.constant_(layer.bias, 1000.0)
    z, x = (torch.rand(2, 8, side, side) for side in sides)
    with autocast(torch.device("cpu"), precision):
        cls, loc = head([z] * 5, [x] * 5) if kind == "several" else head(z, x)
    assert torch.isfinite(loc).all() and loc.max() > 8000
    label = torch.randint(-1, 2, loc[:, 0].shape)
    losses = point_loss({"cls": cls, "loc": loc}, {"label_cls": label, "label_loc": torch.rand(loc.shape)}, 1.0, 1.0)
    losses["total_loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.grad is not None)


def test_labels_of_another_size_are_explained():
    model = build_model(load_config(experiment("nanotrackv3"))).eval()
    with pytest.raises(ValueError, match="TRAIN.OUTPUT_SIZE: the network returns 15 .* the labels have 25"):
        model(labelled_batch(8, 25, 9, 15))
