"""Data-parallel training by DistributedDataParallel (DDP)."""

import inspect
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pysot.engine.optimizer import flat_tensors

# Batch-norm statistics stay per rank, as published. torch 2.13 renamed the option.
_OPTIONS = inspect.signature(DistributedDataParallel).parameters
_SYNC_BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in _OPTIONS else "broadcast_buffers"
_NO_BUFFERS: dict[str, Any] = {_SYNC_BUFFERS: False}
_NEVER = 2**31 - 1  # steps


def wrap_model(model: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device, world_size: int) -> nn.Module:
    """Return `model` wrapped in DDP; with one process the model itself.

    DDP synchronises the parameters that require gradients when it wraps the model. Wrap again after an unfreeze.
    """
    if world_size == 1:
        return model
    ids = None if device.type == "cpu" else [device.index]
    # An optimizer with flattened gradients determines their layout itself.
    as_views = flat_tensors(optimizer) is None
    network = DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=as_views, **_NO_BUFFERS)
    # After ten steps DDP times every hundredth one, and waits for its events in the next one. If it is the capture of a
    # graph, they cannot be waited for.
    network._set_ddp_runtime_logging_sample_rate(_NEVER)
    return network
