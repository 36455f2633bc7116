"""How fast a device tracks, and whether its boxes are a CPU's."""

import statistics
import time

import numpy as np

from pysot.benchmarks.networks import LARGE, NETWORKS, SMALL, case_of, golden, network_of
from pysot.benchmarks.record import Record, Setting
from pysot.toolkit.datasets import load_dataset
from pysot.tracker.tracker_builder import build_tracker
from pysot.utils.bbox import init_box_from_region
from pysot.utils.device import one_thread
from pysot.utils.device_builder import open_device
from pysot.utils.image import read_image

COMPARED = 8  # frames: with drawn weights later boxes depend on the last digit
PIXELS = 0.05
FRAMES = 150


def track(setting: Setting, record: Record) -> None:
    """Networks with drawn weights on the first sequence of the data: boxes against the CPU's and the original's, frames per second, milliseconds of a frame."""
    sequence = load_dataset("vot", setting.data).sequences[0]
    images = [read_image(path) for path in sequence.frame_paths[: 20 if setting.short else 60]]
    start = init_box_from_region(sequence.ground_truth[0])
    for name in (SMALL,) if setting.short else (LARGE, NETWORKS[0]):
        case = case_of(setting, name=name)
        device = open_device(setting.device, case.cfg)
        expected = _boxes(network_of(case, name), case.cfg, images[: COMPARED + 1], start)
        model = network_of(case, name).to(device)
        found = _boxes(model, case.cfg, images[: COMPARED + 1], start)
        record.check(f"boxes of {COMPARED} frames, {name}", float(np.abs(found - expected).max()), PIXELS, "pixels")
        if sequence.name == "bag" and (numbers := golden(setting, f"{name}.track_bag.json")) is not None:
            original = np.array([frame["bbox"] for frame in numbers[1:COMPARED]])
            error = float(np.abs(found[: COMPARED - 1] - original).max())
            record.check(f"boxes of {COMPARED - 1} frames, {name}, against the original's", error, PIXELS, "pixels")
        with one_thread(device):  # as tools/test.py tracks
            spent = _times(build_tracker(model, case.cfg), images, start, 20 if setting.short else FRAMES)
        record.figure(f"tracking, {name}", 1 / statistics.mean(spent), "frames/s")
        record.figure(f"tracking, {name}, median of a frame", 1000 * statistics.median(spent), "ms")
        record.figure(f"tracking, {name}, 95 % of frames within", 1000 * float(np.percentile(spent, 95)), "ms")


def _boxes(model, cfg, images: list[np.ndarray], start) -> np.ndarray:
    """Boxes xywh of all images but the first."""
    tracker = build_tracker(model, cfg)
    tracker.init(images[0], start)
    return np.array([tracker.track(image)["bbox"] for image in images[1:]])


def _times(tracker, images: list[np.ndarray], start, count: int) -> list[float]:
    """Seconds of each of `count` frames after five that warm up; the images are gone through again and again, from the start each time."""
    spent: list[float] = []
    while len(spent) < count + 5:
        tracker.init(images[0], start)
        for image in images[1:]:
            began = time.perf_counter()
            tracker.track(image)  # its box comes back to the host, so the device has done
            spent.append(time.perf_counter() - began)
    return spent[5 : count + 5]
