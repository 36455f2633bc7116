"""Trackers in vot-toolkit on an NPU, see test_npu.py."""

import numpy as np
import pytest
import torch

from helpers import SIMULATED, moving_square, tiny_config
from pysot.core.stored_config import config_text
from pysot.models.model_builder import build_model
from pysot.vot import Tracker

pytestmark = pytest.mark.npu


def test_objects_of_a_video_equal_the_cpu(tmp_path):
    """Objects that start with the video and later, as the toolkit's Python protocol sends them."""
    config = tiny_config()
    torch.manual_seed(0)
    torch.save({"state_dict": build_model(config).state_dict(), "config": config_text(config)}, tmp_path / "m.pth")
    box = np.array(moving_square(tmp_path / "clip", frames=5)[0], float)
    frames, found = sorted((tmp_path / "clip" / "color").iterdir()), {}
    for device in ("cpu", "npu"):
        tracker = Tracker(str(tmp_path / "m.pth"), device=device, multiobject="yes")
        tracker.init(str(frames[0]), [(tuple(box), {}), (tuple(box + 4), {})], {})
        answers = [tracker.update(str(path), [(tuple(box), {})] if i == 1 else [], {}) for i, path in enumerate(frames)]
        assert [len(answer) for answer in answers] == [2, 3, 3, 3, 3]
        found[device] = [region for answer in answers for region, _ in answer]
    np.testing.assert_allclose(found["npu"], found["cpu"], atol=0.05 if SIMULATED else 1)
