"""Trackers without anchors: networks that do not fit, parity with their authors, forms of a step, precisions."""

import numpy as np
import pytest
import torch
from torch import nn

from fake_graphs import use_fake_graphs
from helpers import (
    experiment,
    load_nano_weights,
    load_synthetic_weights,
    parity_json,
    synthetic_image,
    tiny_config,
    tiny_mask_config,
    tiny_point_config,
)
from pysot.benchmarks.case_builder import build_plain_tracker
from pysot.core.config import load_config
from pysot.models.model_builder import build_model
from pysot.tracker.siamban_tracker import SiamBANLTTracker, SiamBANTracker
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker, results_fingerprint, track_settings
from pysot.utils.bbox import init_box_from_region
from pysot.utils.image import read_image
from pysot.utils.model_load import load_pretrain

IMAGE = synthetic_image("frame", 240, 320)
FRAMES = [np.roll(IMAGE, (2 * i, 5 * i), (0, 1)) for i in range(1, 7)]
BOXES = [[100, 80, 60, 60], [10, 20, 30, 40], [200, 120, 80, 50]]
DEVICE = ("TRACK.CROPS", "device")
LONG_TERM = (
    *("TRACK.TYPE", "SiamBANLTTracker", "TRACK.LOST_INSTANCE_SIZE", 319),
    *("TRACK.CONFIDENCE_LOW", 0.53, "TRACK.CONFIDENCE_HIGH", 0.54),
)


def make_model(kind, config):
    """Return a network with useful outputs: distances near 33 pixels, confidences between 0.2 and 0.8."""
    model = build_model(config)
    if kind == "nano":
        return load_nano_weights(model)
    load_synthetic_weights(model, cls_gain=0.03, loc_gain=0.1)
    model.head.loc.head[3].bias.data += 3.5
    return model


def make_tracker(kind, *opts, slots=0):
    """Return a tracker of one target, or that of a batch."""
    config = tiny_point_config(kind, *opts)
    model = make_model(kind, config)
    return build_batch_tracker(model, config, slots) if slots else build_tracker(model, config)


def follow(tracker, frames=FRAMES):
    """Return the rows of each frame and slot of a batch tracker: box and confidence."""
    tracker.start(range(tracker.slots), [IMAGE] * tracker.slots, BOXES[: tracker.slots])
    return np.array([np.column_stack(tracker.track([frame] * tracker.slots)) for frame in frames])


class OtherNetwork(nn.Module):
    """Network of the original interface without anchors, around one of this package."""

    def __init__(self, model):
        super().__init__()
        self.inner = model

    def template(self, z):
        self.inner.template(z)

    def track(self, x):
        return self.inner.track(x)


@pytest.mark.parametrize("long", ["", "LT"])
@pytest.mark.parametrize("build", [build_tracker, build_batch_tracker])
def test_a_tracker_and_a_network_of_different_families_are_refused(long, build):
    points, anchors = tiny_point_config("point"), tiny_config()
    with pytest.raises(ValueError, match=r"has none \(BAN.BAN true\): set TRACK.TYPE to SiamBANTracker"):
        build(build_model(points), tiny_config("TRACK.TYPE", f"SiamRPN{long}Tracker"))
    with pytest.raises(ValueError, match=r"has anchors \(BAN.BAN false\): set TRACK.TYPE to SiamRPNTracker"):
        build(build_model(anchors), tiny_point_config("point", "TRACK.TYPE", f"SiamBAN{long}Tracker"))
    with pytest.raises(ValueError, match=r"has anchors \(BAN.BAN false\)"):
        build(build_model(tiny_mask_config("base")), points)


@pytest.mark.parametrize(("kind", "points"), [("nano", {255: 15, 271: 16, 831: 51}), ("point", {255: 17, 831: 89})])
def test_points_of_crops(kind, points):
    settings = track_settings(tiny_point_config(kind))
    assert {size: settings.score_size(size) for size in points} == points


