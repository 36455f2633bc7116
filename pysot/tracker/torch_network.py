"""Networks of torch for trackers: folded copies in the precision and memory layout in which a device is fast."""

import logging
import math
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import fx, nn

from pysot.models.folding import fold_network
from pysot.models.packed_convolution import pack_convolutions, packed_copy
from pysot.models.siammask import Cells, MaskFeatures, SiamMask
from pysot.models.siamrpn import SiamRPN
from pysot.tracker.compiled import Match, compile_match, match_of
from pysot.tracker.crop_threads import CropThreads
from pysot.tracker.device_step import DeviceStep
from pysot.tracker.frame_maths import Array
from pysot.tracker.half_precision import convert_layers
from pysot.tracker.host_step import HostStep
from pysot.tracker.network import Outputs, State, Step
from pysot.tracker.settings import Execution
from pysot.utils.device import (
    check_precision,
    half_dtype,
    needs_pinned_memory,
    prefers_channels_last,
)
from pysot.utils.meter import free_memory

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeviceForm:
    """How a kind of device tracks.

    `maths`: type of the maths of a frame. `on_host`: the maths is computed by NumPy. `static`: see `Network`.
    `device_crops`: crops are cut on the device, see `DeviceStep`, unless TRACK.CROPS is host. `most`: crops of one call
    by precision, where more are slower per crop.
    """

    maths: torch.dtype
    on_host: bool
    static: bool
    device_crops: bool
    most: Mapping[str, int] = field(default_factory=dict)


# Batch-norm is folded everywhere; for the layout of channels see `prefers_channels_last`; weights are packed on a CPU.
# Measurements are in test/benchmarks/README.md.
FORMS = {
    "cpu": DeviceForm(torch.float64, on_host=True, static=False, device_crops=False, most={"fp32": 2, "bf16": 4}),
    "cuda": DeviceForm(torch.float64, on_host=False, static=True, device_crops=True),
    "npu": DeviceForm(torch.float32, on_host=False, static=True, device_crops=True),
}
_MATHS_BYTES = 2**20  # of a target, for arrays over its anchors
_CROP_BYTES = 80  # of a pixel of a crop that is cut on the device


@dataclass(frozen=True)
class Copy:
    """Folded copy of a model, the state of the model's weights at that time, and bytes that it needs.

    `match` is that of the network, or in a network with masks `match_masks`, compiled if that was asked for.
    `target_bytes` are those that a target keeps during a step, its template's kernels and the features of its mask,
    `call_bytes` about the most of a call per search crop.
    """

    network: SiamRPN
    match: Match
    version: tuple
    target_bytes: int
    call_bytes: int


_copies: "weakref.WeakKeyDictionary[nn.Module, dict[tuple[str, bool, bool], Copy]]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


