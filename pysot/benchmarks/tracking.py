"""Tracking speed of a device, of one target and in lockstep, and checks of its boxes."""

import itertools
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from yacs.config import CfgNode

from pysot.benchmarks.case_builder import build_plain_tracker, with_track_options
from pysot.benchmarks.networks import LARGE, NETWORKS, SMALL, load_reference, make_case, make_network
from pysot.benchmarks.record import Record, Setting
from pysot.models.model_builder import ModelBuilder
from pysot.toolkit.datasets import load_dataset
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.siamrpn_tracker import SiamRPNTracker
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker
from pysot.utils.bbox import init_box_from_region
from pysot.utils.device import one_thread
from pysot.utils.device_builder import open_device
from pysot.utils.image import read_image

# With synthetic weights, rounding errors dominate the boxes of later frames.
COMPARED_FRAMES = 8
MAX_BOX_ERROR = 0.05  # pixels
TIMED_FRAMES = 150
WARM_UP_FRAMES = 5
# By kind of device: precisions, and targets in a step.
TRACK_PRECISIONS = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "bf16", "fp16"), "npu": ("fp32", "bf16", "fp16")}
LOCKSTEP_TARGETS = {"cpu": (1, 8), "cuda": (1, 32), "npu": (1, 32)}
# Speed and ratio to aim at with the recipe's network in bf16, by kind of device and targets in a step.
AIMS = {("cuda", 1): (300.0, 4.0), ("cuda", 32): (2000.0, 15.0)}


def track(setting: Setting, record: Record) -> None:
    """Track the first sequence of the data with networks of synthetic weights.

    Checks boxes against those of the CPU and of the original implementation; records frames per second and milliseconds
    per frame.
    """
    sequence = load_dataset("vot", setting.data).sequences[0]
    images = [read_image(path) for path in sequence.frame_paths[: 20 if setting.short else 60]]
    init_box = init_box_from_region(sequence.ground_truth[0])
    for name in (SMALL,) if setting.short else (LARGE, NETWORKS[0]):
        case = make_case(setting, name=name)
        device = open_device(setting.device, case.cfg)
        compared = images[: COMPARED_FRAMES + 1]
        expected = track_boxes(make_network(case, name), case.cfg, compared, init_box)
        model = make_network(case, name).to(device)
        boxes = track_boxes(model, case.cfg, compared, init_box)
        error = float(np.abs(boxes - expected).max())
        record.check(f"boxes of {COMPARED_FRAMES} frames, {name}", error, MAX_BOX_ERROR, "pixels")
        if sequence.name == "bag" and (reference := load_reference(setting, f"{name}.track_bag.json")) is not None:
            count = COMPARED_FRAMES - 1
            original = np.array([frame["bbox"] for frame in reference[1:COMPARED_FRAMES]])
            error = float(np.abs(boxes[:count] - original).max())
            check_name = f"boxes of {count} frames, {name}, against the original's"
            record.check(check_name, error, MAX_BOX_ERROR, "pixels")
        with one_thread(device):  # like tools/test.py
            frames = 20 if setting.short else TIMED_FRAMES
            seconds = _frame_seconds(build_tracker(model, case.cfg), images, init_box, frames)
        record.measurement(f"tracking, {name}", 1 / statistics.mean(seconds), "frames/s")
        record.measurement(f"tracking, {name}, median of a frame", 1000 * statistics.median(seconds), "ms")
        record.measurement(f"tracking, {name}, 95 % of frames within", 1000 * float(np.percentile(seconds, 95)), "ms")


