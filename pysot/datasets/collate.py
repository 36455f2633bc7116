"""Batch collation that copies each array once.

In a loader process the copy goes straight to shared memory, so sending the batch needs no further copy.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import get_worker_info


def collate(items: Sequence[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    """Stack the arrays of the items by their names."""
    in_worker = get_worker_info() is not None
    batch = {}
    for name, first in items[0].items():
        stacked = torch.empty((len(items), *first.shape), dtype=torch.from_numpy(first).dtype)
        if in_worker:
            stacked.share_memory_()
        np.stack([item[name] for item in items], out=stacked.numpy())
        batch[name] = stacked
    return batch
