"""Networks of torch for trackers: folded copies in the precision and memory layout in which a device is fast."""

import logging
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from pysot.models.folding import fold_network
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
    """

    maths: torch.dtype
    on_host: bool
    static: bool


# Batch-norm is folded everywhere; for the layout of channels see `prefers_channels_last`. Measurements are in
# test/benchmarks/README.md.
FORMS = {
    "cpu": DeviceForm(torch.float64, on_host=True, static=False),
    "cuda": DeviceForm(torch.float64, on_host=False, static=True),
    "npu": DeviceForm(torch.float32, on_host=False, static=True),
}
_copies: "weakref.WeakKeyDictionary[nn.Module, dict[str, tuple[tuple, SiamRPN]]]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


class TorchNetwork:
    """Network of a tracker, see `Network`: a folded copy of a SiamRPN model, which all trackers of the model share.

    Changes of the model's weights are followed at the next `template` call, and so is a move to another device; only
    changes through `.data` of a parameter are not noticed. `precision` is fp32 or bf16.
    """

    def __init__(self, model: SiamRPN, precision: str = "fp32"):
        self.model = model
        self.precision = precision
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
        self._copy = shared_copy(self.model, self.precision)
        return self._copy.kernels(self._images(crops))

    @torch.inference_mode()
    def track(self, state: State, crops: np.ndarray) -> tuple[Array, Array]:
        cls, loc = (output.float() for output in self._copy.match(list(state), self._images(crops)))
        return (cls.numpy(), loc.numpy()) if self._form.on_host else (cls, loc)

    def array(self, values: np.ndarray) -> Array:
        return values if self._form.on_host else self._upload(torch.from_numpy(values).to(self._form.maths))

    def host(self, values: Array) -> np.ndarray:
        return values if self._form.on_host else values.cpu().numpy().astype(np.float64)

    def check_memory(self, count: int, size: int) -> None:
        blank = np.zeros((1, size, size, 3), np.uint8)
        peak = _peak_bytes(
            shared_copy(self.model, self.precision), lambda network: network.features(self._images(blank))
        )
        free = free_memory(self.device)
        if free is not None and count * peak > free:
            raise MemoryError(
                f"{count} targets with crops of {size} pixels need about {count * peak / 2**30:.1f} GiB on "
                f"{self.device} ({peak / 2**20:.0f} MiB each), {free / 2**30:.1f} GiB are free: track at most "
                f"{max(1, free // peak)} in a batch"
            )

    def _images(self, crops: np.ndarray) -> torch.Tensor:
        """Return uint8 crops (N, H, H, 3) as images (N, 3, H, H) in the type of the copy, on its device."""
        dtype = half_dtype(self.precision) or torch.float32
        if _channels_last(self.device, self.precision):
            return self._upload(torch.from_numpy(crops)).permute(0, 3, 1, 2).to(dtype)
        return self._upload(torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2)))).to(dtype)

    def _upload(self, values: torch.Tensor) -> torch.Tensor:
        values = values.pin_memory() if needs_pinned_memory(self.device) else values
        return values.to(self.device, non_blocking=True)


def shared_copy(model: SiamRPN, precision: str) -> SiamRPN:
    """Return the folded copy of a model in `precision`; it is made anew when the model's weights have changed."""
    tensors = [*model.parameters(), *model.buffers()]
    version = tuple((tensor.data_ptr(), tensor._version) for tensor in tensors if not tensor.is_inference())
    with _lock:
        made = _copies.setdefault(model, {})
        if precision not in made or made[precision][0] != version:
            made[precision] = version, _make_copy(model, precision)
        return made[precision][1]


def _make_copy(model: SiamRPN, precision: str) -> SiamRPN:
    device = next(model.parameters()).device
    with torch.inference_mode(False):
        copy = fold_network(model).requires_grad_(False).to(half_dtype(precision) or torch.float32)
        if _channels_last(device, precision):
            copy = copy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return copy


def _channels_last(device: torch.device, precision: str) -> bool:
    return prefers_channels_last(device, precision, torch.backends.cudnn.allow_tf32)


def _peak_bytes(network: SiamRPN, call: Any) -> int:
    """Return about the most bytes of activations that a call needs at once: features, and the largest layer."""
    largest = 0

    def note(module: nn.Module, inputs: tuple, output: Any) -> None:
        nonlocal largest
        tensors = [value for value in (*inputs, output) if isinstance(value, torch.Tensor)]
        largest = max(largest, sum(value.nbytes for value in tensors))

    hooks = [module.register_forward_hook(note) for module in network.modules() if not list(module.children())]
    try:
        with torch.inference_mode():
            features = call(network)
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

    def check_memory(self, count: int, size: int) -> None:
        if count > 1:
            raise ValueError(
                f"{type(self.model).__name__} keeps the template itself, so it can follow one target, not {count}; "
                "derive it from pysot.models.siamrpn.SiamRPN"
            )

    def _images(self, crops: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).to(self.device).float()
