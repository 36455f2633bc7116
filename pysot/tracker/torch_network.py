"""Networks of torch for trackers: folded copies in the precision and memory layout in which a device is fast."""

import logging
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from pysot.core.xcorr import xcorr_depthwise
from pysot.models.folding import fold_network
from pysot.models.head.rpn import DepthwiseXCorr
from pysot.models.packed_convolution import pack_convolutions
from pysot.models.siamrpn import SiamRPN
from pysot.tracker.frame_maths import Array
from pysot.tracker.network import State
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
    `most`: crops of one call by precision, where more are slower per crop.
    """

    maths: torch.dtype
    on_host: bool
    static: bool
    most: Mapping[str, int] = field(default_factory=dict)


# Batch-norm is folded everywhere; for the layout of channels see `prefers_channels_last`; weights are packed on a CPU.
# Measurements are in test/benchmarks/README.md.
FORMS = {
    "cpu": DeviceForm(torch.float64, on_host=True, static=False, most={"fp32": 2, "bf16": 4}),
    "cuda": DeviceForm(torch.float64, on_host=False, static=True),
    "npu": DeviceForm(torch.float32, on_host=False, static=True),
}
_MATHS_BYTES = 2**20  # of a target, for arrays over its anchors


@dataclass(frozen=True)
class Copy:
    """Folded copy of a model, the state of the model's weights at that time, and bytes that it needs.

    `template_bytes` are those of a template's kernels, `call_bytes` about the most of a call per search crop.
    """

    network: SiamRPN
    version: tuple
    template_bytes: int
    call_bytes: int


_copies: "weakref.WeakKeyDictionary[nn.Module, dict[str, Copy]]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


class TorchNetwork:
    """Network of a tracker, see `Network`: a folded copy of a SiamRPN model, which all trackers of the model share.

    Changes of the model's weights are followed at the next `template` call, and so is a move to another device; only
    changes through `.data` of a parameter are not noticed. `precision` is fp32 or bf16. `crop_sizes` are the pixels per
    side of template and search crops that are to be fast; others work.
    """

    def __init__(self, model: SiamRPN, precision: str = "fp32", crop_sizes: tuple[int, int] = (127, 255)):
        self.model = model
        self.precision = precision
        self.crop_sizes = crop_sizes
        check_precision(self.device, precision, key="TRACK.PRECISION")

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

    @torch.inference_mode()
    def template(self, crops: np.ndarray) -> State:
        self._copy = shared_copy(self.model, self.precision, self.crop_sizes)
        return self._copy.network.kernels(self._images(crops))

    @torch.inference_mode()
    def track(self, state: State, crops: np.ndarray) -> tuple[Array, Array]:
        count = len(crops)
        most = self._form.most.get(self.precision, count)
        if count > most:
            parts = [slice(first, first + most) for first in range(0, count, most)]
            outputs = [
                self._copy.network.match([rows[part] for rows in state], self._images(crops[part])) for part in parts
            ]
            cls, loc = (torch.cat(maps).float() for maps in zip(*outputs, strict=True))
        else:
            cls, loc = (output.float() for output in self._copy.network.match(list(state), self._images(crops)))
        return (cls.numpy(), loc.numpy()) if self._form.on_host else (cls, loc)

    def array(self, values: np.ndarray) -> Array:
        return values if self._form.on_host else self._upload(torch.from_numpy(values).to(self._form.maths))

    def host(self, values: Array) -> np.ndarray:
        return values if self._form.on_host else values.cpu().numpy().astype(np.float64)

    def check_memory(self, count: int) -> None:
        copy, free = shared_copy(self.model, self.precision, self.crop_sizes), free_memory(self.device)
        side, most = self.crop_sizes[1], self._form.most.get(self.precision, count)
        each, shared = 3 * side * side + copy.template_bytes + _MATHS_BYTES, most * copy.call_bytes
        if most >= count:
            each, shared = each + copy.call_bytes, 0
        if free is not None and shared + count * each > free:
            raise MemoryError(
                f"{count} targets with crops of {side} pixels need about {(shared + count * each) / 2**30:.1f} GiB on "
                f"{self.device} ({each / 2**20:.1f} MiB each), {free / 2**30:.1f} GiB are free: track at most "
                f"{max(1, (free - shared) // each)} in a batch"
            )

    def _images(self, crops: np.ndarray) -> torch.Tensor:
        """Return uint8 crops (N, H, H, 3) as images (N, 3, H, H) in the type of the copy, on its device."""
        dtype = _dtype(self.precision)
        if _channels_last(self.device, self.precision):
            return self._upload(torch.from_numpy(crops)).permute(0, 3, 1, 2).to(dtype)
        return self._upload(torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2)))).to(dtype)

    def _upload(self, values: torch.Tensor) -> torch.Tensor:
        values = values.pin_memory() if needs_pinned_memory(self.device) else values
        return values.to(self.device, non_blocking=True)


def shared_copy(model: SiamRPN, precision: str, crop_sizes: tuple[int, int]) -> Copy:
    """Return the folded copy of a model in `precision`; it is made anew when the model's weights have changed."""
    tensors = [*model.parameters(), *model.buffers()]
    version = tuple((tensor.data_ptr(), tensor._version) for tensor in tensors if not tensor.is_inference())
    with _lock:
        made = _copies.setdefault(model, {})
        if precision not in made or made[precision].version != version:
            made[precision] = _make_copy(model, version, precision, crop_sizes)
        return made[precision]


