"""Forms of a tracking step on a device: crops cut there, graphs, two frames in flight; each is checked and measured."""

import logging
import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch

from pysot.benchmarks.case_builder import Case, with_track_options
from pysot.benchmarks.networks import LARGE, SMALL, make_case, make_network
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.tracking import COMPARED_FRAMES, MAX_BOX_ERROR, TIMED_FRAMES, TRACK_PRECISIONS
from pysot.benchmarks.tracking_profile import describe_tracking, profile_steps
from pysot.benchmarks.tracking_ways import ManyTargets, TwoInFlight, step_name
from pysot.models.model_builder import ModelBuilder
from pysot.toolkit.datasets import load_dataset
from pysot.tracker.crop_threads import CropThreads
from pysot.tracker.device_crops import crop_squares
from pysot.tracker.frame_upload import FrameUpload
from pysot.tracker.network import Group
from pysot.tracker.torch_network import FORMS as DEVICE_FORMS
from pysot.tracker.tracker_builder import build_batch_tracker, track_settings
from pysot.utils.bbox import init_box_from_region
from pysot.utils.device_builder import open_device
from pysot.utils.graphs import find_graphs
from pysot.utils.image import crop_square, read_image

# Values of the TRACK section; the boxes of the other forms are compared with those of the first.
FORMS: dict[str, dict[str, object]] = {
    "crops by OpenCV": {"CROPS": "host"},
    "crops on the device": {"CROPS": "device", "GRAPH": "off"},
    "crops on the device, graph": {"CROPS": "device", "GRAPH": "auto"},
}
MAX_CROP_ERROR = {torch.float64: 0, torch.float32: 1}  # by type of the maths


class _Notes(logging.Handler):
    """Writes the warnings of the package, such as that of a graph that cannot be captured, as notes."""

    def __init__(self, record: Record) -> None:
        super().__init__(logging.WARNING)
        self.findings = record

    def emit(self, record: logging.LogRecord) -> None:
        self.findings.note(record.getMessage())


def forms(setting: Setting, record: Record) -> None:
    """Check crops cut on the device and the boxes of each form; measure speed and latency of one stream.

    Each precision is measured with two frames in flight, and a note names what limits its speed.
    """
    notes, loggers = _Notes(record), [logging.getLogger(name) for name in ("pysot.tracker", "pysot.utils.graphs")]
    for each in loggers:
        each.addHandler(notes)
    try:
        _measure_forms(setting, record)
    finally:
        for each in loggers:
            each.removeHandler(notes)


def _measure_forms(setting: Setting, record: Record) -> None:
    sequence = load_dataset("vot", setting.data).sequences[0]
    images = [read_image(path) for path in sequence.frame_paths[: 20 if setting.short else 60]]
    box = init_box_from_region(sequence.ground_truth[0])
    name = SMALL if setting.short else LARGE
    case = make_case(setting, name=name)
    device = open_device(setting.device, case.cfg)
    _check_crops(case, device, images, record)
    model = make_network(case, name).to(device)
    expected: np.ndarray | None = None
    for form, options in FORMS.items():
        if options.get("GRAPH") == "auto" and find_graphs(device) is None:
            record.note(f"{device} has no graphs here")
            continue
        way = ManyTargets(build_batch_tracker(model, with_track_options(case.cfg, **options)))
        boxes = _track(way, images[: COMPARED_FRAMES + 1], box)[0]
        expected = boxes if expected is None else expected
        error = float(np.abs(boxes - expected).max())
        record.check(f"boxes of {COMPARED_FRAMES} frames, {form}, {name}", error, MAX_BOX_ERROR, "pixels")
        _measure(record, f"{form}, {name}", way, images, box, setting.short)
    for precision in TRACK_PRECISIONS[setting.kind]:
        _measure_precision(setting, record, case, model, precision, images, box)


def _measure_precision(
    setting: Setting,
    record: Record,
    case: Case,
    model: ModelBuilder,
    precision: str,
    images: Sequence[np.ndarray],
    box: np.ndarray,
) -> None:
    """Measure a precision with two frames in flight, and note what limits it."""
    try:
        tracker = build_batch_tracker(model, with_track_options(case.cfg, PRECISION=precision))
    except ValueError as error:  # older chips have no bf16
        record.note(str(error))
        return
    way, title = TwoInFlight(tracker), f"{precision}, two frames in flight"
    frame_ms = _measure(record, title, way, images, box, setting.short)
    way.start(images[:1], [box])
    way.track(images[1:2])
    profile = profile_steps(next(model.parameters()).device, way.set_timer, lambda: way.track(images[1:2]))
    record.measurement(f"{title}, crops and decoding", 100 * profile.small_share, "% of a step")
    record.note(f"{title}: {describe_tracking(profile, 0, frame_ms)}")


def _check_crops(case: Case, device: torch.device, images: Sequence[np.ndarray], record: Record) -> None:
    """Check crops of real frames that are cut on the device against those of OpenCV."""
    images, dtype, rng = images[::5], DEVICE_FORMS[device.type].maths, np.random.default_rng(0)
    count, settings = len(images), track_settings(case.cfg)
    out_side = settings.instance_size
    targets = np.column_stack([rng.uniform(0, images[0].shape[1::-1], (count, 2)).round(2), np.ones((count, 2))])
    sides, colours = rng.integers(40, 700, count), rng.uniform(0, 255, (count, 3))
    upload = FrameUpload(device, dtype, count, CropThreads(count))
    upload.send(list(range(count)), Group(settings, out_side, dict(enumerate(images)), targets, colours))
    assert upload.numbers is not None and upload.places is not None and upload.pixels is not None
    crops = crop_squares(
        upload.pixels,
        upload.places,
        upload.numbers[:, 1:3],
        torch.from_numpy(sides).to(device, dtype),
        upload.numbers[:, 5:],
        out_side,
    )
    expected = [
        crop_square(image, targets[row, :2], sides[row], out_side, colours[row]) for row, image in enumerate(images)
    ]
    difference = np.abs(crops.cpu().numpy() - np.array(expected, np.int64))
    title = f"crops of {count} frames against OpenCV's"
    record.check(f"{title}, largest difference", float(difference.max()), MAX_CROP_ERROR[dtype], "grey levels")
    record.measurement(f"{title}, mean difference", float(difference.mean()), "grey levels")


def _track(way: ManyTargets, images: Sequence[np.ndarray], box: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Return what `way.track` returns for all images but the first, (N - 1, 4), and the seconds of each."""
    way.start(images[:1], [box])
    boxes, seconds = [], []
    for image in images[1:]:
        began = time.perf_counter()
        boxes.append(way.track([image])[0])
        seconds.append(time.perf_counter() - began)
    if isinstance(way, TwoInFlight):
        began = time.perf_counter()
        way.finish()
        seconds[-1] += time.perf_counter() - began
    return np.array(boxes), seconds


def _measure(
    record: Record, title: str, way: ManyTargets, images: Sequence[np.ndarray], box: np.ndarray, short: bool
) -> float:
    """Record frames per second and latency; return the mean milliseconds of a frame."""
    _track(way, images[:5], box)
    seconds: list[float] = []
    while len(seconds) < (20 if short else TIMED_FRAMES):
        seconds += _track(way, images, box)[1]
    record.measurement(title, 1 / statistics.mean(seconds), "frames/s")
    record.measurement(f"{title}, {step_name(way)}, median", 1000 * statistics.median(seconds), "ms")
    record.measurement(f"{title}, {step_name(way)}, 95 % within", 1000 * float(np.percentile(seconds, 95)), "ms")
    return 1000 * statistics.mean(seconds)
