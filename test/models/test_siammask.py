"""SiamMask: the losses of the published code, chosen cells, windows, refinement, and errors."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from helpers import (
    add_masks,
    experiment,
    load_synthetic_weights,
    parity_json,
    synthetic_batch,
    tiny_config,
    tiny_mask_config,
)
from pysot.core.config import load_config
from pysot.models.head.mask import Cells, MaskFeatures, Refine
from pysot.models.mask_loss import choose_cells, enlarge_masks, mask_loss, mask_windows, object_cells
from pysot.models.model_builder import MaskModelBuilder, ModelBuilder, build_model
from pysot.models.siammask import SiamMask


def published_batch(size: int = 2, cells: int = 25, side: int = 255) -> dict[str, torch.Tensor]:
    """Return the logits, targets and cells that the published losses in siammask_loss.json belong to."""
    rng = np.random.RandomState(11)
    masks = np.full((size, 1, side, side), -1, np.float32)
    for i, mask in enumerate(masks):
        centre = (side // 2 - 9 + 12 * i, side // 2 + 3 - 9 * i)
        cv2.ellipse(mask[0], centre, (52 - 8 * i, 33 + 5 * i), 20 * i, 0, 360, 1.0, -1)
    weight, first = np.zeros((size, cells, cells), bool), max(0, cells // 2 - 2)
    square = weight[:, first : first + 4, first : first + 4]
    square[:] = rng.randint(0, 2, (size, 1, *square.shape[1:]))[:, 0]

    def blob(pixels: int, radius: float, softness: float) -> np.ndarray:
        y, x = np.mgrid[:pixels, :pixels].astype(np.float32) - pixels // 2
        return (radius - np.hypot(y, x)) / softness

    base = blob(63, 26, 6).reshape(1, -1, 1, 1) + rng.randn(size, 63 * 63, cells, cells)
    refined = blob(127, 48, 9).reshape(1, -1) + rng.randn(size * cells * cells, 1)
    arrays = {"base": base.astype(np.float32), "refined": refined.astype(np.float32), "mask": masks, "weight": weight}
    return {name: torch.from_numpy(value) for name, value in arrays.items()}


def literal_loss(rows: torch.Tensor, mask: torch.Tensor, weight: torch.Tensor, padding: int) -> torch.Tensor:
    """Compute the loss as published: all windows by unfold, then the chosen ones by their indices.

    `rows` are the logits of all cells, (B * S * S, pixels).
    """
    chosen = weight.flatten().nonzero().squeeze(1)
    if not len(chosen):
        return rows.sum() * 0
    logits = rows[chosen]
    if logits.shape[1] == 63 * 63:
        maps = logits.reshape(-1, 1, 63, 63)
        logits = torch.nn.UpsamplingBilinear2d(size=(127, 127))(maps).reshape(len(chosen), -1)
    windows = F.unfold(mask, (127, 127), padding=padding, stride=8).transpose(1, 2).reshape(-1, 127 * 127)
    return F.soft_margin_loss(logits, windows[chosen].where(windows[chosen] > 0, torch.tensor(-1.0)))


def losses_of(form: str, batch: dict[str, torch.Tensor], count: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return the losses of `count` cells, and the logits, whose gradient they have."""
    logits = batch[form].clone().requires_grad_()
    side = batch["weight"].shape[-1]
    cells, is_wanted = choose_cells(batch["weight"], torch.rand(batch["weight"].shape), count)
    target = mask_windows((batch["mask"][:, 0] > 0).to(torch.uint8), cells, side, stride=8)
    if form == "base":
        rows = enlarge_masks(logits[cells.samples, :, cells.rows, cells.columns])
    else:
        rows = logits[(cells.samples * side + cells.rows) * side + cells.columns]
    return mask_loss(rows, target, is_wanted), logits


def batch_of(form: str) -> dict[str, torch.Tensor]:
    return published_batch() if form == "base" else published_batch(2, 3, 143)


@pytest.mark.parametrize("form", ["base", "refined"])
def test_published_losses(form):
    expected, batch = parity_json("siammask_loss.json")[form], batch_of(form)
    losses, logits = losses_of(form, batch, count=100)
    losses["mask_loss"].backward()
    names = {
        "loss": "mask_loss",
        "iou_mean": "mask_iou",
        "iou_over_0.5": "mask_iou_0.5",
        "iou_over_0.7": "mask_iou_0.7",
    }
    for theirs, ours in names.items():
        assert losses[ours].item() == pytest.approx(expected[theirs], rel=1e-4), ours
    assert logits.grad.norm().item() == pytest.approx(expected["grad_norm"], rel=1e-4)


