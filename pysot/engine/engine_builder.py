"""Build the training run that a config describes."""

import logging
import re
from collections.abc import Iterator
from functools import partial

import torch
from torch import nn
from yacs.config import CfgNode

from pysot.engine.amp import ApexAmp, TorchAmp
from pysot.engine.checkpoint import CheckpointPolicy
from pysot.engine.lr_scheduler import LRSchedule, make_schedule, warm_up
from pysot.engine.monitor import Monitor
from pysot.engine.optimizer import FreezePlan, build_sgd
from pysot.engine.pictures import PairPicture
from pysot.engine.run_folder import claim_folder, find_origin
from pysot.engine.train_loop import Trainer, TrainSettings
from pysot.utils.device import check_precision, device_name, likes_channels_last, lowers_fp32
from pysot.utils.distributed import Rank, from_main
from pysot.utils.files import check_folder, find_path
from pysot.utils.model_load import load_pretrain
from pysot.utils.npu_sgd import npu_fused_sgd
from pysot.utils.watchdog import attempt, launch

logger = logging.getLogger(__name__)


def build_lr_schedule(cfg: CfgNode) -> LRSchedule:
    """The learning rates of all epochs. Raises ValueError for schedules that do not fit."""
    warm = cfg.TRAIN.LR_WARMUP
    epochs = cfg.TRAIN.EPOCH - (warm.EPOCH if warm.WARMUP else 0)
    main = make_schedule(cfg.TRAIN.LR.TYPE, epochs, cfg.TRAIN.LR.KWARGS, key="TRAIN.LR")
    if not warm.WARMUP:
        return LRSchedule(main, float(main[0]))
    return warm_up(make_schedule(warm.TYPE, warm.EPOCH, warm.KWARGS, key="TRAIN.LR_WARMUP"), main)


def build_freeze_plan(cfg: CfgNode) -> FreezePlan:
    """What of the backbone trains when."""
    return FreezePlan(tuple(cfg.BACKBONE.TRAIN_LAYERS), cfg.BACKBONE.TRAIN_EPOCH)


def build_optimizer(model: nn.Module, cfg: CfgNode) -> torch.optim.Optimizer:
    """SGD over the parameters of `model` that require gradients now: torch's fused one; on an NPU torch_npu's NpuFusedSGD, or torch's of plain operators
    without NPU.FUSED_SGD.
    """
    train = cfg.TRAIN
    make = None
    if (
        next(model.parameters()).device.type == "npu"
    ):  # torch's fused one is aclnnFusedSgd there: not on 910A, not in older CANN, and it reads found_inf
        make = npu_fused_sgd if cfg.NPU.FUSED_SGD else partial(torch.optim.SGD, foreach=True)
    return build_sgd(model, train.BASE_LR, cfg.BACKBONE.LAYERS_LR, train.MOMENTUM, train.WEIGHT_DECAY, make)


def build_amp(cfg: CfgNode, device: torch.device) -> TorchAmp | ApexAmp:
    """torch.amp, or apex on an NPU with NPU.APEX. Raises ValueError for a precision that the device does not have."""
    train = cfg.TRAIN
    check_precision(device, train.PRECISION)
    if train.PRECISION == "fp32" and lowers_fp32(device, cfg.NPU.PRECISION_MODE):
        logger.warning(
            "TRAIN.PRECISION is fp32, but %s computes convolutions and matrix products of float32 in fp16, where an overflow is not seen; set it to "
            "fp16, which watches for overflows, or NPU.PRECISION_MODE to must_keep_origin_dtype, which needs kernels of CANN for it",
            device_name(device),
        )
    return (
        ApexAmp(train.LOSS_SCALE)
        if cfg.NPU.APEX and device.type == "npu"
        else TorchAmp(device, train.PRECISION, train.LOSS_SCALE)
    )


def wants_channels_last(cfg: CfgNode, device: torch.device) -> bool:
    """TRAIN.CHANNELS_LAST, where 'auto' is what is faster on the device. Raises ValueError for what an NPU cannot do."""
    if device.type == "npu" and (cfg.TRAIN.CHANNELS_LAST is True or cfg.TRAIN.COMPILE):
        raise ValueError(
            "TRAIN.CHANNELS_LAST true and TRAIN.COMPILE true are not for an NPU, which has layouts and kernels of its own; "
            "set them to 'auto' and false"
        )
    asked = cfg.TRAIN.CHANNELS_LAST
    return likes_channels_last(device, cfg.TRAIN.PRECISION, cfg.GPU.TF32) if asked == "auto" else asked


def build_picture(cfg: CfgNode) -> PairPicture:
    """Draws training pairs with the anchors of a config."""
    return PairPicture(cfg.ANCHOR.STRIDE, cfg.ANCHOR.RATIOS, cfg.ANCHOR.SCALES)


