"""Step of a tracker whose crops are cut by OpenCV on the host."""

from collections.abc import Callable, Sequence

import numpy as np

from pysot.tracker import frame_maths as maths
from pysot.tracker.crop_threads import CropThreads
from pysot.tracker.network import Found, Group, Network, Outputs, Timer, untimed
from pysot.tracker.settings import TrackSettings
from pysot.tracker.templates import Templates


class HostStep:
    """See `Step`."""

    overlaps = False

    def __init__(self, network: Network, slots: int, threads: CropThreads) -> None:
        self.network, self.slots, self.threads = network, slots, threads
        self.templates = Templates(network, slots, network.static)
        self.grids = Grids(network)

    @property
    def static(self) -> bool:
        return self.network.static

    def start(self, slots: Sequence[int], crops: np.ndarray, is_first: bool) -> None:
        self.templates.put(slots, crops, is_first)

    def search(self, group: Group, timer: Timer | None) -> Callable[[], Found]:
        s, images, part = group.settings, group.images, timer or untimed
        # A static network always gets all slots, or a single lost target.
        all_slots = self.static and group.instance_size == s.instance_size
        rows = list(range(self.slots)) if all_slots else list(images)
        with part("crop"):
            sides = maths.search_sides(group.targets[rows, 2:], s, group.instance_size)
            crops = self.threads.cut(
                [images.get(slot) for slot in rows],
                group.targets[rows],
                sides,
                group.colours[rows],
                group.instance_size,
            )
        with part("network"):
            outputs = self.network.track(self.templates.rows(rows), crops)
        grid = self.grids.get(s, group.instance_size)
        sizes = np.array([images[slot].shape[1::-1] if slot in images else (1, 1) for slot in rows], np.float64)
        targets = np.concatenate([group.targets[rows], sizes], axis=1)
        found = find_in_outputs(self.network, outputs, grid, targets, s, group.instance_size, timer)
        order = [rows.index(slot) for slot in images]
        result = found.take(order)
        return lambda: result


class Grids:
    """Grids of search crops, in the type of a network's maths."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._made: dict[tuple, maths.Grid] = {}

    def get(self, s: TrackSettings, instance_size: int) -> maths.Grid:
        """Return the grid of settings and a size of crops; it is made once."""
        key = (instance_size, s.exemplar_size, s.base_size, s.stride, s.ratios, s.scales, s.points)
        if key not in self._made:
            self._made[key] = maths.Grid(*map(self.network.array, maths.make_grid(s, instance_size)))
        return self._made[key]


def find_in_outputs(
    network: Network,
    outputs: Outputs,
    grid: maths.Grid,
    targets: np.ndarray,
    settings: TrackSettings,
    instance_size: int,
    timer: Timer | None = None,
) -> Found:
    """Return what the outputs of a network show of targets (K, 6), see `frame_maths.find_targets`; one row for each.

    Raises ValueError if the outputs do not fit the grid.
    """
    part = timer or untimed
    maths.check_grid(outputs.cls, grid, instance_size)
    with part("decode"), np.errstate(invalid="ignore"):
        before = network.array(targets)
        found, anchors = maths.find_targets(outputs.cls, outputs.loc, grid, before, settings)
        rows = network.host(found)
    if not network.masks:
        return Found(rows)
    cells = maths.anchor_cells(anchors, settings, instance_size)
    with part("network"):
        masks = network.refine(outputs.features, cells)
    with part("decode"):
        squares = maths.mask_squares(before, cells, settings, instance_size)
        return Found(rows, network.host(masks).astype(np.float32, copy=False), network.host(squares))
