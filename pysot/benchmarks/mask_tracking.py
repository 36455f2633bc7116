"""Check of the masks that a device computes, and the speed of their tracker."""

import statistics
import time
from typing import Any

import numpy as np

from pysot.benchmarks.case_builder import Case, with_track_options
from pysot.benchmarks.networks import make_case, make_network
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.tracking import TRACK_PRECISIONS
from pysot.models.model_builder import ModelBuilder
from pysot.toolkit.datasets import load_dataset
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker
from pysot.utils.bbox import init_box_from_region
from pysot.utils.device_builder import open_device
from pysot.utils.image import read_image

SHORT, LONG = "siammask_mobilev2_small", "siammask_r50_l3"
_FRAMES = 12
# Largest allowed error of a probability; rounding moves the features of half precision.
MAX_MASK_ERROR = {"fp32": 0.01, "bf16": 0.2, "fp16": 0.05}


def masks(setting: Setting, record: Record) -> None:
    """Track two targets with a SiamMask network of synthetic weights.

    Checks the masks of the first frame against those of the CPU in fp32, in each precision; records the milliseconds of
    a frame of one target with its polygon.
    """
    sequence = load_dataset("vot", setting.data).sequences[0]
    images = [read_image(path) for path in sequence.frame_paths[:_FRAMES]]
    init_box = init_box_from_region(sequence.ground_truth[0])
    name = SHORT if setting.short else LONG
    case = make_case(setting, "TRAIN.PRETRAINED", "", name=name)
    device = open_device(setting.device, case.cfg)
    expected = _first_masks(_network(case, name), case, images, init_box)
    model = _network(case, name).to(device)
    for precision in TRACK_PRECISIONS[setting.kind]:
        try:
            found = _first_masks(model, case, images, init_box, precision)
        except ValueError as reason:  # older chips have no bf16
            record.note(str(reason))
            continue
        error = float(np.abs(found - expected).max())
        record.check(f"masks of two targets, {name}, {precision}", error, MAX_MASK_ERROR[precision])
    tracker, seconds = build_tracker(model, case.cfg), []
    tracker.init(images[0], init_box)
    for image in images[1:]:
        began = time.perf_counter()
        tracker.track(image)
        seconds.append(time.perf_counter() - began)
    record.measurement(f"tracking with masks, {name}, median of a frame", 1000 * statistics.median(seconds), "ms")


def _network(case: Case, name: str) -> ModelBuilder:
    """Return a network whose masks have probabilities between 0 and 1; synthetic weights alone give 0 and 1."""
    model: Any = make_network(case, name)
    model.refine_head.post2.weight.data *= 0.01
    return model


def _first_masks(
    model: ModelBuilder, case: Case, images: list[np.ndarray], init_box: np.ndarray, precision: str = "fp32"
) -> np.ndarray:
    """Return the masks (2, P, P) on the second image of two targets that start on the first one."""
    tracker = build_batch_tracker(model, with_track_options(case.cfg, PRECISION=precision), 2)
    tracker.start([0, 1], [images[0]] * 2, [init_box, init_box + [*init_box[2:] / 2, 0, 0]])
    tracker.track([images[1]] * 2)
    return np.stack([tracker.masks[slot].probabilities for slot in range(2)])