def lockstep(setting: Setting, record: Record) -> None:
    """Track several targets in lockstep with a network of synthetic weights.

    Checks that their boxes are those of single streams, also with an idle slot; records frames per second of one stream
    and of a batch, in each precision, and of the plain tracker, all on the same frames.
    """
    sequence = load_dataset("vot", setting.data).sequences[0]
    images = [read_image(path) for path in sequence.frame_paths[: COMPARED_FRAMES + 1]]
    init_box = init_box_from_region(sequence.ground_truth[0])
    name = SMALL if setting.short else LARGE
    case = make_case(setting, name=name)
    model = make_network(case, name).to(open_device(setting.device, case.cfg))
    second_box = init_box + [*init_box[2:] / 2, 0, 0]
    expected = np.stack([track_boxes(model, case.cfg, images, box) for box in (init_box, second_box)], axis=1)
    tracker = build_batch_tracker(model, case.cfg, 3)
    tracker.start([0, 2], [images[0]] * 2, [init_box, second_box])
    boxes = np.array([tracker.track([image, None, image])[0][[0, 2]] for image in images[1:]])
    error = float(np.abs(boxes - expected).max())
    record.check(f"boxes of {COMPARED_FRAMES} frames in lockstep, {name}", error, MAX_BOX_ERROR, "pixels")
    time_ways(setting, record, name, model, case.cfg, images, init_box)


def time_ways(
    setting: Setting,
    record: Record,
    name: str,
    model: ModelBuilder,
    cfg: CfgNode,
    images: list[np.ndarray],
    init_box: np.ndarray,
) -> None:
    """Record frames per second of one target and of a batch, in each precision, and of the plain tracker."""
    plain_tracker = build_plain_tracker(model, cfg)
    plain_tracker.init(images[0], init_box)
    plain = step_seconds(plain_tracker.track, images)
    record.measurement(f"plain tracker, {name}", 1 / plain, "frames/s")
    for precision, slots in itertools.product(TRACK_PRECISIONS[setting.kind], LOCKSTEP_TARGETS[setting.kind]):
        try:
            tracker = build_batch_tracker(model, with_track_options(cfg, PRECISION=precision), slots)
        except ValueError as error:  # older chips have no bf16
            record.note(str(error))
            continue
        tracker.start(range(slots), [images[0]] * slots, [init_box] * slots)
        seconds = step_seconds(partial(_track_copies, tracker), images) / slots
        title = f"{precision}, {slots} target{'s' if slots > 1 else ''} in a step, {name}"
        is_aimed = precision == "bf16" and name == LARGE
        speed, ratio = AIMS.get((setting.kind, slots), (None, None)) if is_aimed else (None, None)
        record.measurement(title, 1 / seconds, "frames/s", speed)
        record.measurement(f"{title}, over the plain tracker", plain / seconds, "x", ratio)


def _track_copies(tracker: BatchTracker, image: np.ndarray) -> object:
    """Track the target of each slot on the same image."""
    return tracker.track([image] * tracker.slots)


def step_seconds(step: Callable[[np.ndarray], object], images: list[np.ndarray]) -> float:
    """Return the median seconds of a step on each image but the first, after a step of warm-up on that one."""
    step(images[0])
    seconds = []
    for image in images[1:]:
        began = time.perf_counter()
        step(image)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def track_boxes(model: ModelBuilder, cfg: CfgNode, images: list[np.ndarray], init_box: np.ndarray) -> np.ndarray:
    """Return the boxes xywh of all images but the first, (N - 1, 4)."""
    tracker = build_tracker(model, cfg)
    tracker.init(images[0], init_box)
    return np.array([tracker.track(image)["bbox"] for image in images[1:]])


def _frame_seconds(
    tracker: SiamRPNTracker,
    images: list[np.ndarray],
    init_box: np.ndarray,
    count: int,
) -> list[float]:
    """Return the seconds of `count` frames after the warm-up frames; the images repeat, with a new init each time."""
    seconds: list[float] = []
    while len(seconds) < count + WARM_UP_FRAMES:
        tracker.init(images[0], init_box)
        for image in images[1:]:
            began = time.perf_counter()
            tracker.track(image)  # the box is read on the host, so the device has finished
            seconds.append(time.perf_counter() - began)
    return seconds[WARM_UP_FRAMES : count + WARM_UP_FRAMES]
