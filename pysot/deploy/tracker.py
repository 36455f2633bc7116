"""Trackers of an export. They need NumPy, OpenCV and an engine, and no torch.

The maths of a frame and the tracker of several targets are those of `pysot.tracker`.
"""

import dataclasses
import hashlib
import os
from typing import Any

import numpy as np

from pysot.deploy.engine_network import EngineNetwork
from pysot.deploy.engines import AUTO, choose_engine
from pysot.deploy.package import read_package
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.one_target import MaskTracker, OneTargetTracker

PathLike = str | os.PathLike[str]


class Tracker(MaskTracker):
    """Tracker of one target of an export: `init(frame, box)`, then `track(frame)` for every further frame.

    Frames are uint8 (H, W, 3) BGR or (H, W) grey; boxes are x, y, width, height in pixels.
    """

    def __init__(self, source: PathLike | EngineNetwork, engine: str = AUTO, threads: int = 0) -> None:
        """Load the folder of an export, or take a network that is loaded. Errors are those of `load_network`.

        `engine` is ENGINE or ENGINE:PROVIDER, see `engine_names`. `threads` is the number for one call of the network,
        0 the engine's own.
        """
        network = source if isinstance(source, EngineNetwork) else load_network(source, engine, threads)
        super().__init__(load_batch_tracker(network))

    def track(self, img: np.ndarray, with_mask: bool | None = None) -> dict[str, Any]:
        """Find the target in the next frame, see `OneTargetTracker.track`, of a SiamMask `MaskTracker.track`."""
        if self.batch.network.masks:
            return super().track(img, with_mask)
        return OneTargetTracker.track(self, img)


def load_batch_tracker(
    source: PathLike | EngineNetwork, slots: int = 1, engine: str = AUTO, threads: int = 0
) -> BatchTracker:
    """Return the tracker of an export for up to `slots` targets in lockstep. Arguments are those of `Tracker`."""
    network = source if isinstance(source, EngineNetwork) else load_network(source, engine, threads)
    return BatchTracker(network, network.package.settings, slots, long_term=network.package.long_term)


def load_network(folder: PathLike, engine: str = AUTO, threads: int = 0, mask_output: bool = False) -> EngineNetwork:
    """Load the graphs of an export, which several trackers and threads may share.

    With `mask_output`, masks count as a part of what trackers return, see TRACK.MASK_OUTPUT. Raises FileNotFoundError
    and ValueError as `read_package`, ValueError for an unknown engine or a provider that is missing here, ImportError
    for an engine that is not installed, and RuntimeError if it refuses a graph.
    """
    package = read_package(folder)
    if mask_output:
        settings = dataclasses.replace(package.settings, mask_output=True)
        package = dataclasses.replace(package, settings=settings)
    return EngineNetwork(package, *choose_engine(engine), threads)


def results_fingerprint(network: EngineNetwork) -> str:
    """Return a text that identifies everything that tracking results depend on.

    It is a digest of graphs and settings, a space, and the arithmetic: engine, provider and precision of the export.
    """
    package = network.package
    settings = dataclasses.replace(package.settings, mask_output=False)
    parts = [package.type, str(settings), *(facts.sha256 for facts in package.graphs.values())]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{digest} {network.name} {package.export['precision']}"
