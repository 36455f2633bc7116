"""What a run is about to do, as all of its processes must see it."""

import hashlib

import torch
from torch import nn

from pysot.utils.distributed import from_all


@torch.no_grad()
def fingerprint(model: nn.Module) -> str:
    """A word for the weights of a network and their names."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def agree(plan: dict) -> None:
    """Called by every process with what it is about to do. Raises ValueError in all of them that says what differs."""
    plans = [dict(_flat(other)) for other in from_all(plan)]
    for rank, other in enumerate(plans):
        for name in {**plans[0], **other}:
            if plans[0].get(name) != other.get(name):
                raise ValueError(
                    f"the processes of this run do not agree on {name}: {plans[0].get(name)} in rank 0, {other.get(name)} in rank {rank}. All "
                    "machines need the same command, config, training data, start weights and versions of the packages"
                )


def _flat(plan: dict, before: str = ""):
    for name, value in plan.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name} ")
        else:
            yield f"{before}{name}", value