@pytest.mark.parametrize("form", ["base", "refined"])
def test_loss_and_gradient_equal_a_literal_implementation(form):
    batch = batch_of(form)
    logits = batch[form].clone().requires_grad_()
    rows = logits.permute(0, 2, 3, 1).reshape(-1, 63 * 63) if form == "base" else logits
    literal = literal_loss(rows, batch["mask"], batch["weight"], padding=32 if form == "base" else 0)
    literal.backward()
    # As many cells as there are, a few more, and all.
    for count in (int(batch["weight"].sum()), 20, 10**6):
        losses, own = losses_of(form, batch, count)
        losses["mask_loss"].backward()
        torch.testing.assert_close(losses["mask_loss"], literal)
        torch.testing.assert_close(own.grad, logits.grad, rtol=1e-4, atol=1e-9)


def test_no_chosen_cell_is_no_loss():
    batch = published_batch()
    batch["weight"][:] = False
    losses, logits = losses_of("base", batch, 16)
    losses["mask_loss"].backward()
    assert [value.item() for value in losses.values()] == [0, 0, 0, 0]
    assert not logits.grad.any()


def test_nothing_depends_on_chance_while_all_cells_are_chosen():
    batch = published_batch()
    torch.manual_seed(0)
    count = int(batch["weight"].sum())
    chosen = [choose_cells(batch["weight"], torch.rand(batch["weight"].shape), count)[0] for _ in range(3)]
    for cells in chosen:
        assert torch.equal(torch.stack(cells, 1), batch["weight"].nonzero())
    assert len({losses_of("base", batch, 40)[0]["mask_loss"].item() for _ in range(4)}) == 1


def test_cells_beyond_the_count_are_drawn_with_equal_chances():
    wanted = torch.zeros(3, 4, 4, dtype=torch.bool)
    wanted[0, 1], wanted[2, :, 3] = True, True
    drawn = torch.zeros(3, 4, 4)
    torch.manual_seed(1)
    for _ in range(600):
        cells, is_wanted = choose_cells(wanted, torch.rand(wanted.shape), 2)
        assert is_wanted.all() and len(cells.rows) == 2
        drawn[cells.samples, cells.rows, cells.columns] += 1
    assert not drawn[~wanted].any()
    assert 110 < drawn[wanted].min() and drawn[wanted].max() < 190  # 150 each


def test_cells_of_objects_with_a_mask():
    label = -torch.ones(3, 5, 2, 2, dtype=torch.long)
    label[0, 3, 0, 1] = label[1, 0, 1, 1] = 1
    label[2] = 0
    cells = object_cells(label, torch.tensor([True, False, True]))
    assert cells.nonzero().tolist() == [[0, 0, 1]]


def test_a_mean_over_random_cells_is_that_of_all_cells():
    batch = published_batch()
    expected = losses_of("base", batch, 40)[0]["mask_loss"].item()
    torch.manual_seed(2)
    means = [losses_of("base", batch, 4)[0]["mask_loss"].item() for _ in range(60)]
    assert np.mean(means) == pytest.approx(expected, rel=0.01) and np.std(means) > 0


@pytest.mark.parametrize(("side", "count"), [(255, 25), (143, 3), (143, 11)])
def test_refinement_equals_windows_of_unfolded_maps(side, count):
    """The windows of a cell are where the published code cuts them, for a 7x7 and a 3x3 first convolution."""
    torch.manual_seed(0)
    outside = {25: 4, 3: 0, 11: 4}[count]
    refine = Refine((4, 5, 6), corr_channels=8).eval()
    for first_kernel in (7, 3):
        width = (side - first_kernel) // 2 + 1
        half = (width + 1) // 2 if first_kernel == 7 else (width - 3) // 2 + 1
        quarter = (half - 3) // 2 + 1
        maps = [torch.randn(2, c, s, s) for c, s in zip((4, 5, 6), (width, half, quarter), strict=True)]
        features = MaskFeatures.of(maps, torch.randn(2, 8, count, count))
        cells = Cells(torch.tensor([0, 1, 1]), torch.tensor([0, count - 1, 1]), torch.tensor([count - 1, 1, 2]))
        strides = (4, 2, 1)
        sizes = [m.shape[-1] + 2 * s * outside - s * (count - 1) for m, s in zip(maps, strides, strict=True)]
        assert sizes[1:] == [31, 15] and sizes[0] == {7: 61, 3: 63}[first_kernel]
        windows = []
        for level, size, stride in zip(maps, sizes, strides, strict=True):
            columns = F.unfold(level, (size, size), padding=stride * outside, stride=stride)
            grid = columns.reshape(2, level.shape[1], size, size, count, count)
            windows.append(grid[cells.samples, :, :, :, cells.rows, cells.columns])
        p0, p1, p2 = windows
        out = refine.deconv(features.correlation[cells.samples, :, cells.rows, cells.columns][:, :, None, None])
        out = refine.post0(F.interpolate(refine.h2(out) + refine.v2(p2), size=(31, 31)))
        out = refine.post1(F.interpolate(refine.h1(out) + refine.v1(p1), size=p0.shape[-2:]))
        out = refine.post2(F.interpolate(refine.h0(out) + refine.v0(p0), size=(127, 127)))
        torch.testing.assert_close(refine(features, cells), out.reshape(3, -1), rtol=1e-4, atol=1e-4)


