"""The validation that a config describes."""

from pathlib import Path

import torch
from yacs.config import CfgNode

from pysot.engine.validation import Validation
from pysot.models.model_builder import build_model
from pysot.toolkit.datasets import load_dataset, missing_frames
from pysot.tracker.tracker_builder import build_tracker, results_fingerprint
from pysot.utils.distributed import Rank
from pysot.utils.files import find_path
from pysot.utils.model_load import load_state
from pysot.utils.signals import StopRequest
from pysot.utils.watchdog import Heartbeat


def build_validation(
    cfg: CfgNode,
    device: torch.device,
    rank: Rank,
    stop: StopRequest | None = None,
    bar=None,
    heartbeat: Heartbeat | None = None,
) -> Validation | None:
    """The validation of TRAIN.VAL, or None without a data set. Raises ValueError or FileNotFoundError if its set is not there or cannot be scored."""
    wanted = cfg.TRAIN.VAL
    if not wanted.DATASET:
        return None
    dataset = load_dataset(
        wanted.DATASET, find_path(wanted.ROOT, "TRAIN.VAL.ROOT", "It is the folder that holds the data set")
    )
    if wanted.VIDEOS:
        dataset = dataset.only(wanted.VIDEOS)
    missing = missing_frames(dataset)
    if missing:
        raise FileNotFoundError(
            f"TRAIN.VAL: {dataset.name} lacks frames: {missing[0]}"
            + (f", and {len(missing) - 1} more" if len(missing) > 1 else "")
        )

    def load(state: dict, snapshot: Path):
        model = build_model(cfg)
        load_state(model, state, str(snapshot))
        model = model.to(device).eval()
        return build_tracker(model, cfg), results_fingerprint(model, cfg)

    return Validation(dataset, load, Path(cfg.TRAIN.SNAPSHOT_DIR) / "validation", rank, device, stop, bar, heartbeat)
