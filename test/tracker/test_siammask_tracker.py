"""Tracker of SiamMask: networks that do not fit, parity with the original, forms of a step, precisions, outputs."""

import json
import logging

import numpy as np
import pytest
import torch
from torch import nn

from fake_graphs import use_fake_graphs
from helpers import (
    experiment,
    load_synthetic_weights,
    needs_compiler,
    parity_json,
    synthetic_image,
    tiny_config,
    tiny_mask_config,
)
from pysot.core.config import load_config
from pysot.models.head.mask import WINDOW_SIDE
from pysot.models.model_builder import build_model
from pysot.toolkit.region.raster import overlap
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker, results_fingerprint
from pysot.utils.bbox import init_box_from_region
from pysot.utils.image import read_image

IMAGE = synthetic_image("frame", 240, 320)
FRAMES = [np.roll(IMAGE, (2 * i, 5 * i), (0, 1)) for i in range(1, 7)]
BOXES = [[100, 80, 60, 60], [10, 20, 30, 40], [200, 120, 80, 50]]
DEVICE = ("TRACK.CROPS", "device")


def make_model(config):
    """Return a network with random weights whose masks have pixels above and below the threshold."""
    torch.manual_seed(0)
    model = build_model(config)
    model.refine_head.post2.weight.data *= 3
    return model


def make_tracker(*opts, slots=0):
    """Return a tracker of one target, or that of a batch."""
    config = tiny_mask_config("refine", *opts)
    model = make_model(config)
    return build_batch_tracker(model, config, slots) if slots else build_tracker(model, config)


def rows_of(tracker, slot, boxes):
    """Return the box of a slot and what its mask has: probabilities, square and polygon, as one array."""
    mask = tracker.masks[slot]
    return np.concatenate([boxes[slot], mask.probabilities.ravel(), mask.square, mask.polygon()])


def follow(tracker, frames=FRAMES):
    """Return for each frame and slot of a batch tracker what `rows_of` does."""
    tracker.start(range(tracker.slots), [IMAGE] * tracker.slots, BOXES[: tracker.slots])
    rows = []
    for frame in frames:
        boxes, _ = tracker.track([frame] * tracker.slots)
        rows.append([rows_of(tracker, slot, boxes) for slot in range(tracker.slots)])
    return np.array(rows)


@pytest.mark.parametrize("model", ["boxes", "no refinement", "own"])
def test_a_network_without_masks_is_refused(model):
    config = tiny_mask_config("refine")
    if model == "own":
        network = nn.Linear(2, 2)
    else:
        network = build_model(tiny_config() if model == "boxes" else tiny_mask_config("base"))
    for build in (build_tracker, build_batch_tracker):
        with pytest.raises(ValueError, match=r"SiamMaskTracker needs .* mask branch.*TRACK.TYPE to SiamRPNTracker"):
            build(network, config)


def test_nan_of_the_refinement_is_named():
    config = tiny_mask_config("refine")
    model = make_model(config)
    model.refine_head.post2.bias.data.fill_(float("nan"))
    tracker = build_batch_tracker(model, config, 2)
    tracker.start([0, 1], [IMAGE] * 2, BOXES[:2])
    boxes, confidences = tracker.track([IMAGE] * 2)
    assert np.isnan(boxes).all() and np.isnan(confidences).all() and tracker.masks == {}
    assert "NaN" in str(tracker.failures[0]) and not tracker.active.any()


def test_a_tracker_of_boxes_takes_a_network_with_masks(caplog):
    """Both trackers may share the network."""
    config, model = tiny_mask_config("refine", "TRACK.TYPE", "SiamRPNTracker"), make_model(tiny_mask_config("refine"))
    with caplog.at_level(logging.INFO):
        boxes, masks = build_tracker(model, config), build_tracker(model, tiny_mask_config("refine"))
    assert "mask branch, TRACK.TYPE SiamRPNTracker tracks boxes only" in caplog.text
    for tracker in (boxes, masks):
        tracker.init(IMAGE, BOXES[0])
    for frame in FRAMES:
        found = boxes.track(frame)
        assert set(found) == {"bbox", "best_score"} and boxes.batch.masks == {}
        np.testing.assert_allclose(found["bbox"], masks.track(frame)["bbox"], atol=1e-4)


def load_parity_network(config):
    model = load_synthetic_weights(build_model(config))
    model.refine_head.post2.weight.data *= 0.01
    model.refine_head.post2.bias.data += 1
    return model


