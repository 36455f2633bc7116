"""Helpers of the tests of exports: exports of small networks, and frames to track on."""

from pathlib import Path

import numpy as np
import torch

from helpers import small_config, small_model
from pysot.deploy.engine_network import EngineNetwork
from pysot.deploy.engines import choose_engine
from pysot.deploy.export_builder import write_package
from pysot.deploy.export_graphs import ExportOptions
from pysot.deploy.package import read_package
from pysot.tracker.torch_network import TorchNetwork
from pysot.tracker.tracker_builder import TRACKERS


def no_bar(iterable=None, total=None, description=""):
    """Return the iterable: a progress bar that shows nothing."""
    return iterable


def small_export(folder: Path, stage: str = "", *opts, **options):
    """Write the export of a small network to a folder; return its model and config."""
    config = small_config(stage, *opts)
    torch.manual_seed(0)
    return write_export(folder, small_model(config, stage).eval(), config, **options), config


def write_export(folder: Path, model, config, **options):
    """Write the export of a network to a folder, unverified; return the network."""
    folder.mkdir(parents=True, exist_ok=True)
    snapshot = folder.parent / f"{folder.name}.pth"
    torch.save(model.state_dict(), snapshot)
    write_package(model, config, snapshot, folder, ExportOptions(**options), no_bar)
    return model


def both_networks(folder: Path, model, config, engine: str = "onnxruntime:cpu"):
    """Return the network of torch and that of an export."""
    package = read_package(folder)
    torch_network = TorchNetwork(model, masks=TRACKERS[config.TRACK.TYPE].masks)
    return torch_network, EngineNetwork(package, *choose_engine(engine), 1)


def frames(count: int = 6, size: tuple[int, int] = (240, 320)) -> list[np.ndarray]:
    """Return frames of a textured square of 40 pixels that moves by (4, 2) from (100, 80)."""
    rng = np.random.default_rng(0)
    background = rng.integers(60, 120, (*size, 3), dtype=np.uint8)
    target = np.kron(rng.integers(0, 256, (5, 5, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    images = []
    for index in range(count):
        image = background.copy()
        x, y = 100 + 4 * index, 80 + 2 * index
        image[y : y + 40, x : x + 40] = target
        images.append(image)
    return images


BOX = [100, 80, 40, 40]
