"""Print as JSON which operators a training step and a tracking step of a config send to the NPU, and their host reads.

Executed by test_operators.py.
"""

import collections
import ctypes
import json
import sys

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from helpers import Batches, add_masks, add_points, experiment, synthetic_batch, synthetic_image
from pysot.benchmarks.networks import zero_shortcuts
from pysot.core.config import load_config
from pysot.engine.engine_builder import build_trainer
from pysot.models.model_builder import build_model
from pysot.tracker.tracker_builder import build_batch_tracker
from pysot.utils.device_builder import open_device
from pysot.utils.distributed import Rank, find_rank, process_group


def is_channels_last(tensor: torch.Tensor) -> bool:
    return tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def host_reads() -> tuple[int, int]:
    """Return the numbers of copies to the host and of waits for the device since the start of the process.

    The simulator counts them, inside operators too; a real NPU gives 0.
    """
    try:
        runtime = ctypes.CDLL("libascendcl.so")
        return runtime.npu_sim_copies_to_host(), runtime.npu_sim_waits()
    except (OSError, AttributeError):
        return 0, 0


class Recorder(TorchDispatchMode):
    """Counts operators that have a tensor on the NPU.

    `refused` names operators with what an NPU refuses: float64 and channels_last. Boolean indices, which are slow, are
    counted separately. `reads` are the copies to the host and the waits for the device while the recorder is active.
    """

    def __init__(self):
        super().__init__()
        self.operators = collections.Counter()
        self.refused = set()

    def __enter__(self):
        self.reads = host_reads()
        return super().__enter__()

    def __exit__(self, *error):
        self.reads = [now - then for now, then in zip(host_reads(), self.reads, strict=True)]
        return super().__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, result))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.device.type == "npu"]
        if tensors:
            name = str(function).removesuffix(".default")
            boolean = name.startswith("aten.index") and any(
                t.dtype in (torch.bool, torch.uint8) for t in tree_leaves(args[1]) if isinstance(t, torch.Tensor)
            )
            self.operators[f"{name} with bool" if boolean else name] += 1
            if any(t.dtype == torch.float64 for t in tensors) or any(leaf is torch.float64 for leaf in leaves):
                self.refused.add(f"{name}: float64")
            if any(leaf is torch.channels_last for leaf in leaves) or any(map(is_channels_last, tensors)):
                self.refused.add(f"{name}: channels_last")
        return result


def main(name: str, *opts: str) -> None:
    config = load_config(
        experiment(name),
        [
            "TRAIN.EPOCH",
            "21",
            "BACKBONE.TRAIN_EPOCH",
            "0",
            "BACKBONE.PRETRAINED",
            "",
            "TRAIN.PRETRAINED",
            "",
            "TRAIN.PRINT_FREQ",
            "5",
            *opts,
        ],
    )
    rank = find_rank()
    device = open_device("npu", config, rank.local_rank)
    with process_group(rank, device):
        report = record_steps(config, device, rank)
    if rank.is_main:
        print(json.dumps(report))


def record_steps(config, device: torch.device, rank: Rank) -> dict:
    batch = synthetic_batch(1, config.TRAIN.SEARCH_SIZE, config.TRAIN.OUTPUT_SIZE)
    batch = add_masks(batch) if config.MASK.MASK else batch
    batch = add_points(batch, config.POINT.STRIDE) if config.BAN.BAN else batch
    batches = Batches([{name: value.pin_memory() for name, value in batch.items()}])  # pinned, like in the loader
    model = zero_shortcuts(build_model(config))  # folds make 1x1 convolutions of them, with a crop before
    trainer = build_trainer(config, model, batches, device, rank, save=False)
    trainer.begin(0)
    # The first step allocates what is allocated once; the second one rebuilds the buckets of DDP.
    for _ in range(2 if rank.world_size > 1 else 1):
        trainer.step(batches[0])
    with Recorder() as training:
        trainer.step(batches[0])
    recorders = {"training": training}
    image, slots = synthetic_image("frame", 240, 320), 3
    tracker = build_batch_tracker(trainer.model.eval(), config, slots)
    boxes = [[100, 80, 60, 60], [10, 20, 30, 40], [200, 100, 50, 60]]
    tracker.start(range(slots), [image] * slots, boxes)
    for step, frames in {"tracking": [image] * slots, "tracking of two in three slots": [image, None, image]}.items():
        tracker.track(frames)
        with Recorder() as recorders[step]:
            tracker.track(frames)
    return {
        step: {"operators": recorder.operators, "refused": sorted(recorder.refused), "reads": recorder.reads}
        for step, recorder in recorders.items()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