class TorchNetwork:
    """Network of a tracker, see `Network`: a folded copy of a SiamRPN model, which all trackers of the model share.

    Changes of the model's weights are followed at the next `template` call, and so is a move to another device; only
    changes through `.data` of a parameter are not noticed. `crop_sizes` are the pixels per side of template and search
    crops that are to be fast; others work. `copy` is the folded copy in use, None before the first template. `most` are
    the crops of one call, None for what is fastest on the device. With `masks`, the model is a SiamMask.
    """

    def __init__(
        self,
        model: SiamRPN,
        execution: Execution | None = None,
        crop_sizes: tuple[int, int] = (127, 255),
        masks: bool = False,
    ) -> None:
        self.model = model
        self.masks = masks
        self.execution = execution or Execution()
        self.crop_sizes = crop_sizes
        self.copy: Copy | None = None
        self.most: int | None = None
        check_precision(self.device, self.execution.precision, key="TRACK.PRECISION")
        if self.execution.compiled:  # takes seconds, which should not be those of a frame
            self._shared_copy()

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return next(self.model.parameters()).device

    @property
    def static(self) -> bool:
        return self._form.static

    @property
    def _form(self) -> DeviceForm:
        return FORMS[self.device.type]

    @property
    def _crops_on_device(self) -> bool:
        crops = self.execution.crops
        return self._form.device_crops if crops == "auto" else crops == "device"

    @torch.inference_mode()
    def template(self, crops: np.ndarray) -> State:
        self.copy = self._shared_copy()
        return self.copy.network.kernels(self._images(self._upload(torch.from_numpy(crops))))

    @torch.inference_mode()
    def track(self, state: State, crops: np.ndarray) -> Outputs:
        cls, loc, features = self.match(state, self._upload(torch.from_numpy(crops)))
        return Outputs(cls.numpy(), loc.numpy(), features) if self._form.on_host else Outputs(cls, loc, features)

    def match(self, state: State, crops: torch.Tensor) -> Outputs:
        """Return float32 cls (N, 2A, S, S) and loc (N, 4A, S, S) of crops (N, H, H, 3) of any type on the device.

        The features for `refine` come in parts, as they are computed.
        """
        assert self.copy is not None  # a target starts first
        most = self.most or self._form.most.get(self.execution.precision, len(crops))
        parts = [slice(first, first + most) for first in range(0, len(crops), most)]
        outputs = [self.copy.match([rows[part] for rows in state], self._images(crops[part])) for part in parts]
        cls, loc, *features = zip(*outputs, strict=True)
        return Outputs(_joined(cls).float(), _joined(loc).float(), features[0] if features else None)

    @torch.inference_mode()
    def refine(self, features: Sequence[MaskFeatures], cells: Array) -> Array:
        assert self.copy is not None and isinstance(self.copy.network, SiamMask)
        rows_columns = torch.from_numpy(cells) if isinstance(cells, np.ndarray) else cells
        sizes = [len(part.correlation) for part in features]
        logits = [
            _refine(self.copy.network, part, rows)
            for part, rows in zip(features, rows_columns.split(sizes), strict=True)
        ]
        masks = _joined(logits).float().sigmoid()
        masks = masks.unflatten(1, (math.isqrt(masks.shape[1]), -1))
        return masks.numpy() if isinstance(cells, np.ndarray) else masks

    def make_step(self, slots: int, threads: CropThreads, last: Step | None) -> Step:
        if not self._crops_on_device:
            return last if isinstance(last, HostStep) else HostStep(self, slots, threads)
        if isinstance(last, DeviceStep) and last.device == self.device:
            return last
        return DeviceStep(self, self._form.maths, self.execution.graph == "auto", slots, threads)

    def array(self, values: np.ndarray) -> Array:
        return values if self._form.on_host else self._upload(torch.from_numpy(values).to(self._form.maths))

    def host(self, values: Array) -> np.ndarray:
        return values if self._form.on_host else values.cpu().numpy().astype(np.float64)

    def check_memory(self, count: int) -> None:
        copy, free = self._shared_copy(), free_memory(self.device)
        side, most = self.crop_sizes[1], self.most or self._form.most.get(self.execution.precision, count)
        pixel_bytes = _CROP_BYTES if self._crops_on_device else 3
        each, shared = pixel_bytes * side * side + copy.target_bytes + _MATHS_BYTES, most * copy.call_bytes
        if most >= count:
            each, shared = each + copy.call_bytes, 0
        if free is not None and shared + count * each > free:
            raise MemoryError(
                f"{count} targets with crops of {side} pixels need about {(shared + count * each) / 2**30:.1f} GiB on "
                f"{self.device} ({each / 2**20:.1f} MiB each), {free / 2**30:.1f} GiB are free: track at most "
                f"{max(1, (free - shared) // each)} in a batch"
            )

    def _shared_copy(self) -> Copy:
        return shared_copy(self.model, self.execution, self.crop_sizes, self.masks)

    def _images(self, crops: torch.Tensor) -> torch.Tensor:
        """Return crops (N, H, H, 3) as images (N, 3, H, H) in the type and memory format of the copy."""
        images = crops.to(_dtype(self.execution.precision))
        if _channels_last(self.device, self.execution.precision):
            return images.permute(0, 3, 1, 2)
        # An NPU transposes three dimensions, and refuses a view in the order of channels_last.
        return images.flatten(1, 2).transpose(1, 2).contiguous().unflatten(2, crops.shape[1:3])

    def _upload(self, values: torch.Tensor) -> torch.Tensor:
        values = values.pin_memory() if needs_pinned_memory(self.device) else values
        return values.to(self.device, non_blocking=True)