def test_masks_of_cells_are_those_of_the_whole_map():
    model = load_synthetic_weights(build_model(tiny_mask_config("base"))).eval()
    correlation = torch.randn(2, 16, 25, 25)
    cells = Cells(torch.tensor([1, 0]), torch.tensor([3, 24]), torch.tensor([7, 0]))
    expected = model.mask_head.head(correlation)[cells.samples, :, cells.rows, cells.columns]
    torch.testing.assert_close(model.mask_head.masks_of(correlation, cells), expected, rtol=1e-4, atol=1e-4)


def test_interface_of_the_original():
    model = load_synthetic_weights(build_model(tiny_mask_config("refine"))).eval()
    assert isinstance(model, ModelBuilder) and isinstance(model, SiamMask)
    with torch.inference_mode():
        with pytest.raises(RuntimeError, match="template"):
            model.track(torch.zeros(1, 3, 255, 255))
        with pytest.raises(RuntimeError, match="track"):
            model.mask_refine((1, 2))
        assert model.template(torch.rand(1, 3, 127, 127)).shape == (1, 16, 7, 7)
        x = 255 * torch.rand(1, 3, 255, 255)
        output = model.track(x)
        assert {name: tuple(value.shape) for name, value in output.items()} == {
            "cls": (1, 10, 25, 25),
            "loc": (1, 20, 25, 25),
            "mask": (1, 63 * 63, 25, 25),
        }
        one = model.mask_refine((3, 20))
        several = model.mask_refine((torch.tensor([12, 3]), torch.tensor([12, 20])))
        assert one.shape == (1, 127 * 127) and several.shape == (2, 127 * 127)
        torch.testing.assert_close(several[1:], one, rtol=1e-4, atol=1e-4)
        model.template(torch.rand(2, 3, 127, 127))
        model.track(torch.cat([x, x.flip(3)]))
        assert model.mask_refine((3, 20)).shape == (2, 127 * 127)
        with pytest.raises(ValueError, match="one for each of 2 search crops, got 3"):
            model.mask_refine((torch.arange(3), torch.arange(3)))
        # The functions of tensors that trackers use.
        cls, loc, features = model.match_masks(model.kernels(torch.rand(1, 3, 127, 127)), x)
        assert cls.shape == (1, 10, 25, 25) and loc.shape == (1, 20, 25, 25)
        cell = Cells(*(torch.tensor([i]) for i in (0, 3, 20)))
        assert model.refine(features, cell).shape == (1, 127 * 127)


def test_without_a_refinement():
    model = build_model(tiny_mask_config("base")).eval()
    assert isinstance(model, MaskModelBuilder) and not hasattr(model, "refine_head")
    model.template(torch.zeros(1, 3, 127, 127))
    model.track(torch.zeros(1, 3, 255, 255))
    with pytest.raises(RuntimeError, match="REFINE.REFINE"):
        model.mask_refine((1, 2))


def test_losses_of_both_stages():
    base = build_model(tiny_mask_config("base", for_training=True))
    batch = add_masks(synthetic_batch(2, 255, 25))
    losses = base(batch)
    parts = losses["cls_loss"] + 1.2 * losses["loc_loss"] + 36 * losses["mask_loss"]
    torch.testing.assert_close(losses["total_loss"], parts)
    losses["total_loss"].backward()
    assert all(p.grad is not None for p in base.parameters())
    without = base({**batch, "has_mask": torch.tensor([False, False])})
    torch.testing.assert_close(without["total_loss"], losses["cls_loss"] + 1.2 * losses["loc_loss"])

    refine = build_model(tiny_mask_config("refine", for_training=True))
    losses = refine(add_masks(synthetic_batch(2, 143, 3)))
    assert list(losses) == ["total_loss", "mask_loss", "mask_iou", "mask_iou_0.5", "mask_iou_0.7"]
    torch.testing.assert_close(losses["total_loss"], 36 * losses["mask_loss"])
    with pytest.raises(ValueError, match="OUTPUT_SIZE"):
        refine(add_masks(synthetic_batch(1, 255, 25)))


