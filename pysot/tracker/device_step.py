"""Step of a tracker that an accelerator computes without the host: crops, network and decoding, as one graph."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from pysot.tracker import frame_maths as maths
from pysot.tracker.crop_threads import CropThreads
from pysot.tracker.device_crops import crop_squares
from pysot.tracker.frame_upload import FrameUpload
from pysot.tracker.network import Found, Group, State, Timer, untimed
from pysot.tracker.settings import TrackSettings
from pysot.tracker.templates import Templates
from pysot.utils.graphs import CaptureError, Graphs, find_graphs
from pysot.utils.streams import Download

if TYPE_CHECKING:
    from pysot.tracker.torch_network import TorchNetwork

logger = logging.getLogger(__name__)
_MOST_SEARCHES = 4  # of which each has a graph; the one that was not used for the longest time ends


class DeviceStep:
    """See `Step`. The frames are uploaded once, as bytes, and one copy brings the result back.

    All slots are computed in each step, so that no shape changes; lost targets one by one. The targets stay on the
    device, so that a step may be queued before the result of the one before is known. With `graphs`, a step is captured
    as a graph at its first use; one that cannot be captured is computed operator by operator, which is logged.
    """

    static = True
    overlaps = True

    def __init__(
        self, network: "TorchNetwork", dtype: torch.dtype, graphs: bool, slots: int, threads: CropThreads
    ) -> None:
        self.network, self.slots, self.device = network, slots, network.device
        self.templates = Templates(network, slots, static=True)
        self._dtype = dtype
        self._upload = FrameUpload(self.device, dtype, slots, threads)
        self._targets = torch.ones(slots, 4, dtype=dtype, device=self.device)
        self._lost_target = torch.ones(1, 4, dtype=dtype, device=self.device)
        self._graphs = find_graphs(self.device) if graphs else None
        self._searches: OrderedDict[tuple, _Search] = OrderedDict()
        self._version: tuple = ()  # of weights and buffers that the searches use

    def start(self, slots: Sequence[int], crops: np.ndarray, is_first: bool) -> None:
        self.templates.put(slots, crops, is_first)

    @torch.inference_mode()
    def search(self, group: Group, timer: Timer | None) -> Callable[[], Found]:
        all_slots = group.instance_size == group.settings.instance_size
        rows = list(range(self.slots)) if all_slots else list(group.images)
        staging = self._upload.send(rows, group)
        search = self._prepare(group, len(rows) if all_slots else 0)
        search.run(self.templates.rows(rows), timer)
        download = Download(search.found)
        download_masks = None if search.masks is None else Download(search.masks)

        def wait() -> Found:
            found = download.wait().numpy().astype(np.float64)
            masks = None if download_masks is None else download_masks.wait().numpy()
            self._upload.release(staging)
            order = [rows.index(slot) for slot in group.images]
            return Found(found[order]) if masks is None else Found(found[order, :5], masks[order], found[order, 5:])

        return wait

    def _prepare(self, group: Group, count: int) -> "_Search":
        """Return the search of `count` slots, or of a lost target if it is 0."""
        upload, copy = self._upload, self.network.copy
        assert upload.numbers is not None and upload.places is not None and upload.pixels is not None
        version = (copy, upload.pixels, self.templates.state)
        if tuple(map(id, version)) != tuple(map(id, self._version)):
            self._searches.clear()
            self._version = version
        key = (group.settings, group.instance_size, count)
        if key not in self._searches:
            targets = self._targets if count else self._lost_target
            inputs = (upload.numbers[: len(targets)], upload.places[: len(targets)], upload.pixels, targets)
            grid = maths.Grid(
                *(
                    torch.from_numpy(array).to(self.device, self._dtype)
                    for array in maths.make_grid(group.settings, group.instance_size)
                )
            )
            self._searches[key] = _Search(
                self.network, group.settings, group.instance_size, grid, inputs, self._graphs, has_fixed_state=count > 0
            )
            if len(self._searches) > _MOST_SEARCHES:
                self._searches.popitem(last=False)
        self._searches.move_to_end(key)
        return self._searches[key]


class _Search:
    """Search of N targets in crops of one size, over tensors that stay where they are.

    `inputs` are those of a FrameUpload, and the targets (N, 4) that the step before has found. `found` (N, 5) are the
    rows of `frame_maths.find_targets`; in a network with masks `masks` are (N, P, P), and `found` (N, 9) with
    `frame_maths.mask_squares`. `has_fixed_state`: the state, too, stays where it is.
    """

    def __init__(
        self,
        network: "TorchNetwork",
        settings: TrackSettings,
        instance_size: int,
        grid: maths.Grid,
        inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
        graphs: Graphs | None,
        has_fixed_state: bool,
    ) -> None:
        self.network, self.settings, self.instance_size, self.grid = network, settings, instance_size, grid
        self.numbers, self.places, self.pixels, self.targets = inputs
        self.found = self.targets.new_zeros(len(self.targets), 9 if network.masks else 5)
        size = (len(self.targets), settings.mask_size, settings.mask_size)
        self.masks = self.targets.new_zeros(size, dtype=torch.float32) if network.masks else None
        self._graphs = graphs
        self._has_fixed_state = has_fixed_state
        self._state: State | None = None
        self._replay: Callable[[], None] | None = None

    def run(self, state: State, timer: Timer | None) -> None:
        """Compute `found` and move the targets there; with a timer, operator by operator."""
        if self._graphs is not None and timer is None and self._replay is None:
            self._capture(state, self._graphs)
        if self._replay is None or timer is not None:
            self._compute(state, timer or untimed)
            return
        assert self._state is not None
        for own, given in zip(self._state, state, strict=True):
            if own.data_ptr() != given.data_ptr():
                own.copy_(given)
        self._replay()

    def _capture(self, state: State, graphs: Graphs) -> None:
        self._state = state if self._has_fixed_state else [array.clone() for array in state]
        targets = self.targets.clone()
        try:
            own_state = self._state
            self._replay = graphs.capture(lambda: self._compute(own_state, untimed))
        except CaptureError as error:
            self._graphs = None
            logger.warning(
                "the step of %d targets with crops of %d pixels cannot be captured as a graph (%s): it is computed "
                "operator by operator, as with TRACK.GRAPH off",
                len(targets),
                self.instance_size,
                str(error).partition("\n")[0],
            )
        self.targets.copy_(targets)

    def _compute(self, state: State, timer: Timer) -> None:
        s, sizes = self.settings, self.places[:, 1:3].to(self.targets.dtype)
        targets = torch.where(self.numbers[:, :1] > 0, self.targets, self.numbers[:, 1:5])
        with timer("crop"):
            sides = maths.search_sides(targets[:, 2:], s, self.instance_size)
            colours = self.numbers[:, 5:]
            crops = crop_squares(self.pixels, self.places, targets[:, :2], sides, colours, self.instance_size)
        with timer("network"):
            cls, loc, features = self.network.match(state, crops)
        maths.check_grid(cls, self.grid, self.instance_size)
        with timer("decode"):
            found, anchors = maths.find_targets(cls, loc, self.grid, torch.cat([targets, sizes], 1), s)
            is_usable = found.isfinite().all(1, keepdim=True) & (self.places[:, 3:] > 0)
            self.targets.copy_(torch.where(is_usable, found[:, :4], targets))
        if self.masks is not None:
            cells = maths.anchor_cells(anchors, s, self.instance_size)
            with timer("network"):
                self.masks.copy_(self.network.refine(features, cells))
            found = torch.cat([found, maths.mask_squares(targets, cells, s, self.instance_size)], 1)
        self.found.copy_(found)