def shared_copy(model: SiamRPN, execution: Execution, crop_sizes: tuple[int, int], masks: bool = False) -> Copy:
    """Return the folded copy of a model; it is made anew when the model's weights have changed."""
    tensors = [*model.parameters(), *model.buffers()]
    version = tuple((tensor.data_ptr(), tensor._version) for tensor in tensors if not tensor.is_inference())
    with _lock:
        made, key = _copies.setdefault(model, {}), (execution.precision, execution.compiled, masks)
        if key not in made or made[key].version != version:
            made[key] = _make_copy(model, version, execution, crop_sizes, masks)
        return made[key]


@torch.inference_mode(False)
@torch.no_grad()
def _make_copy(model: SiamRPN, version: tuple, execution: Execution, crop_sizes: tuple[int, int], masks: bool) -> Copy:
    precision, device = execution.precision, next(model.parameters()).device
    network = _fold(model, precision)
    layout = torch.channels_last if _channels_last(device, precision) else torch.contiguous_format
    template, search = (
        torch.zeros(1, 3, side, side, dtype=_dtype(precision), device=device).contiguous(memory_format=layout)
        for side in crop_sizes
    )
    if device.type == "cpu":
        network.backbone = packed_copy(cast(fx.GraphModule, network.backbone), search)
        pack_convolutions(network, lambda: _kept(network, template, search, masks))
    match = match_of(network, masks)
    if execution.compiled:
        counts = sorted({1, FORMS[device.type].most.get(precision, 1)})
        match = compile_match(_fold(model, precision), network, template, search, counts, masks)
    target_bytes = sum(part.nbytes for part in _kept(network, template, search, masks))
    return Copy(network, match, version, target_bytes, _peak_bytes(network, search))


def _kept(network: SiamRPN, template: torch.Tensor, search: torch.Tensor, masks: bool) -> list[torch.Tensor]:
    """Call all parts of a network that a tracker uses; return what it keeps of a target until the end of a step."""
    kernels = network.kernels(template)
    _, _, *features = match_of(network, masks)(kernels, search)
    for part in features:
        _refine(cast(SiamMask, network), part, torch.zeros(1, 2, dtype=torch.int64, device=search.device))
    return [*kernels, *(level for part in features for level in part)]


def _refine(network: SiamMask, features: MaskFeatures, cells: torch.Tensor) -> torch.Tensor:
    """Return the logits (N, P * P) of the masks of one cell (N, 2) row, column of each search crop."""
    return network.refine(features, Cells(torch.arange(len(cells), device=cells.device), *cells.unbind(1)))


def _fold(model: SiamRPN, precision: str) -> SiamRPN:
    """Return a folded copy of a model in the type and memory format of `precision`."""
    network = fold_network(model).requires_grad_(False)
    if _dtype(precision) != torch.float32:
        convert_layers(network, _dtype(precision))
    if _channels_last(next(model.parameters()).device, precision):
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _joined(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    return maps[0] if len(maps) == 1 else torch.cat(tuple(maps))


def _dtype(precision: str) -> torch.dtype:
    return half_dtype(precision) or torch.float32


def _channels_last(device: torch.device, precision: str) -> bool:
    return prefers_channels_last(device, precision, torch.backends.cudnn.allow_tf32)


def _peak_bytes(network: SiamRPN, image: torch.Tensor) -> int:
    """Return about the most bytes of activations that a call needs at once: features, and the largest layer."""
    largest = 0

    def note(module: nn.Module, inputs: tuple, output: Any) -> None:
        nonlocal largest
        tensors = [value for value in (*inputs, output) if isinstance(value, torch.Tensor)]
        largest = max(largest, sum(value.nbytes for value in tensors))

    hooks = [module.register_forward_hook(note) for module in network.modules() if not list(module.children())]
    try:
        features = network.features(image)
    finally:
        for hook in hooks:
            hook.remove()
    levels = features if isinstance(features, list) else [features]
    return 2 * largest + 4 * sum(level.nbytes for level in levels)
