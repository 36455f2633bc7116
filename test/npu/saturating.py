"""Print as JSON how many tensors a step on each of several batches changes, or why bf16 is not available.

Executed by test_saturating.py on a simulated Ascend 910A.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch

from helpers import noisy_batches, small_trainer
from pysot.utils.device import choose_device


def state(trainer) -> list[torch.Tensor]:
    momenta = (entry["momentum_buffer"] for entry in trainer.optimizer.state.values())
    return [value.cpu() for value in (*trainer.model.state_dict().values(), *momenta)]


def main(*opts: str) -> None:
    loader = noisy_batches(3)
    loader[1]["search"][0, 0, 0, 0] = float("inf")
    loader[2]["label_loc_weight"] *= 1e30
    changed = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            trainer = small_trainer(Path(folder), choose_device("npu"), "TRAIN.PRINT_FREQ", 10, *opts, loader=loader)
        except ValueError as error:
            print(json.dumps(str(error)))
            return
        trainer.begin(1)
        for batch in (0, 1, 2, 0):
            before = state(trainer)
            trainer.step(loader[batch])
            changed.append(sum(not torch.equal(new, old) for new, old in zip(state(trainer), before, strict=True)))
    print(json.dumps(changed))


if __name__ == "__main__":
    main(*sys.argv[1:])
