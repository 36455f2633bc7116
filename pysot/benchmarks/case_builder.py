"""Values that the benchmarks take from a config. No other benchmark file reads config keys."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from yacs.config import CfgNode

from pysot.benchmarks.plain_tracker import PlainTracker
from pysot.benchmarks.train_step import PlainStep
from pysot.core.config import load_config
from pysot.engine.optimizer import FreezePlan
from pysot.models.model_builder import build_model
from pysot.models.siamrpn import SiamRPN
from pysot.tracker.tracker_builder import track_settings
from pysot.utils.files import REPO_ROOT


@dataclass(frozen=True)
class Case:
    """Config values that the benchmarks use; `cfg` is only passed on to builders.

    `batch_size` is in pairs, `search_size` (training) and `instance_size` (tracking) are in pixels of the search crop,
    `output_size` is in cells per side of the labels; without anchors their points are `point_stride` pixels apart. The
    backbone trains from `unfreeze_epoch` on. `network` identifies the network: equal networks have equal texts.
    """

    cfg: CfgNode
    batch_size: int
    precision: str
    compiled: bool
    unfreeze_epoch: int
    search_size: int
    output_size: int
    instance_size: int
    point_stride: int | None
    network: str


def build_case(cfg: CfgNode) -> Case:
    """Return the case of a config."""
    train = cfg.TRAIN
    return Case(
        cfg,
        batch_size=train.BATCH_SIZE,
        precision=train.PRECISION,
        compiled=train.COMPILE,
        unfreeze_epoch=cfg.BACKBONE.TRAIN_EPOCH,
        search_size=train.SEARCH_SIZE,
        output_size=train.OUTPUT_SIZE,
        instance_size=cfg.TRACK.INSTANCE_SIZE,
        point_stride=cfg.POINT.STRIDE if cfg.BAN.BAN else None,
        network="".join(map(str, (cfg.BACKBONE, cfg.ADJUST, cfg.BAN if cfg.BAN.BAN else cfg.RPN))),
    )


def read_case(path: str, opts: Sequence[object] = ()) -> Case:
    """Return the case of a config file with config values `opts`. Raises as `load_config`."""
    return build_case(load_config(path, opts))


def load_case(experiment: str, opts: Sequence[object]) -> Case:
    """Return the case of experiments/<experiment>/config.yaml with config values `opts`. Raises as `load_config`."""
    return read_case(str(REPO_ROOT / "experiments" / experiment / "config.yaml"), opts)


def with_track_options(cfg: CfgNode, **values: object) -> CfgNode:
    """Return a copy of a config with values of its TRACK section, such as PRECISION="bf16"."""
    changed = cfg.clone()
    changed.defrost()
    changed.TRACK.update(values)
    changed.freeze()
    return changed


def check_plain_step(cfg: CfgNode) -> None:
    """Raise ValueError for a network with masks or without anchors, whose losses the plain step does not compute."""
    for key, is_set in (("MASK.MASK", cfg.MASK.MASK), ("BAN.BAN", cfg.BAN.BAN)):
        if is_set:
            raise ValueError(
                f"{key} true: only networks with anchors and without masks have a plain training step to compare with; "
                "measure this one with tools/train.py --is_performance"
            )


def build_plain_step(cfg: CfgNode, freeze: FreezePlan, epoch: int, device: torch.device) -> PlainStep:
    """Return the plain step on a new network of a config, in the freeze state of `epoch`."""
    train = cfg.TRAIN
    return PlainStep(
        build_model(cfg),
        freeze,
        epoch,
        device,
        momentum=train.MOMENTUM,
        weight_decay=train.WEIGHT_DECAY,
        cls_weight=train.CLS_WEIGHT,
        loc_weight=train.LOC_WEIGHT,
        grad_clip=train.GRAD_CLIP,
    )


def build_plain_tracker(model: SiamRPN, cfg: CfgNode) -> PlainTracker:
    """Return the plain tracker of a config around `model`.

    Raises ValueError for a TRACK.TYPE that it is no baseline for.
    """
    if cfg.TRACK.TYPE not in ("SiamRPNTracker", "SiamBANTracker"):
        raise ValueError(
            f"TRACK.TYPE {cfg.TRACK.TYPE}: only SiamRPNTracker and SiamBANTracker have a plain baseline; benchmark a "
            "config of one of these types"
        )
    return PlainTracker(model, track_settings(cfg))
