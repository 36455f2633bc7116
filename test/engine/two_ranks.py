"""Train a tiny network on the half batches of a rank, with frozen batch-norm, across the unfreeze epoch.

Executed by test_distributed.py under torchrun.
"""

import json
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from fake_graphs import Clock, FakeModule, use_fake_graphs
from helpers import Batches, noisy_batches, small_config, small_model
from pysot.engine import step_graph
from pysot.engine.engine_builder import build_freeze_plan, build_lr_schedule, build_optimizer, build_trainer
from pysot.engine.optimizer import FreezePlan, clip_gradients
from pysot.utils.device import choose_device
from pysot.utils.distributed import Rank, find_rank, process_group

TRAIN_OPTS = ["TRAIN.EPOCH", 3, "TRAIN.BATCH_SIZE", 2, "TRAIN.BASE_LR", 0.001]


class FrozenNorms(FreezePlan):
    """Freeze plan with all batch-norm layers in eval mode, so that half batches add up to the batch."""

    def apply(self, model, epoch):
        super().apply(model, epoch)
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


class Halves(Batches):
    """Half batches of a rank."""

    def __init__(self, rank: int, stage: str):
        super().__init__(
            {k: v[2 * rank : 2 * rank + 2] for k, v in batch.items()} for batch in noisy_batches(2, 4, stage)
        )


def start(folder: str, reduce: str, clip: str, *opts: str, stage: str = ""):
    """Return config and network of the `small_config` of a stage."""
    own_opts = [*TRAIN_OPTS, "TRAIN.SNAPSHOT_DIR", folder, "TRAIN.GRAD_REDUCE", reduce, "TRAIN.GRAD_CLIP", clip, *opts]
    layers = [] if stage else ["BACKBONE.TRAIN_LAYERS", "[layer4, layer5]"]
    config = small_config(stage, "BACKBONE.TRAIN_EPOCH", 1, *layers, *own_opts, for_training=True)
    torch.manual_seed(5)
    return config, small_model(config, stage)


def train_one_process(folder: str, reduce: str, clip: str, stage: str = "") -> dict:
    """Return the reference weights: one process adds (or averages) the gradients of both half batches and steps."""
    config, model = start(folder, reduce, clip, stage=stage)
    plan = FrozenNorms(*vars(build_freeze_plan(config)).values())
    schedule = build_lr_schedule(config)
    halves = Halves(0, stage), Halves(1, stage)
    optimizer = None
    for epoch in range(config.TRAIN.EPOCH):
        plan.apply(model, epoch)
        if optimizer is None or plan.changes_at(epoch):
            optimizer = build_optimizer(model, config)
        schedule.apply(optimizer, epoch)
        for first, second in zip(*halves, strict=True):
            optimizer.zero_grad()
            share = 1.0 if reduce == "sum" else 0.5
            for half in (first, second):
                (model(half)["total_loss"] * share).backward()
            clip_gradients(optimizer, config.TRAIN.GRAD_CLIP)
            optimizer.step()
    return model.state_dict()


def main(device_name: str, *cases: str) -> None:
    """Train each case on this rank, one after the other, and print what `train` returns as JSON."""
    rank = find_rank()
    device = choose_device(device_name, local_rank=rank.local_rank)
    with process_group(rank, device):
        for number, case in enumerate(cases):
            print(
                json.dumps({"case": number, "rank": rank.index, **train(rank, device, **json.loads(case))}), flush=True
            )
    # They could abort the process while Python exits.
    assert "pt_gloo_runloop" not in thread_names(), "threads of the process group remain after its end"


def thread_names() -> list[str]:
    """Return the names of this process's threads, those of C++ included; none where the system does not tell."""
    return [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]


def train(
    rank: Rank,
    device: torch.device,
    folder: str,
    reduce: str = "sum",
    clip: str = "10",
    bad_rank: int = -1,
    saturating: bool = False,
    graph: bool = False,
    repeats: int = 1,
    opts: tuple[str, ...] = (),
    stage: str = "",
) -> dict[str, float]:
    """Return the number of skipped steps, the sum of the absolute weights and the number of repeated graphs.

    With `graph` the CPU has graphs, and steps as graphs are the faster ones. The gradients of the first batch of
    `bad_rank` overflow. A saturating chip turns NaN into 0 and infinity into the largest number.
    """
    config, model = start(folder, reduce, clip, *opts, stage=stage)
    batches = Halves(rank.index, stage)
    batches.extend(batches * (repeats - 1))
    if saturating:
        for parameter in model.parameters():
            parameter.register_hook(lambda gradient: gradient.nan_to_num(0.0))
    if rank.index == bad_rank and saturating:  # the gradients of NaN become 0
        batches[0]["search"][0, 0, 0, 0] = float("nan")
    elif rank.index == bad_rank:
        batches[0]["label_loc_weight"] *= 1e30
    with pytest.MonkeyPatch.context() as patch:
        if graph:
            fake = use_fake_graphs(patch)
            patch.setattr(step_graph, "time", Clock(fake, 1.0, 2.0))
        trainer = build_trainer(config, model, batches, device, rank)
        trainer.freeze = FrozenNorms(*vars(trainer.freeze).values())
        results = trainer.run()
    weights = sum(p.double().abs().sum().item() for p in model.cpu().state_dict().values())
    return {"skipped": results["skipped"], "weights": weights, "replays": FakeModule.replays if graph else 0}


if __name__ == "__main__":
    main(*sys.argv[1:])