def load_start_weights(model: nn.Module, cfg: CfgNode) -> None:
    """Load BACKBONE.PRETRAINED and TRAIN.PRETRAINED where they are set. Raises FileNotFoundError or ValueError that names the key."""
    for key, target, path in (
        ("BACKBONE.PRETRAINED", model.backbone, cfg.BACKBONE.PRETRAINED),
        ("TRAIN.PRETRAINED", model, cfg.TRAIN.PRETRAINED),
    ):
        if path:
            found = find_path(
                path, key, f"See pretrained_models/README.md, or set {key} to '' to start from random weights"
            )
            try:
                load_pretrain(target, found)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None


# What may be another when a run goes on: where files lie, how often they are written, how fast and how long it runs; and the tracker, which does not train.
_FREE = re.compile(
    r"CUDA|META_ARC|TRACK\..*|.*\.PRETRAINED|NPU\.(JIT_COMPILE|APEX|FUSED_SGD|INTERNAL_FORMAT)|GPU\.CUDNN_BENCHMARK|TRAIN\.("
    r"RESUME|LOG_.*|SNAPSHOT_DIR|START_EPOCH|BATCH_SIZE|NUM_WORKERS|PRINT_FREQ|CHECKPOINT_EVERY|KEEP|CHANNELS_LAST|COMPILE|VAL\..*)"
)


def run_identity(cfg: CfgNode, seed: int | None = None, data: dict[str, str] | None = None) -> dict:
    """What a run is: its seed, the config values that decide what it trains, the fingerprints of its data sets by name. Plain values."""
    sets = {f"DATASET.{name}." for name, node in cfg.DATASET.items() if isinstance(node, CfgNode) and "ANNO" in node}
    unused = tuple(sets - {f"DATASET.{name}." for name in cfg.DATASET.NAMES})
    paths = tuple(f"{used}{key}" for used in sets for key in ("ROOT", "ANNO"))
    values = {
        key: str(value)
        for key, value in _leaves(cfg)
        if not _FREE.fullmatch(key) and not key.startswith(unused) and key not in paths
    }
    return {"seed": seed, "config": values, "data": data or {}}


def _leaves(node: CfgNode, before: str = "") -> Iterator[tuple[str, object]]:
    for key, value in node.items():
        if isinstance(value, CfgNode):
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def build_trainer(
    cfg: CfgNode,
    model: nn.Module,
    loader,
    device: torch.device,
    rank: Rank,
    *,
    writer=None,
    bar=None,
    max_steps: int | None = None,
    save: bool = True,
    epochs: int | None = None,
    seed: int | None = None,
    data: dict[str, str] | None = None,
    **more,
) -> Trainer:
    """A run of the network over the loader's batches: resumed if TRAIN.RESUME is set (with 'auto': and a checkpoint is there), else from the pretrained
    weights of the config. Process 0 finds and reads the checkpoint, and hands it to the others.

    `save` off writes no checkpoints (speed runs); `epochs` and `max_steps` end the run early; `seed` and `data` (fingerprints by name) are part of its
    identity; `writer` and `bar` go to the Monitor, `more` to the Trainer. Raises OSError if the snapshot folder can't be written, ValueError for what
    cannot work in any of its epochs.
    """
    train, folder, identity = cfg.TRAIN, cfg.TRAIN.SNAPSHOT_DIR, run_identity(cfg, seed, data)
    settings = TrainSettings(
        epochs=min(epochs or train.EPOCH, train.EPOCH),
        batch_size=train.BATCH_SIZE,
        grad_clip=train.GRAD_CLIP,
        grad_sum=train.GRAD_REDUCE == "sum",
        print_freq=train.PRINT_FREQ,
        log_grads=train.LOG_GRADS,
        max_steps=max_steps,
        channels_last=wants_channels_last(cfg, device),
        compiled=train.COMPILE,
        validate_every=train.VAL.EVERY,
    )
    freeze, schedule = build_freeze_plan(cfg), build_lr_schedule(cfg)
    if train.EPOCH > freeze.train_epoch:
        freeze.check(model)
    if save and rank.is_main:
        check_folder(folder)
    origin = from_main(lambda: find_origin(folder, train.RESUME, identity, launch() if attempt() != "0" else ""))
    if origin is None:
        load_start_weights(model, cfg)
    trainer = Trainer(
        model,
        loader,
        settings,
        schedule,
        freeze,
        lambda network: build_optimizer(network, cfg),
        build_amp(cfg, device),
        CheckpointPolicy(folder, train.CHECKPOINT_EVERY, train.KEEP) if save else None,
        device,
        rank,
        start_epoch=train.START_EPOCH,
        monitor=Monitor(rank.is_main, writer, bar, build_picture(cfg), train.LOG_PICTURES),
        identity=identity,
        begins=lambda: claim_folder(folder, origin, identity, launch()) if save else None,
        **more,
    )
    if origin is not None:
        trainer.resume(origin.content, origin.path, may_be_finished=train.RESUME == "auto")
    return trainer