@torch.inference_mode(False)
@torch.no_grad()
def _make_copy(model: SiamRPN, version: tuple, precision: str, crop_sizes: tuple[int, int]) -> Copy:
    device, dtype = next(model.parameters()).device, _dtype(precision)
    network = fold_network(model).requires_grad_(False)
    if dtype != torch.float32:
        _convert(network, dtype)
    layout = torch.contiguous_format
    if _channels_last(device, precision):
        layout = torch.channels_last
        network = network.to(memory_format=layout)  # type: ignore[call-overload]
    template, search = (
        torch.zeros(1, 3, side, side, dtype=dtype, device=device).contiguous(memory_format=layout)
        for side in crop_sizes
    )
    if device.type == "cpu":
        pack_convolutions(network, lambda: network.match(network.kernels(template), search))
    template_bytes = sum(kernel.nbytes for kernel in network.kernels(template))
    return Copy(network, version, template_bytes, _peak_bytes(network, search))


def _convert(network: SiamRPN, dtype: torch.dtype) -> None:
    """Convert layers to `dtype`, except those after the correlation of a depth-wise head, and the correlation itself.

    These are little work, and the choice between anchors with similar confidences needs their digits.
    """
    kept: set[nn.Module] = set()
    for module in network.modules():
        if isinstance(module, DepthwiseXCorr):
            module.correlate = _correlate_in_fp32
            kept |= set(module.head.modules())
    for module in network.modules():
        if module not in kept and not list(module.children()):
            module.to(dtype)


def _correlate_in_fp32(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    return xcorr_depthwise(search.float(), kernel.float())


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


class OwnTemplateNetwork:
    """Network of a tracker for a model with the interface of the original package: template(z), then track(x).

    Its template is in the model, so that it can follow only one target. The precision is that of the model.
    """

    static = False

    def __init__(self, model: Any):
        self.model = model

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return next(self.model.parameters()).device

    @torch.inference_mode()
    def template(self, crops: np.ndarray) -> State:
        features = self.model.template(self._images(crops))
        return [] if features is None else [features]

    @torch.inference_mode()
    def track(self, state: State, crops: np.ndarray) -> tuple[Array, Array]:
        outputs = self.model.track(self._images(crops), *state)
        return tuple(outputs[name].float().cpu().numpy() for name in ("cls", "loc"))

    def array(self, values: np.ndarray) -> Array:
        return values

    def host(self, values: Array) -> np.ndarray:
        return values

    def check_memory(self, count: int) -> None:
        if count > 1:
            raise ValueError(
                f"{type(self.model).__name__} keeps the template itself, so it can follow one target, not {count}; "
                "derive it from pysot.models.siamrpn.SiamRPN"
            )

    def _images(self, crops: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).to(self.device).float()
