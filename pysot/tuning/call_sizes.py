"""How many search crops a call of a network may have so that each crop's outputs are those of a call of its own."""

import logging
import threading

import numpy as np
import torch

from pysot.tracker.frame_maths import Array
from pysot.tracker.network import Network

logger = logging.getLogger(__name__)
MOST = 8  # crops of a call; more are no faster on a CPU


class CallSizes:
    """Sizes of calls by size of search crops, found by comparing the bits of outputs; threads may share it.

    A library may add in another order for more crops, so that the last digits change, and with them a trajectory.
    """

    def __init__(self, exemplar_size: int) -> None:
        self.exemplar_size = exemplar_size
        self._known: dict[int, list[int]] = {}
        self._lock = threading.Lock()

    def get(self, network: Network, instance_size: int) -> list[int]:
        """Return the sizes for crops of `instance_size` pixels, the largest first; 1 is the last."""
        with self._lock:
            if instance_size not in self._known:
                self._known[instance_size] = self._find(network, instance_size)
                text = "search crops of %d pixels: up to %d in a call have the same outputs as alone"
                logger.info(text, instance_size, self._known[instance_size][0])
            return self._known[instance_size]

    def _find(self, network: Network, instance_size: int) -> list[int]:
        """Compare a call of each size with calls of one crop."""
        rng = np.random.default_rng(0)
        templates, crops = (
            rng.integers(0, 256, (MOST, side, side, 3), np.uint8) for side in (self.exemplar_size, instance_size)
        )
        states = [network.template(templates[index : index + 1]) for index in range(MOST)]
        alone = [network.track(state, crops[index : index + 1]) for index, state in enumerate(states)]
        sizes, size = [1], MOST
        while size > 1:
            outputs = network.track([joined(list(parts)) for parts in zip(*states[:size], strict=True)], crops[:size])
            if all(_same(outputs[part], joined([each[part] for each in alone[:size]])) for part in (0, 1)):
                sizes.append(size)
            size //= 2
        return sorted(sizes, reverse=True)


def joined(parts: list[Array]) -> Array:
    """Return arrays of numpy or torch, joined along the first dimension."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else torch.cat(parts)


def _same(first: Array, second: Array) -> bool:
    return bool((first == second).all())
