"""Tracker: parity with the original, scripts written for the original, unusual frames and boxes."""

import json
import types

import numpy as np
import pytest
import torch

from helpers import (
    GOLDEN_BOXES,
    GOLDEN_CONFIDENCES,
    experiment,
    load_synthetic_weights,
    synthetic_image,
    tiny_config,
    track_golden,
)
from pysot.core.config import cfg, default_config, load_config
from pysot.models.model_builder import ModelBuilder, build_model
from pysot.tracker.tracker_builder import build_tracker, describe_arithmetic, results_fingerprint
from pysot.utils.bbox import get_axis_aligned_bbox, init_box_from_region
from pysot.utils.image import read_image


@pytest.fixture
def tracker():
    torch.manual_seed(0)
    config = tiny_config()
    return build_tracker(build_model(config), config)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["siamrpn_alex_dwxcorr", "siamrpn_r50_l234_dwxcorr_8gpu"])
def test_parity_on_bag(shared, name):
    config = load_config(experiment(name))
    tracker = build_tracker(load_synthetic_weights(build_model(config)), config)
    expected = json.loads((shared / "parity" / f"{name}.track_bag.json").read_text())
    folder = shared / "data" / "vot" / "bag"
    box = init_box_from_region(np.loadtxt(folder / "groundtruth.txt", delimiter=",")[0])
    np.testing.assert_allclose(box, expected[0]["bbox"], atol=1e-6)
    tracker.init(read_image(folder / "color" / "00000001.jpg"), box)
    for index, frame in enumerate(expected[1:8], 2):
        output = tracker.track(read_image(folder / "color" / f"{index:08d}.jpg"))
        np.testing.assert_allclose(output["bbox"], frame["bbox"], atol=0.05)
        assert output["best_score"] == pytest.approx(frame["best_score"], abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "opts", "description"),
    [
        ("cpu", (), "cpu fp32, folded"),
        ("cpu", ("GPU.TF32", True, "NPU.CONV_HF32", True), "cpu fp32, folded"),
        ("cuda", (), "cuda fp32, folded"),
        ("cuda", ("GPU.TF32", True), "cuda fp32, folded, TF32"),
        ("cuda", ("TRACK.PRECISION", "fp16", "TRACK.GRAPH", "off", "TRACK.CROPS", "host"), "cuda fp16, folded"),
        ("cuda", ("TRACK.COMPILE", True), "cuda fp32, folded, compiled"),
        ("npu", ("GPU.TF32", True), "npu fp32, folded, device crops"),
        ("npu", ("NPU.CONV_HF32", True, "TRACK.CROPS", "host"), "npu fp32, folded, HF32 convolutions"),
        ("npu", ("NPU.MATMUL_HF32", True), "npu fp32, folded, device crops, HF32 matrix products"),
    ],
)
def test_results_fingerprint_contains_the_arithmetic(kind, opts, description):
    config = tiny_config(*opts)
    assert describe_arithmetic(types.SimpleNamespace(type=kind), config) == description
    model = build_model(config)
    network, _, arithmetic = results_fingerprint(model, config).partition(" ")
    assert len(network) == 64 and arithmetic.startswith("cpu fp")
    assert results_fingerprint(model, tiny_config()).startswith(network)


def test_golden_trajectory():
    """Compare with boxes recorded when the trajectories on bag agreed with the original; needs no frames of bag."""
    config = load_config(experiment("siamrpn_alex_dwxcorr"))
    outputs = track_golden(build_tracker(load_synthetic_weights(build_model(config)), config))
    np.testing.assert_allclose([output["bbox"] for output in outputs], GOLDEN_BOXES, atol=0.02)
    np.testing.assert_allclose([output["best_score"] for output in outputs], GOLDEN_CONFIDENCES, atol=1e-3)


