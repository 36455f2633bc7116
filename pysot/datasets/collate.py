"""Items to a batch, with one copy of each array: into shared memory where a loader process does it, so that none is needed to send it."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import get_worker_info


def collate(items: Sequence[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    """The arrays of the items, stacked by their names."""
    shared, batch = get_worker_info() is not None, {}
    for name, first in items[0].items():
        stacked = torch.empty((len(items), *first.shape), dtype=torch.from_numpy(first).dtype)
        if shared:
            stacked.share_memory_()
        np.stack([item[name] for item in items], out=stacked.numpy())
        batch[name] = stacked
    return batch
