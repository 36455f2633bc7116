"""Mixed precision: a context for the forward pass, a backward pass with the loss scale, and the update of that scale.

`TorchAmp` is torch.amp. `ApexAmp` is the Ascend build of apex, with which the published models were trained: level O1,
static scale 32, combined gradients.
"""

import contextlib
import importlib
from contextlib import AbstractContextManager

import torch
from torch import nn

from pysot.utils.device import asks_for_overflow, autocast, half_dtype, make_scaler, saw_overflow


class TorchAmp:
    """torch.amp in `precision` fp32, fp16 or bf16.

    `loss_scale` (fp16 only) is a number that never changes, or 'dynamic'.
    """

    def __init__(self, device: torch.device, precision: str, loss_scale: float | str):
        self.device = device
        self.precision = precision
        self.loss_scale = loss_scale
        self.scaler = make_scaler(device, precision, loss_scale)

    @property
    def compute_type(self) -> torch.dtype | None:
        """Type to which `autocast` casts the inputs of a convolution; None if it does not cast."""
        return half_dtype(self.precision)

    @property
    def reads_device(self) -> bool:
        """True if the host reads the device in each step, which a graph cannot contain."""
        return asks_for_overflow(self.scaler)

    @property
    def searches_scale(self) -> bool:
        """True if skipped steps are part of the search for a loss scale."""
        return self.scaler.is_enabled() and self.loss_scale == "dynamic"

    def prepare(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Return the optimizer to use. Called for every new optimizer, before DDP wraps the model."""
        return optimizer

    def autocast(self) -> AbstractContextManager:
        """Return the context of the forward pass."""
        return autocast(self.device, self.precision)

    def backward(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> bool:
        """Compute the unscaled gradients of `loss`.

        Returns True if the device reported an overflow; a device that does so saturates instead of returning infinity.
        """
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimizer)
        return saw_overflow(self.scaler)

    def update(self) -> None:
        """Adapt a dynamic scale at the end of a step; a static scale does not change."""
        if self.scaler.is_enabled():
            self.scaler.update(None if self.searches_scale else float(self.loss_scale))

    def abandon(self) -> None:
        """Forget that a step has begun; otherwise the scaler refuses the next one."""
        if self.scaler.is_enabled():
            self.scaler._per_optimizer_states.clear()

    def state_dict(self) -> dict:
        """Return the state that a resumed training run needs."""
        return self.scaler.state_dict()

    def load_state_dict(self, state: dict) -> None:
        """Continue with the dynamic scale of a checkpoint; a static scale is taken from the config."""
        if state and self.searches_scale:
            self.scaler.load_state_dict({**self.scaler.state_dict(), **state})


class ApexAmp:
    """Ascend's apex at level O1.

    Raises ImportError if apex is not installed. Apex patches torch functions, which cast on their own (`compute_type`
    is None), and reads the device in each step.
    """

    compute_type = None
    reads_device = True

    def __init__(self, loss_scale: float | str):
        try:
            self.amp = importlib.import_module("apex.amp")
        except ImportError as error:
            raise ImportError(
                f"NPU.APEX is true, but apex cannot be imported ({error}); install the Ascend build of apex, "
                "or set NPU.APEX to false to use torch.amp, which needs no other package"
            ) from error
        self.loss_scale = loss_scale
        self.searches_scale = loss_scale == "dynamic"
        self._state: dict = {}

    def prepare(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Return the optimizer to use, see `TorchAmp.prepare`. Level O1 patches torch functions, not the model."""
        _, optimizer = self.amp.initialize(
            model, optimizer, opt_level="O1", loss_scale=self.loss_scale, combine_grad=True
        )
        if self._state:
            self.amp.load_state_dict(self._state)
            self._state = {}
        return optimizer

    def autocast(self) -> AbstractContextManager:
        """Return an empty context, because the torch functions are patched."""
        return contextlib.nullcontext()

    def backward(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> bool:
        """Compute the gradients of `loss`, see `TorchAmp.backward`.

        After an overflow apex itself skips the next optimizer.step().
        """
        with self.amp.scale_loss(loss, optimizer) as scaled:
            scaled.backward()
        return False

    def update(self) -> None:
        """Do nothing: apex updates its scale in `backward`."""

    def state_dict(self) -> dict:
        """Return the state that a resumed training run needs."""
        return self.amp.state_dict()

    def load_state_dict(self, state: dict) -> None:
        """Store the state until `prepare`: apex accepts it only after its initialize."""
        self._state = state