@pytest.mark.shared
@pytest.mark.parametrize("opts", [(), DEVICE], ids=["host", "device"])
def test_parity_on_bag(shared, opts):
    config = load_config(experiment("siammask_r50_l3"), list(opts))
    tracker = build_tracker(load_parity_network(config), config)
    expected = parity_json("siammask_r50_l3.track_bag.json")
    folder = shared / "data" / "vot" / "bag"
    box = init_box_from_region(np.loadtxt(folder / "groundtruth.txt", delimiter=",")[0])
    np.testing.assert_allclose(box, expected[0]["bbox"], atol=1e-6)
    tracker.init(read_image(folder / "color" / "00000001.jpg"), box)
    for index, frame in enumerate(expected[1:8], 2):
        image = read_image(folder / "color" / f"{index:08d}.jpg")
        output = tracker.track(image, with_mask=True)
        np.testing.assert_allclose(output["bbox"], frame["bbox"], atol=0.05)
        assert output["best_score"] == pytest.approx(frame["best_score"], abs=1e-3)
        assert output["mask"].sum() == pytest.approx(frame["mask_sum"], rel=0.01)
        assert output["mask"].max() == pytest.approx(frame["mask_max"], abs=0.01)
        assert (output["mask"] > 0.15).sum() == pytest.approx(frame["mask_pixels"], rel=0.01)
        assert overlap(output["polygon"], frame["polygon"], image.shape[1], image.shape[0]) > 0.95


def test_outputs():
    """The mask is laid back when it is asked for: by an argument, by the config, or by its first use."""
    tracker = make_tracker()
    tracker.init(IMAGE, BOXES[0])
    outputs = tracker.track(FRAMES[0])
    assert set(outputs) == {"bbox", "best_score", "polygon", "target_mask"}
    assert len(outputs["polygon"]) == 8 and np.isfinite(outputs["polygon"]).all()
    mask = outputs["mask"]
    assert mask.shape == (240, 320) and mask.dtype == np.float32 and 0 <= mask.min() and mask.max() <= 1
    assert 0 < (mask > 0.3).sum() < mask.size and "mask" in outputs
    json.dumps({key: outputs[key] for key in ("bbox", "best_score", "polygon")})
    with pytest.raises(KeyError):
        outputs["masks"]
    assert "mask" in tracker.track(FRAMES[1], with_mask=True)
    always = make_tracker("TRACK.MASK_OUTPUT", True)
    always.init(IMAGE, BOXES[0])
    outputs = always.track(FRAMES[0])
    assert "mask" in outputs
    np.testing.assert_array_equal(outputs["mask"], mask)
    assert "mask" not in always.track(FRAMES[1], with_mask=False)


def test_masks_follow_their_target():
    """The square of a mask has the side of a template in the frame, and holds the cell that was found."""
    tracker = make_tracker(slots=2)
    tracker.start([0, 1], [IMAGE] * 2, BOXES[:2])
    before = tracker.targets.copy()
    boxes, _ = tracker.track([FRAMES[0]] * 2)
    for slot, mask in tracker.masks.items():
        w, h = before[slot, 2:]
        side = round(np.sqrt((w + (w + h) / 2) * (h + (w + h) / 2)) * 255 / 127)
        assert mask.square[2:] == pytest.approx(side * 127 / 255)
        cells = (mask.square[:2] + mask.square[2] / 2 - before[slot, :2]) / (8 * side / 255)
        np.testing.assert_allclose(cells, np.round(cells), atol=1e-9)
        assert np.abs(cells).max() <= 12 and mask.frame_size == (320, 240) and mask.threshold == 0.3
        np.testing.assert_array_equal(mask.box, boxes[slot])
    tracker.stop([0])
    assert set(tracker.masks) == {1}
    tracker.track([None, FRAMES[1]])
    assert set(tracker.masks) == {1}


@pytest.mark.parametrize("opts", [(), DEVICE], ids=["host", "device"])
def test_targets_in_a_batch_equal_those_alone(opts):
    """A call of the network has two crops at most on a CPU, so that the features of three targets come in parts."""
    together = follow(make_tracker(*opts, slots=3))
    for slot in range(3):
        alone = make_tracker(*opts, slots=1)
        alone.start([0], [IMAGE], [BOXES[slot]])
        for frame, rows in zip(FRAMES, together, strict=True):
            boxes, _ = alone.track([frame])
            np.testing.assert_allclose(rows[slot][:-8], rows_of(alone, 0, boxes)[:-8], atol=1e-3)
            assert overlap(rows[slot][-8:], rows_of(alone, 0, boxes)[-8:], 320, 240) > 0.98


