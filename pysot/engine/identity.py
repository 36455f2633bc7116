"""Check that all processes of a training run are about to do the same."""

import hashlib
from collections.abc import Iterator

import torch
from torch import nn

from pysot.utils.distributed import gather_from_all


@torch.no_grad()
def weights_fingerprint(model: nn.Module) -> str:
    """Return a digest of the weights of a network and their names."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def check_agreement(plan: dict) -> None:
    """Compare the plans of all processes; every process calls this with its own plan.

    Raises ValueError in all processes if the plans differ, and names the difference.
    """
    plans = [dict(_flatten(rank_plan)) for rank_plan in gather_from_all(plan)]
    main_plan = plans[0]
    for rank, rank_plan in enumerate(plans):
        for name in {**main_plan, **rank_plan}:
            if main_plan.get(name) != rank_plan.get(name):
                raise ValueError(
                    f"the processes of this run do not agree on {name}: {main_plan.get(name)} in rank 0, "
                    f"{rank_plan.get(name)} in rank {rank}. All machines need the same command, config, training data, "
                    "initial weights and package versions"
                )


def _flatten(plan: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in plan.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", value