def test_cells_of_a_small_crop_are_the_central_ones():
    """The 3x3 cells of a crop of 143 pixels are those of its 11x11 whose windows lie in the crop."""
    model = load_synthetic_weights(build_model(tiny_mask_config("refine"))).eval()
    kernels = model.kernels(255 * torch.rand(1, 3, 127, 127))
    x, levels = model.search_features(255 * torch.rand(1, 3, 143, 143), margin=4)
    all_cells, _ = model.search_features(255 * torch.rand(1, 3, 143, 143))
    assert x.shape[-1] == 9 and all_cells.shape[-1] == 17
    correlation = model.mask_head.correlation(kernels[-1], x)
    wide, _ = model.search_features(255 * torch.rand(1, 3, 143, 143))
    assert correlation.shape == (1, 16, 3, 3)
    assert model.mask_head.correlation(kernels[-1], wide).shape == (1, 16, 11, 11)


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (["MASK.MASK", False], "REFINE.REFINE"),
        (["ADJUST.ADJUST", False], "ADJUST.ADJUST true"),
        (["MASK.KWARGS.out_channels", 127], "MASK.KWARGS.out_channels: expected 3969; got 127"),
        (["MASK.KWARGS.in_channels", 128], "MASK.KWARGS.in_channels: expected 256; got 128"),
        (["MASK.KWARGS.hidden", 64], "REFINE.KWARGS.corr_channels: expected 64"),
        (["MASK.KWARGS.hidden", "wide"], "MASK.KWARGS.hidden: expected a whole number"),
        (["BACKBONE.KWARGS.used_layers", [1, 2, 3]], "four levels"),
        (["BACKBONE.KWARGS.used_layers", [0, 1, 1, 3]], "REFINE.KWARGS.in_channels: expected .64, 256, 256."),
        (["MASK.TYPE", "MaskHead"], "MASK.TYPE"),
        (["REFINE.TYPE", "Sharp"], "REFINE.TYPE"),
    ],
)
def test_configs_that_do_not_fit(opts, message):
    with pytest.raises(ValueError, match=message):
        build_model(load_config(experiment("siammask_r50_l3"), opts))


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (["TRAIN.MASK_CELLS", 0], "TRAIN.MASK_CELLS: expected 1 or more"),
        (["TRAIN.CLS_WEIGHT", 1.0], "TRAIN.CLS_WEIGHT and TRAIN.LOC_WEIGHT: expected 0"),
        (["TRAIN.BASE_SIZE", 4, "TRAIN.OUTPUT_SIZE", 7], "TRAIN.BASE_SIZE: expected 8"),
        (["TRAIN.SEARCH_SIZE", 144], "TRAIN.SEARCH_SIZE: expected 127.*a multiple of ANCHOR.STRIDE .8.*; got 144"),
        (["TRAIN.MASK_WEIGHT", 0], "TRAIN.MASK_WEIGHT: expected a number above 0"),
        (["TRAIN.EXEMPLAR_SIZE", 119, "TRAIN.OUTPUT_SIZE", 4], "TRAIN.EXEMPLAR_SIZE: expected 127"),
        (["TRACK.EXEMPLAR_SIZE", 143], "TRACK.EXEMPLAR_SIZE: expected 127"),
    ],
)
def test_training_configs_that_do_not_fit(opts, message):
    with pytest.raises(ValueError, match=message):
        tiny_mask_config("refine", *opts, for_training=True)


def test_experiments_of_both_stages():
    for name in ("siammask_r50_l3_base", "siammask_r50_l3_refine"):
        load_config(experiment(name), for_training=True)
    tracked, trained = (load_config(experiment(f"siammask_r50_l3{end}")) for end in ("", "_refine"))
    assert tracked.TRACK == trained.TRACK


def test_networks_without_masks_are_unchanged():
    model = build_model(tiny_config())
    assert type(model) is ModelBuilder and not isinstance(model, SiamMask)