def test_forms_of_a_step_give_the_same_masks(monkeypatch):
    """Crops by the host or by the device, as a graph, and with two frames in flight."""
    expected = follow(make_tracker(slots=2))
    on_device = follow(make_tracker(*DEVICE, slots=2))
    np.testing.assert_allclose(on_device, expected, atol=1e-2)
    fake = use_fake_graphs(monkeypatch)
    np.testing.assert_array_equal(follow(make_tracker(*DEVICE, slots=2)), on_device)
    assert fake.captures == 1 and fake.replays >= len(FRAMES)
    tracker, rows = make_tracker(*DEVICE, slots=2), []
    tracker.start([0, 1], [IMAGE] * 2, BOXES[:2])
    for index, frame in enumerate(FRAMES):
        tracker.submit([frame] * 2)
        if index:
            boxes, _ = tracker.collect()
            rows.append([rows_of(tracker, slot, boxes) for slot in range(2)])
    boxes, _ = tracker.collect()
    rows.append([rows_of(tracker, slot, boxes) for slot in range(2)])
    np.testing.assert_array_equal(rows, on_device)


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.15), ("fp16", 0.03)])
@pytest.mark.parametrize("opts", [(), DEVICE], ids=["host", "device"])
def test_masks_in_half_precision(precision, tolerance, opts):
    """Correlation and refinement stay in float32, so that the masks are those of rounded features."""
    frames, found = FRAMES[:1], {}
    for name in ("fp32", precision):
        tracker = make_tracker(*opts, "TRACK.PRECISION", name, slots=1)
        follow(tracker, frames)
        found[name] = tracker.masks[0]
        refine = tracker.network.copy.network.refine_head
        assert {value.dtype for value in refine.parameters()} == {torch.float32}
    np.testing.assert_array_equal(found[precision].square, found["fp32"].square)
    np.testing.assert_allclose(found[precision].probabilities, found["fp32"].probabilities, atol=tolerance)


@needs_compiler
def test_a_compiled_network_gives_the_same_masks():
    expected = follow(make_tracker(slots=1), FRAMES[:2])
    np.testing.assert_allclose(follow(make_tracker("TRACK.COMPILE", True, slots=1), FRAMES[:2]), expected, atol=1e-2)


class Original(nn.Module):
    """Network with the interface of the original package, which keeps its template and the features of a mask."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def template(self, z):
        self.model.template(z)

    def track(self, x):
        return self.model.track(x)

    def mask_refine(self, pos):
        row, column = pos
        assert isinstance(row, int) and isinstance(column, int)
        return self.model.mask_refine((row, column))


def test_a_network_of_the_original_interface():
    config = tiny_mask_config("refine")
    own, tracker = build_tracker(Original(make_model(config)), config), make_tracker()
    for each in (own, tracker):
        each.init(IMAGE, BOXES[0])
    for frame in FRAMES[:3]:
        found, expected = own.track(frame), tracker.track(frame)
        np.testing.assert_allclose(found["bbox"], expected["bbox"], atol=1e-3)
        np.testing.assert_allclose(found["mask"], expected["mask"], atol=1e-3)


def test_masks_that_are_asked_for_do_not_change_the_fingerprint_of_results():
    configs = [tiny_mask_config("refine", "TRACK.MASK_OUTPUT", value) for value in (False, True)]
    model = make_model(configs[0])
    assert results_fingerprint(model, configs[0]) == results_fingerprint(model, configs[1])


def test_the_side_of_a_mask_is_checked():
    assert tiny_mask_config("refine").TRACK.MASK_OUTPUT_SIZE == WINDOW_SIDE
    with pytest.raises(ValueError, match="TRACK.MASK_OUTPUT_SIZE: expected 127.*got 63"):
        tiny_mask_config("refine", "TRACK.MASK_OUTPUT_SIZE", 63)
    with pytest.raises(ValueError, match="MASK.MASK: expected true for TRACK.TYPE SiamMaskTracker"):
        tiny_config("TRACK.TYPE", "SiamMaskTracker")
    with pytest.raises(ValueError, match="REFINE.REFINE: expected true for TRACK.TYPE SiamMaskTracker"):
        tiny_mask_config("base", "TRACK.TYPE", "SiamMaskTracker")
