"""Plain tracker, the baseline of the tracking benchmarks: bad input, recorded boxes, and those of the package's."""

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
from pysot.benchmarks.case_builder import build_plain_tracker
from pysot.core.config import load_config
from pysot.models.model_builder import build_model
from pysot.tracker.tracker_builder import build_tracker


@pytest.fixture
def plain():
    torch.manual_seed(0)
    config = tiny_config()
    return build_plain_tracker(build_model(config), config)


def test_bad_input(plain):
    image = synthetic_image("plain", 120, 160)
    with pytest.raises(RuntimeError, match="call init"):
        plain.track(image)
    for box in ([1, 2, 3], [1, 2, 0, 4], [1, 2, 3, np.nan]):
        with pytest.raises(ValueError, match="expected a box"):
            plain.init(image, box)
    with pytest.raises(ValueError, match="uint8"):
        plain.init(image.astype(np.float32), [60, 40, 30, 20])
    plain.init(image, [60, 40, 30, 20])
    torch.nn.init.constant_(next(plain.model.rpn_head.parameters()), float("nan"))
    with pytest.raises(ValueError, match="NaN"):
        plain.track(image)
    config = tiny_config("TRACK.TYPE", "SiamRPNLTTracker")
    with pytest.raises(ValueError, match="TRACK.TYPE SiamRPNLTTracker"):
        build_plain_tracker(build_model(config), config)


def test_recorded_boxes():
    """The same numbers as in tracker/test_siamrpn_tracker.py::test_golden_trajectory."""
    config = load_config(experiment("siamrpn_alex_dwxcorr"))
    tracker = build_plain_tracker(load_synthetic_weights(build_model(config)), config)
    outputs = track_golden(tracker)
    np.testing.assert_allclose([output["bbox"] for output in outputs], GOLDEN_BOXES, atol=0.02)
    confidences = [output["best_score"] for output in outputs]
    np.testing.assert_allclose(confidences, GOLDEN_CONFIDENCES, atol=1e-3)


@pytest.mark.parametrize("box", [[60, 40, 30, 20], [-5, 70, 80, 12], [150, 110, 40, 40]])
def test_boxes_of_the_package(plain, box):
    model = build_model(tiny_config())
    model.load_state_dict(plain.model.state_dict())
    tracker, image = build_tracker(model, tiny_config()), synthetic_image("plain", 120, 160)
    frames = [np.roll(image, 7 * step, 1) for step in range(8)]
    frames[3] = frames[3][:, :, 0]
    plain.init(frames[0], box)
    tracker.init(frames[0], box)
    for frame in frames[1:]:
        expected, output = tracker.track(frame), plain.track(frame)
        np.testing.assert_allclose(output["bbox"], expected["bbox"], atol=1e-3)
        assert output["best_score"] == pytest.approx(expected["best_score"], abs=1e-4)