def test_a_network_with_other_points_is_named():
    config = tiny_point_config("point")
    model = make_model("point", config)
    config.defrost()
    config.TRACK.OUTPUT_SIZE = 15
    tracker = build_tracker(model, config)
    tracker.init(IMAGE, BOXES[0])
    with pytest.raises(ValueError, match="returns 289 scores .* TRACK and POINT describe 225; correct TRACK.OUTPUT_S"):
        tracker.track(IMAGE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_of_the_network_is_named(value):
    tracker = make_tracker("point", slots=2)
    with torch.no_grad():
        tracker.network.model.head.cls.head[3].bias.fill_(value)
    assert np.isnan(follow(tracker, FRAMES[:1])).all()
    assert "NaN" in str(tracker.failures[0]) and not tracker.active.any()


@pytest.mark.parametrize("kind", ["nano", "point"])
@pytest.mark.parametrize("bias", [-200.0, 200.0])
def test_boxes_of_untrained_networks_are_finite(kind, bias):
    """Distances of e^-200 pixels are 0 in float32, and those of e^200 infinity."""
    tracker = make_tracker(kind, slots=1)
    head = tracker.network.model
    with torch.no_grad():
        (head.ban_head.bbox_pred[0] if kind == "nano" else head.head.loc.head[3]).bias.fill_(bias)
    rows = follow(tracker, FRAMES[:2])
    assert np.isfinite(rows).all() and (rows[..., 2:4] >= 10).all() and not tracker.failures


def parity_case(name, shared, *opts):
    """Return tracker, its first box, and the expected outputs of the authors' code."""
    config = load_config(experiment(name), list(opts))
    model = build_model(config)
    if name == "nanotrackv3":
        load_pretrain(model, shared / "data" / "weights" / "nanotrackv3.pth")
    else:
        load_synthetic_weights(model, loc_gain=-0.0025)
    return build_tracker(model, config), parity_json(f"{name}.track_bag.json")


@pytest.mark.shared
@pytest.mark.parametrize("opts", [(), DEVICE], ids=["host", "device"])
@pytest.mark.parametrize(("name", "frames"), [("nanotrackv3", 40), ("siamban_r50_l234", 8)])
def test_parity_on_bag(shared, name, frames, opts):
    tracker, expected = parity_case(name, shared, *opts)
    folder = shared / "data" / "vot" / "bag"
    box = init_box_from_region(np.loadtxt(folder / "groundtruth.txt", delimiter=",")[0])
    np.testing.assert_allclose(box, expected[0]["bbox"], atol=1e-6)
    tracker.init(read_image(folder / "color" / "00000001.jpg"), box)
    for index, frame in enumerate(expected[1:frames], 2):
        output = tracker.track(read_image(folder / "color" / f"{index:08d}.jpg"))
        np.testing.assert_allclose(output["bbox"], frame["bbox"], atol=0.05, err_msg=f"frame {index}")
        assert output["best_score"] == pytest.approx(frame["best_score"], abs=1e-4)


@pytest.mark.shared
def test_published_boxes_of_bag(shared):
    """The first boxes of the authors' published result file, made on a GPU, come out of the published weights."""
    tracker, expected = parity_case("nanotrackv3", shared)
    results = shared / "data" / "results" / "VOT2018" / "NanoTrackV3" / "baseline" / "bag" / "bag_001.txt"
    published = [np.array(line.split(","), float) for line in results.read_text().split()[1:20]]
    folder = shared / "data" / "vot" / "bag" / "color"
    tracker.init(read_image(folder / "00000001.jpg"), expected[0]["bbox"])
    for index, box in enumerate(published, 2):
        found = tracker.track(read_image(folder / f"{index:08d}.jpg"))["bbox"]
        np.testing.assert_allclose(found, box, atol=0.05, err_msg=f"frame {index}")


@pytest.mark.parametrize("opts", [(), DEVICE], ids=["host", "device"])
@pytest.mark.parametrize("kind", ["nano", "point"])
def test_boxes_are_those_of_the_plain_tracker(kind, opts):
    """It has its own decoding, computes the network as it was trained, and shares no maths with the trackers."""
    config = tiny_point_config(kind)
    plain = build_plain_tracker(make_model(kind, config), config)
    tracker = make_tracker(kind, *opts)
    assert type(tracker) is SiamBANTracker
    for each in (plain, tracker):
        each.init(IMAGE, BOXES[0])
    for frame in FRAMES:
        expected, found = plain.track(frame), tracker.track(frame)
        np.testing.assert_allclose(found["bbox"], expected["bbox"], atol=0.01)
        assert found["best_score"] == pytest.approx(expected["best_score"], abs=1e-4)
        assert abs(np.subtract(found["bbox"], BOXES[0])[2:]).max() > 0.1  # it is no tracker that stands still


@pytest.mark.parametrize("opts", [(), LONG_TERM], ids=["short", "long"])
@pytest.mark.parametrize("crops", [(), DEVICE], ids=["host", "device"])
@pytest.mark.parametrize("kind", ["nano", "point"])
def test_targets_in_a_batch_equal_those_alone(kind, crops, opts):
    rows = follow(make_tracker(kind, *crops, *opts, slots=3))
    for slot, box in enumerate(BOXES):
        tracker = make_tracker(kind, *crops, *opts)
        tracker.init(IMAGE, box)
        for frame, row in zip(FRAMES, rows[:, slot], strict=True):
            np.testing.assert_allclose(tracker.track(frame)["bbox"], row[:4], atol=0.02)


def test_a_lost_target_is_searched_in_a_larger_crop():
    tracker = make_tracker("nano", *LONG_TERM)
    assert isinstance(tracker, SiamBANLTTracker) and tracker.long_term and tracker.points
    model, sides = tracker.model, []
    model.backbone.register_forward_pre_hook(lambda module, inputs: sides.append(inputs[0].shape[-1]))
    model.ban_head.cls_logits[0].weight.data.zero_()
    for confidence, is_lost in ((0.4, True), (0.8, False)):
        logit = float(np.log(confidence / (1 - confidence)))
        model.ban_head.cls_logits[0].bias.data = torch.tensor([0.0, logit])
        tracker.init(IMAGE, BOXES[0])
        before = tracker.size
        output = tracker.track(FRAMES[0])
        assert tracker.longterm_state == is_lost and (tracker.size == before).all() == is_lost
        assert output["best_score"] == pytest.approx(confidence, abs=1e-5)
        tracker.track(FRAMES[1])


def test_a_graph_gives_the_same_numbers(monkeypatch):
    fake = use_fake_graphs(monkeypatch)
    for opts in ((), LONG_TERM):
        found = [follow(make_tracker("nano", *DEVICE, *opts, "TRACK.GRAPH", g, slots=2)) for g in ("auto", "off")]
        np.testing.assert_array_equal(*found)
    assert fake.captures == 3 and fake.replays >= 10


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 3), ("fp16", 0.3)])
@pytest.mark.parametrize("opts", [(), DEVICE], ids=["host", "device"])
@pytest.mark.parametrize("kind", ["nano", "point"])
def test_half_precision_follows_float32(kind, precision, tolerance, opts):
    found = {
        p: follow(make_tracker(kind, *opts, "TRACK.PRECISION", p, slots=2), FRAMES[:1]) for p in ("fp32", precision)
    }
    np.testing.assert_allclose(found[precision], found["fp32"], atol=tolerance)
    assert (found[precision] != found["fp32"]).any()