def test_a_script_written_for_the_original(tmp_path):
    from pysot.utils.model_load import load_pretrain

    before = cfg.clone()
    try:
        cfg.merge_from_other_cfg(default_config())
        cfg.merge_from_file(experiment("siamrpn_alex_dwxcorr"))
        cfg.CUDA = torch.cuda.is_available() and cfg.CUDA
        state = {f"module.{k}": v for k, v in ModelBuilder().state_dict().items()}
        torch.save({"state_dict": state}, tmp_path / "model.pth")
        model = load_pretrain(ModelBuilder(), str(tmp_path / "model.pth")).eval().to(torch.device("cpu"))
        tracker = build_tracker(model)
        image = synthetic_image("frame", 240, 320)
        cx, cy, w, h = get_axis_aligned_bbox(np.array([100, 80, 160, 80, 160, 120, 100, 120]))
        tracker.init(image, [cx - (w - 1) / 2, cy - (h - 1) / 2, w, h])
        outputs = tracker.track(image)
        assert len(list(map(int, outputs["bbox"]))) == 4 and 0 <= outputs["best_score"] <= 1
    finally:
        cfg.merge_from_other_cfg(before)
        cfg.BACKBONE.KWARGS, cfg.RPN.KWARGS = before.BACKBONE.KWARGS, before.RPN.KWARGS


@pytest.mark.parametrize(
    "box", [[0, 0, 0, 5], [0, 0, 5, -1], [float("nan"), 0, 5, 5], [0, 0, float("inf"), 5], [1, 2, 3]]
)
def test_invalid_boxes(tracker, box):
    with pytest.raises(ValueError, match="x, y, width, height"):
        tracker.init(synthetic_image("a", 100, 100), box)


@pytest.mark.parametrize(
    "frame", [np.zeros((0, 10, 3), np.uint8), np.zeros((10, 10, 2), np.uint8), np.zeros((10, 10, 3)), None]
)
def test_invalid_frames(tracker, frame):
    with pytest.raises(ValueError, match="a frame is"):
        tracker.init(frame, [1, 1, 5, 5])


def test_track_before_init(tracker):
    with pytest.raises(RuntimeError, match="init"):
        tracker.track(synthetic_image("a", 100, 100))


@pytest.mark.parametrize(
    "box",
    [
        [-40, -40, 60, 60],
        [300, 220, 80, 80],
        [500, 500, 40, 40],
        [-1000, 10, 20, 20],
        [10, 10, 1, 1],
        [50, 50, 0.2, 0.3],
        [-2000, -2000, 9000, 9000],
        [0, 0, 320, 240],
        [10, 10, 300, 2],
    ],
)
def test_any_box_gives_finite_boxes_within_the_frame(tracker, box):
    image = synthetic_image("frame", 240, 320)
    tracker.init(image, box)
    for _ in range(3):
        x, y, w, h = tracker.track(image)["bbox"]
        assert np.isfinite([x, y, w, h]).all() and w >= 10 and h >= 10
        assert 0 <= x + w / 2 <= 320 and 0 <= y + h / 2 <= 240


def test_grey_frames_equal_their_bgr_copies(tracker):
    grey = synthetic_image("frame", 120, 160)[:, :, 0]
    boxes = []
    bgr = np.repeat(grey[:, :, None], 3, axis=2)
    bgra = np.dstack([grey] * 3 + [np.zeros_like(grey)])
    for frame in (grey, grey[:, :, None], bgr, bgra):
        tracker.init(frame, [40, 30, 50, 40])
        boxes.append(tracker.track(frame)["bbox"])
    assert boxes[0] == boxes[1] == boxes[2] == boxes[3]


def test_no_gradients_are_kept(tracker):
    tracker.init(synthetic_image("frame", 120, 160), [40, 30, 50, 40])
    assert not any(kernel.requires_grad for kernel in tracker.batch._step.templates.state)
    with torch.inference_mode():
        tracker.track(synthetic_image("frame", 120, 160))


def test_two_trackers_on_one_network(tracker):
    """Each tracker keeps its own template, so that the boxes are those of two networks."""
    config, image = tiny_config(), synthetic_image("frame", 240, 320)
    frames = [np.roll(image, (2 * i, 5 * i), (0, 1)) for i in range(1, 4)]
    first_box, second_box = [100, 80, 60, 60], [20, 140, 40, 70]

    def follow(first, second):
        first.init(image, first_box)
        second.init(image, second_box)
        return [(first.track(frame)["bbox"], second.track(frame)["bbox"]) for frame in frames]

    torch.manual_seed(0)
    expected = follow(tracker, build_tracker(build_model(config), config))
    shared = follow(build_tracker(tracker.model, config), build_tracker(tracker.model, config))
    assert shared == expected and expected[0][0] != expected[0][1]


