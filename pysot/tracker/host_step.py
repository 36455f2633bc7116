"""Step of a tracker whose crops are cut by OpenCV on the host."""

from collections.abc import Callable, Sequence

import numpy as np

from pysot.tracker import frame_maths as maths
from pysot.tracker.crop_threads import CropThreads
from pysot.tracker.network import Found, Group, Network, Timer, untimed
from pysot.tracker.settings import TrackSettings
from pysot.tracker.templates import Templates


class HostStep:
    """See `Step`."""

    overlaps = False

    def __init__(self, network: Network, slots: int, threads: CropThreads) -> None:
        self.network, self.slots, self.threads = network, slots, threads
        self.templates = Templates(network, slots, network.static)
        self._grids: dict[tuple, maths.Grid] = {}

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
            cls, loc, features = self.network.track(self.templates.rows(rows), crops)
        grid = self._grid(s, group.instance_size)
        maths.check_grid(cls, grid, group.instance_size)
        sizes = np.array([images[slot].shape[1::-1] if slot in images else (1, 1) for slot in rows], np.float64)
        with part("decode"), np.errstate(invalid="ignore"):
            targets = self.network.array(np.concatenate([group.targets[rows], sizes], axis=1))
            found, anchors = maths.find_targets(cls, loc, grid, targets, s)
            results = [self.network.host(found)]
        if self.network.masks:
            cells = maths.anchor_cells(anchors, s, group.instance_size)
            with part("network"):
                masks = self.network.refine(features, cells)
            with part("decode"):
                squares = maths.mask_squares(targets, cells, s, group.instance_size)
                results += [self.network.host(masks).astype(np.float32, copy=False), self.network.host(squares)]
        order = [rows.index(slot) for slot in images]
        result = Found(*(values[order] for values in results))
        return lambda: result

    def _grid(self, s: TrackSettings, instance_size: int) -> maths.Grid:
        key = (instance_size, s.exemplar_size, s.base_size, s.stride, s.ratios, s.scales, s.points)
        if key not in self._grids:
            self._grids[key] = maths.Grid(*map(self.network.array, maths.make_grid(s, instance_size)))
        return self._grids[key]