def test_a_network_of_the_original_interface():
    config = tiny_point_config("point")
    model = make_model("point", config)
    trackers = [build_tracker(OtherNetwork(model), config), build_tracker(model, config)]
    for tracker in trackers:
        tracker.init(IMAGE, BOXES[0])
    for frame in FRAMES[:3]:
        other, own = (tracker.track(frame) for tracker in trackers)
        np.testing.assert_allclose(other["bbox"], own["bbox"], atol=0.01)


def test_what_results_depend_on_is_in_the_fingerprint():
    config = tiny_point_config("nano")
    model = make_model("nano", config)

    def fingerprint(*opts):
        return results_fingerprint(model, tiny_point_config("nano", *opts))

    assert fingerprint() == fingerprint("TRACK.BASE_SIZE", 3) == fingerprint("ANCHOR.RATIOS", "[1, 2, 3, 4, 5]")
    others = [("TRACK.INSTANCE_SIZE", 271, "TRACK.OUTPUT_SIZE", 16), ("TRACK.PENALTY_K", 0.2), LONG_TERM]
    assert len({fingerprint(), *(fingerprint(*opts) for opts in others)}) == 4
    anchors = [results_fingerprint(model, tiny_config(*opts)) for opts in ((), ("TRACK.OUTPUT_SIZE", 9))]
    assert anchors[0] == anchors[1]
