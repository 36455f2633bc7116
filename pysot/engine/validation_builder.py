"""Build the validation of a config."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from yacs.config import CfgNode

from pysot.engine.validation import Validation
from pysot.models.model_builder import build_model
from pysot.toolkit.datasets import load_dataset, missing_frames
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.tracker_builder import build_batch_tracker, results_fingerprint
from pysot.utils.distributed import Rank
from pysot.utils.files import find_path
from pysot.utils.model_load import load_state
from pysot.utils.signals import StopRequest
from pysot.utils.watchdog import Heartbeat

# Targets that are tracked in lockstep, by kind of device: few beside the training run on a CPU.
_BATCH = {"cpu": 4, "cuda": 8, "npu": 8}


def build_validation(
    cfg: CfgNode,
    device: torch.device,
    rank: Rank,
    stop: StopRequest | None = None,
    bar: Callable[..., Any] | None = None,
    heartbeat: Heartbeat | None = None,
) -> Validation | None:
    """Return the validation of TRAIN.VAL, or None without a data set.

    Raises ValueError or FileNotFoundError if the set is missing or cannot be scored.
    """
    val = cfg.TRAIN.VAL
    if not val.DATASET:
        return None
    root = find_path(val.ROOT, "TRAIN.VAL.ROOT", "It is the folder that holds the data set")
    dataset = load_dataset(val.DATASET, root)
    if val.VIDEOS:
        dataset = dataset.only(val.VIDEOS)
    missing = missing_frames(dataset)
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise FileNotFoundError(f"TRAIN.VAL: frames of {dataset.name} are missing: {missing[0]}{more}")

    part = dataset.part(rank.index + 1, rank.world_size)
    slots = min(_BATCH[device.type], len(part)) if part else 1

    def load_tracker(state: dict, snapshot: Path) -> tuple[BatchTracker, str]:
        model = build_model(cfg)
        load_state(model, state, str(snapshot))
        model = model.to(device).eval()
        return build_batch_tracker(model, cfg, slots), results_fingerprint(model, cfg)

    folder = Path(cfg.TRAIN.SNAPSHOT_DIR) / "validation"
    return Validation(dataset, load_tracker, folder, rank, device, stop, bar, heartbeat)
