"""Check of an exported network on a device, with the providers of ONNX Runtime, and the speed of its tracker."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from pysot.benchmarks.correctness import MAX_FORWARD_ERROR
from pysot.benchmarks.exports import missing_packages, write_export
from pysot.benchmarks.networks import SMALL, make_case, make_network
from pysot.benchmarks.record import Record, Setting
from pysot.benchmarks.tracking import step_seconds
from pysot.deploy.engine_network import EngineNetwork
from pysot.deploy.engines import choose_engine
from pysot.deploy.tracker import Tracker
from pysot.deploy.verification import compare_outputs
from pysot.toolkit.datasets import load_dataset
from pysot.tracker.torch_network import TorchNetwork
from pysot.tracker.tracker_builder import build_tracker
from pysot.utils.bbox import init_box_from_region
from pysot.utils.device_builder import open_device
from pysot.utils.image import read_image

# By kind of device: providers, and the precision in which they compute a graph in fp32.
PROVIDERS = {
    "cpu": {"cpu": "fp32"},
    "cuda": {"cpu": "fp32", "cuda": "fp32", "tensorrt": "tf32"},
    "npu": {"cpu": "fp32", "cann": "fp16"},
}
_FRAMES = 20


def exports(setting: Setting, record: Record) -> None:
    """Export a small network with synthetic weights, and compare each provider with torch on the CPU.

    Checks the outputs; records frames per second, and that of torch on the device. A provider that this machine lacks
    is a note, and so are missing packages.
    """
    if missing := missing_packages():
        record.note(f"nothing was exported: {missing}")
        return
    video = load_dataset("vot", setting.data).sequences[0]
    images = [read_image(path) for path in video.frame_paths[:_FRAMES]]
    boxes = np.array([init_box_from_region(region) for region in video.ground_truth[:_FRAMES]])
    case = make_case(setting, name=SMALL)
    model = make_network(case, SMALL).eval()
    package, _ = write_export(model, case.cfg, Path(setting.work) / "exported", _no_bar)
    tracker = build_tracker(make_network(case, SMALL).to(open_device(setting.device, case.cfg)), case.cfg)
    tracker.init(images[0], boxes[0])
    expected = step_seconds(tracker.track, images)
    record.measurement(f"torch, {SMALL}", 1 / expected, "frames/s")
    for provider, precision in PROVIDERS[setting.kind].items():
        name = f"onnxruntime:{provider}"
        try:
            network = EngineNetwork(package, *choose_engine(name), torch.get_num_threads())
        except (ValueError, RuntimeError) as reason:  # not in this onnxruntime, or it cannot start or refuses the graph
            record.note(f"{name}: {reason}")
            continue
        differences = compare_outputs([TorchNetwork(model), network], package, video, boxes)
        error = max(difference.relative for difference in differences)
        record.check(f"outputs, {SMALL}, {name}", error, MAX_FORWARD_ERROR[precision])
        exported = Tracker(network)
        exported.init(images[0], boxes[0])
        seconds = step_seconds(exported.track, images)
        record.measurement(f"{name}, {SMALL}", 1 / seconds, "frames/s")
        record.measurement(f"{name}, {SMALL}, over torch", expected / seconds, "x")


def _no_bar(iterable: Any, **_: object) -> Any:
    return iterable
