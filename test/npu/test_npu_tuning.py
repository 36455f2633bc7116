"""Settings in lockstep on an NPU, see test_npu.py."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers import SIMULATED, synthetic_image, tiny_config
from pysot.models.model_builder import build_model
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.settings import Execution
from pysot.tracker.siamrpn_tracker import network_of
from pysot.tracker.tracker_builder import track_settings
from pysot.tuning.call_sizes import CallSizes
from pysot.tuning.shared_network import SharedNetwork
from pysot.utils.device import choose_device

pytestmark = pytest.mark.npu


def test_settings_in_lockstep_equal_the_cpu():
    """On an NPU the crops of a frame are one call, and boxes are decoded on the card."""
    config, image, found = tiny_config(), synthetic_image("frame", 240, 320), {}
    settings = track_settings(config)
    for name in ("cpu", "npu"):
        torch.manual_seed(0)
        model = build_model(config).to(choose_device(name)).eval()
        shared = SharedNetwork(network_of(model, Execution(crops="host"), settings, False), CallSizes(127))
        trackers = [BatchTracker(shared, replace(settings, lr=lr)) for lr in (0.2, 0.4, 0.6)]
        for tracker in trackers:
            tracker.start([0], [image], [[100, 80, 60, 60]])
        boxes = []
        for step in range(4):
            shared.next_frame()
            for tracker in trackers:
                tracker.submit([np.roll(image, 3 * step, axis=1)])
            boxes += [tracker.collect()[0][0] for tracker in trackers]
        found[name] = boxes
        assert shared.computed < shared.searched
    np.testing.assert_allclose(found["npu"], found["cpu"], atol=0.05 if SIMULATED else 1)
