"""Mixed precision behind a few calls: a context for the forward pass, a backward pass with the loss scale, and what that scale does after a step.

`TorchAmp` is torch.amp. `ApexAmp` is the Ascend build of apex, with which the published runs were made: level O1, static scale 32, combined gradients.
"""

import contextlib
import importlib
from contextlib import AbstractContextManager

import torch
from torch import nn

from pysot.utils.device import autocast, half_type, make_scaler, saw_overflow


class TorchAmp:
    """torch.amp in `precision` fp32, fp16 or bf16; `loss_scale` (fp16 only) is a number, kept for ever, or 'dynamic'."""

    def __init__(self, device: torch.device, precision: str, loss_scale: float | str):
        self.device, self.precision, self.loss_scale = device, precision, loss_scale
        self.scaler = make_scaler(device, precision, loss_scale)

    @property
    def compute_type(self) -> torch.dtype | None:
        """The type to which `autocast` casts what a convolution takes; None where it casts nothing."""
        return half_type(self.precision)

    @property
    def searches(self) -> bool:
        """Whether skipped steps are part of finding a scale that fits."""
        return self.scaler.is_enabled() and self.loss_scale == "dynamic"

    def prepare(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Called whenever the optimizer is made anew, before DDP wraps the model; returns the optimizer to use."""
        return optimizer

    def autocast(self) -> AbstractContextManager:
        """The context of the forward pass."""
        return autocast(self.device, self.precision)

    def backward(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> bool:
        """Leave unscaled gradients of `loss`. True where the device, which then saturates instead of giving infinities, has seen an overflow."""
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimizer)
        return saw_overflow(self.scaler)

    def update(self) -> None:
        """End of a step: a dynamic scale moves, a static one stays."""
        if self.scaler.is_enabled():
            self.scaler.update(None if self.searches else float(self.loss_scale))

    def state_dict(self) -> dict:
        """What a resumed run needs."""
        return self.scaler.state_dict()

    def load_state_dict(self, state: dict) -> None:
        """Go on with the scale of a checkpoint; a static scale is the config's."""
        if state and self.searches:
            self.scaler.load_state_dict({**self.scaler.state_dict(), **state})


class ApexAmp:
    """Ascend's apex at level O1. Raises ImportError where it is not installed. What its patched functions cast is left to them (`compute_type`)."""

    compute_type = None

    def __init__(self, loss_scale: float | str):
        try:
            self.amp = importlib.import_module("apex.amp")
        except ImportError as error:
            raise ImportError(
                f"NPU.APEX is true, but apex cannot be imported ({error}); install the Ascend build of apex, or set NPU.APEX to false for "
                "torch.amp, which needs nothing more"
            ) from error
        self.loss_scale = loss_scale
        self.searches = loss_scale == "dynamic"
        self._state: dict = {}

    def prepare(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """As `TorchAmp.prepare`. Level O1 leaves the model as it is and patches torch's functions."""
        _, optimizer = self.amp.initialize(
            model, optimizer, opt_level="O1", loss_scale=self.loss_scale, combine_grad=True
        )
        if self._state:
            self.amp.load_state_dict(self._state)
            self._state = {}
        return optimizer

    def autocast(self) -> AbstractContextManager:
        """Nothing to enter: torch's functions are patched."""
        return contextlib.nullcontext()

    def backward(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> bool:
        """As `TorchAmp.backward`; apex itself skips the next optimizer.step() after an overflow."""
        with self.amp.scale_loss(loss, optimizer) as scaled:
            scaled.backward()
        return False

    def update(self) -> None:
        """apex has moved its scale in `backward`."""

    def state_dict(self) -> dict:
        """What a resumed run needs."""
        return self.amp.state_dict()

    def load_state_dict(self, state: dict) -> None:
        """Kept until `prepare`: apex takes it after its initialize."""
        self._state = state
