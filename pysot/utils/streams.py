"""Copies between host and device that go on while the device computes."""

import torch

from pysot.utils.device import device_module, needs_pinned_memory
from pysot.utils.packed_tensors import Batch, PackedTensors


class CopyStream:
    """Copies to a device in parallel with its computations; computations queued after a copy wait for it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        module = device_module(device)
        self.stream = None if module is None else module.Stream(device)

    def copy(self, tensors: Batch) -> Batch:
        """Return the tensors on the device. Packed tensors are one copy, others one each."""
        if self.stream is None:
            return tensors
        module = device_module(self.device)
        with module.stream(self.stream):
            if isinstance(tensors, PackedTensors):
                copies = tensors.to(self.device, non_blocking=True)
                memory = [copies.buffer]
            else:
                copies = {name: value.to(self.device, non_blocking=True) for name, value in tensors.items()}
                memory = list(copies.values())
        current = module.current_stream(self.device)
        current.wait_stream(self.stream)
        for each in memory:
            each.record_stream(current)  # otherwise the next copy could reuse its memory too early
        return copies


class Download:
    """Copy of a tensor to the host. Work queued on the device afterwards may change the tensor."""

    def __init__(self, values: torch.Tensor) -> None:
        module = device_module(values.device)
        if module is None:
            self._values, self._done = values.clone(), None
            return
        self._values = torch.empty(values.shape, dtype=values.dtype)
        if needs_pinned_memory(values.device):
            self._values = self._values.pin_memory()
        self._values.copy_(values, non_blocking=True)
        self._done = module.Event()
        self._done.record(module.current_stream(values.device))  # by default, it is a stream of the current device

    def wait(self) -> torch.Tensor:
        """Return the tensor on the host."""
        if self._done is not None:
            self._done.synchronize()
        return self._values