def test_changes_of_the_global_config_are_obeyed():
    """A tracker of the global config follows its changes, as in the original; one of another config does not."""
    before = cfg.clone()
    try:
        cfg.merge_from_other_cfg(tiny_config())
        torch.manual_seed(0)
        model, image = build_model(cfg), synthetic_image("frame", 240, 320)
        live, fixed = build_tracker(model), build_tracker(model, cfg.clone())
        for tracker in (live, fixed):
            tracker.init(image, [100, 80, 60, 60])
        cfg.TRACK.LR = 0.0
        assert live.settings.lr == 0 < fixed.settings.lr
        assert live.track(image)["bbox"][2:] == [60, 60] and fixed.track(image)["bbox"][2:] != [60, 60]
        cfg.TRACK.INSTANCE_SIZE = 287
        assert len(live.track(image)["bbox"]) == 4 and len(live.batch._step.grids._made) == 2
    finally:
        cfg.merge_from_other_cfg(before)


def test_a_still_scene_is_the_same_every_time(tracker):
    image, results = synthetic_image("frame", 240, 320), []
    for _ in range(2):
        tracker.init(image, [100, 80, 60, 60])
        results.append([tracker.track(image)["bbox"] for _ in range(4)])
    assert results[0] == results[1]


def test_broken_weights_are_named(tracker):
    tracker.model.rpn_head.cls.head[3].bias.data[0] = float("nan")
    tracker.init(synthetic_image("frame", 120, 160), [40, 30, 50, 40])
    with pytest.raises(ValueError, match="NaN"):
        tracker.track(synthetic_image("frame", 120, 160))


def test_wrong_base_size_is_named():
    config = tiny_config()
    config.defrost()
    config.TRACK.BASE_SIZE = 8
    tracker = build_tracker(build_model(config), config)
    tracker.init(synthetic_image("frame", 120, 160), [40, 30, 50, 40])
    with pytest.raises(ValueError, match="TRACK.BASE_SIZE"):
        tracker.track(synthetic_image("frame", 120, 160))


def test_unknown_tracker_type():
    config = tiny_config()
    config.defrost()
    config.TRACK.TYPE = "SiamFCTracker"
    with pytest.raises(ValueError, match="TRACK.TYPE.*SiamFCTracker.*known"):
        build_tracker(build_model(tiny_config()), config)


class FixedNetwork(torch.nn.Module):
    """Network that returns a given confidence for unchanged anchors, and records the sizes of its crops."""

    def __init__(self, confidence: float):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.confidence = confidence
        self.sizes = []

    def template(self, z):
        pass

    def track(self, x):
        self.sizes.append(x.shape[-1])
        cells = (x.shape[-1] - 127) // 8 + 1
        logit = float(np.log(self.confidence / (1 - self.confidence)))
        cls = torch.zeros(1, 2, 5 * cells * cells)
        cls[:, 1] = logit
        return {"cls": cls.reshape(1, 10, cells, cells), "loc": torch.zeros(1, 20, cells, cells)}


def test_long_term_state():
    opts = ["TRACK.TYPE", "SiamRPNLTTracker", "TRACK.LOST_INSTANCE_SIZE", 831]
    config = tiny_config(*opts, "TRACK.CONFIDENCE_LOW", 0.85, "TRACK.CONFIDENCE_HIGH", 0.99)
    network, image = FixedNetwork(0.5), synthetic_image("frame", 240, 320)
    tracker = build_tracker(network, config)
    tracker.init(image, [100, 80, 60, 60])
    first = tracker.track(image)["bbox"]
    # The box stays, apart from the half pixel that the conversion in init moves it.
    assert tracker.longterm_state and first == [100.5 - 0.5 - 0.5, 80.5 - 0.5 - 0.5, 60, 60]
    tracker.track(image)
    network.confidence = 0.9
    tracker.track(image)
    assert tracker.longterm_state, "between the two limits the target stays lost"
    network.confidence = 0.995
    tracker.track(image)
    assert not tracker.longterm_state
    tracker.track(image)
    assert network.sizes == [255, 831, 831, 831, 255]
    network.confidence = 0.5
    tracker.track(image)
    tracker.init(image, [100, 80, 60, 60])
    assert not tracker.longterm_state, "a new video starts with the target found"
