"""Small training runs on a CPU, for tests of the training loop."""

import torch

from helpers import noisy_batches, small_config
from pysot.engine.engine_builder import build_trainer
from pysot.models.model_builder import build_model
from pysot.utils.distributed import Rank

CPU = torch.device("cpu")


def trainer(folder, *opts, steps: int = 2, loader=None, seed: int = 5, stage: str = "", **more):
    """Return a trainer of the `small_config` of a stage."""
    defaults = ["TRAIN.SNAPSHOT_DIR", str(folder), "TRAIN.BATCH_SIZE", 2, "TRAIN.PRINT_FREQ", 1]
    config = small_config(stage, *defaults, *opts, for_training=True)
    torch.manual_seed(seed)
    model = build_model(config)
    batches = noisy_batches(steps, stage=stage) if loader is None else loader
    return build_trainer(config, model, batches, CPU, Rank(), **more)


def weights(run) -> dict:
    return {k: v.clone() for k, v in run.model.state_dict().items()}


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(a[k], b[k]) for k in a)
