"""Build the training run of a config."""

import logging
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from yacs.config import CfgNode

from pysot.core.profile_window import profile_window
from pysot.core.stored_config import config_text
from pysot.engine.amp import ApexAmp, TorchAmp
from pysot.engine.checkpoint import CheckpointPolicy
from pysot.engine.lr_scheduler import LRSchedule, make_schedule, prepend_warmup
from pysot.engine.monitor import Monitor, Writer
from pysot.engine.optimizer import FreezePlan, build_sgd
from pysot.engine.pictures import AnchorBoxes, PairPicture, PointBoxes
from pysot.engine.profile import ProfileWindow
from pysot.engine.run_folder import Origin, claim_folder, find_origin
from pysot.engine.train_loop import Trainer
from pysot.engine.train_settings import TrainHooks, TrainSettings
from pysot.models.model_builder import ModelBuilder
from pysot.utils.device import (
    check_precision,
    computes_fp32_in_fp16,
    device_name,
    prefers_channels_last,
    profiler_module,
)
from pysot.utils.distributed import Rank, broadcast_from_main
from pysot.utils.files import check_folder, find_path
from pysot.utils.model_load import load_pretrain, read_checkpoint
from pysot.utils.npu_optimizer import npu_fused_sgd
from pysot.utils.watchdog import attempt, launch

logger = logging.getLogger(__name__)
_BASE_STAGE = "which trains with REFINE.REFINE false first, as in experiments/siammask_r50_l3_base"


def build_lr_schedule(cfg: CfgNode) -> LRSchedule:
    """Return the learning rates of all epochs. Raises ValueError for invalid arguments of a schedule."""
    warmup = cfg.TRAIN.LR_WARMUP
    epochs = cfg.TRAIN.EPOCH - (warmup.EPOCH if warmup.WARMUP else 0)
    main = make_schedule(cfg.TRAIN.LR.TYPE, epochs, cfg.TRAIN.LR.KWARGS, key="TRAIN.LR")
    if not warmup.WARMUP:
        return LRSchedule(main, float(main[0]))
    return prepend_warmup(make_schedule(warmup.TYPE, warmup.EPOCH, warmup.KWARGS, key="TRAIN.LR_WARMUP"), main)


def build_freeze_plan(cfg: CfgNode) -> FreezePlan:
    """Return the rule for freezing the backbone, or with REFINE.REFINE all but the refinement of masks."""
    only = "refine_head" if cfg.REFINE.REFINE else ""
    return FreezePlan(tuple(cfg.BACKBONE.TRAIN_LAYERS), cfg.BACKBONE.TRAIN_EPOCH, only)


def build_optimizer(model: nn.Module, cfg: CfgNode) -> torch.optim.Optimizer:
    """Return SGD over the parameters of `model` that require gradients at the time of the call.

    It is torch's fused SGD. On an NPU it is torch_npu's NpuFusedSGD, or without NPU.FUSED_SGD torch's SGD with foreach.
    """
    train = cfg.TRAIN
    make_sgd = None
    if next(model.parameters()).device.type == "npu":
        # torch's fused SGD is aclnnFusedSgd on an NPU: missing on 910A and in older CANN, and it reads found_inf.
        make_sgd = npu_fused_sgd if cfg.NPU.FUSED_SGD else partial(torch.optim.SGD, foreach=True)
    return build_sgd(model, train.BASE_LR, cfg.BACKBONE.LAYERS_LR, train.MOMENTUM, train.WEIGHT_DECAY, make_sgd)


def build_amp(cfg: CfgNode, device: torch.device) -> TorchAmp | ApexAmp:
    """Return torch.amp, or apex on an NPU with NPU.APEX.

    Raises ValueError for a precision that the device does not support.
    """
    train = cfg.TRAIN
    check_precision(device, train.PRECISION, key="TRAIN.PRECISION")
    if train.PRECISION == "fp32" and computes_fp32_in_fp16(device, cfg.NPU.PRECISION_MODE):
        logger.warning(
            "TRAIN.PRECISION is fp32, but %s computes convolutions and matrix products of float32 in fp16, where "
            "an overflow is not detected; set it to fp16, which detects overflows, or NPU.PRECISION_MODE to "
            "must_keep_origin_dtype, which needs the corresponding kernels of CANN",
            device_name(device),
        )
    if cfg.NPU.APEX and device.type == "npu":
        return ApexAmp(train.LOSS_SCALE)
    return TorchAmp(device, train.PRECISION, train.LOSS_SCALE)


def wants_channels_last(cfg: CfgNode, device: torch.device) -> bool:
    """Return whether to use channels_last: TRAIN.CHANNELS_LAST, where 'auto' selects what is faster on the device.

    Raises ValueError for options that an NPU does not support.
    """
    if device.type == "npu" and (cfg.TRAIN.CHANNELS_LAST is True or cfg.TRAIN.COMPILE):
        raise ValueError(
            "TRAIN.CHANNELS_LAST true and TRAIN.COMPILE true are not for an NPU, which has its own layouts "
            "and kernels; set them to 'auto' and false"
        )
    if cfg.TRAIN.CHANNELS_LAST == "auto":
        return prefers_channels_last(device, cfg.TRAIN.PRECISION, cfg.GPU.TF32)
    return cfg.TRAIN.CHANNELS_LAST


def build_picture(cfg: CfgNode) -> PairPicture:
    """Return a drawing of training pairs with the anchors or points of a config."""
    if cfg.BAN.BAN:
        return PairPicture(PointBoxes(cfg.POINT.STRIDE))
    return PairPicture(AnchorBoxes(cfg.ANCHOR.STRIDE, cfg.ANCHOR.RATIOS, cfg.ANCHOR.SCALES))


def load_start_weights(model: ModelBuilder, cfg: CfgNode) -> None:
    """Load BACKBONE.PRETRAINED and TRAIN.PRETRAINED if they are set.

    Raises FileNotFoundError or ValueError that names the key.
    """
    if cfg.REFINE.REFINE and not cfg.TRAIN.PRETRAINED:
        logger.warning(
            "TRAIN.PRETRAINED is empty, so the refinement of masks trains on random weights, %s", _BASE_STAGE
        )
    targets: tuple[tuple[str, nn.Module, str], ...] = (
        ("BACKBONE.PRETRAINED", model.backbone, cfg.BACKBONE.PRETRAINED),
        ("TRAIN.PRETRAINED", model, cfg.TRAIN.PRETRAINED),
    )
    for key, target, path in targets:
        if path:
            hint = f"See pretrained_models/README.md, or set {key} to '' to start from random weights"
            needs_base_stage = cfg.REFINE.REFINE and target is model
            if needs_base_stage:
                hint = f"It is a checkpoint of the same network, {_BASE_STAGE}"
            weights = find_path(path, key, hint)
            try:
                if needs_base_stage:
                    _check_base_stage(weights)
                load_pretrain(target, weights, may_lack=("refine_head",))  # the second stage of SiamMask adds it
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None


def _check_base_stage(path: Path) -> None:
    """Raise ValueError if a checkpoint has no mask branch, which the refinement stage needs."""
    if not any("mask_head." in name for name in read_checkpoint(path)["state_dict"]):
        raise ValueError(f"{path} has no mask_head; it must be a checkpoint of the same network, {_BASE_STAGE}")


# Keys that may change when training resumes: paths, how often files are written, speed and duration, and the tracker,
# which is not trained.
_MAY_CHANGE = re.compile(
    r"CUDA|META_ARC|TRACK\..*|.*\.PRETRAINED|NPU\.(JIT_COMPILE|APEX|FUSED_SGD|INTERNAL_FORMAT)|GPU\.CUDNN_BENCHMARK|"
    r"TRAIN\.(RESUME|LOG_.*|SNAPSHOT_DIR|START_EPOCH|BATCH_SIZE|NUM_WORKERS|PRINT_FREQ|CHECKPOINT_EVERY|KEEP|"
    r"CHANNELS_LAST|COMPILE|GRAPH|PROFILE|VAL\..*)"
)


def run_identity(cfg: CfgNode, seed: int | None = None, data: dict[str, str] | None = None) -> dict:
    """Return the identity of a training run as plain values.

    It holds the seed, the config values that determine what is trained, and the fingerprints of the data sets by name.
    """
    sets = {f"DATASET.{name}." for name, node in cfg.DATASET.items() if isinstance(node, CfgNode) and "ANNO" in node}
    # A network has anchors or points, and the sections of the others determine nothing.
    others = ("RPN.", "ANCHOR.") if cfg.BAN.BAN else ("BAN.", "POINT.")
    unused = (*(sets - {f"DATASET.{name}." for name in cfg.DATASET.NAMES}), *others)
    paths = tuple(f"{prefix}{key}" for prefix in sets for key in ("ROOT", "ANNO"))
    values = {
        key: str(value)
        for key, value in _leaves(cfg)
        if not _MAY_CHANGE.fullmatch(key) and not key.startswith(unused) and key not in paths
    }
    return {"seed": seed, "config": values, "data": data or {}}


def _leaves(node: CfgNode, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the dotted names and values of all keys."""
    for key, value in node.items():
        if isinstance(value, CfgNode):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def build_settings(
    cfg: CfgNode, device: torch.device, epochs: int | None = None, max_steps: int | None = None
) -> TrainSettings:
    """Return the settings of the training loop; `epochs` and `max_steps` end training early.

    Raises OSError or RuntimeError if the steps of TRAIN.PROFILE cannot be profiled.
    """
    train = cfg.TRAIN
    return TrainSettings(
        epochs=min(epochs or train.EPOCH, train.EPOCH),
        batch_size=train.BATCH_SIZE,
        grad_clip=train.GRAD_CLIP,
        grad_sum=train.GRAD_REDUCE == "sum",
        print_freq=train.PRINT_FREQ,
        log_grads=train.LOG_GRADS,
        max_steps=max_steps,
        channels_last=wants_channels_last(cfg, device),
        compiled=train.COMPILE,
        graph=train.GRAPH == "auto",
        validate_every=train.VAL.EVERY,
        profile=build_profile_window(cfg, device),
    )


def build_profile_window(cfg: CfgNode, device: torch.device) -> ProfileWindow | None:
    """Return the window of TRAIN.PROFILE, whose folder can be written; None without one.

    Raises OSError, or RuntimeError for a device whose profiler cannot work.
    """
    window = profile_window(cfg.TRAIN.PROFILE)
    if window is None:
        return None
    folder = Path(cfg.TRAIN.LOG_DIR) / "profile"
    check_folder(folder)
    try:
        profiler_module(device)
    except RuntimeError as error:
        raise RuntimeError(f"TRAIN.PROFILE {cfg.TRAIN.PROFILE}: {error}. Or set TRAIN.PROFILE ''") from error
    return ProfileWindow(*window, folder)


def load_origin(model: ModelBuilder, cfg: CfgNode, identity: dict) -> Origin | None:
    """Return the checkpoint to resume from; without one load the pretrained weights and return None.

    The main process finds and reads the checkpoint, and sends it to the others.
    """
    restarted_launch = launch() if attempt() != "0" else ""
    origin = broadcast_from_main(
        lambda: find_origin(cfg.TRAIN.SNAPSHOT_DIR, cfg.TRAIN.RESUME, identity, restarted_launch)
    )
    if origin is None:
        load_start_weights(model, cfg)
    return origin


def build_trainer(
    cfg: CfgNode,
    model: ModelBuilder,
    loader: Any,
    device: torch.device,
    rank: Rank,
    *,
    writer: Writer | None = None,
    bar: Callable[..., Any] | None = None,
    max_steps: int | None = None,
    save: bool = True,
    epochs: int | None = None,
    seed: int | None = None,
    data: dict[str, str] | None = None,
    **hooks: Any,
) -> Trainer:
    """Return a trainer for the batches of `loader`.

    It resumes if TRAIN.RESUME names a checkpoint, or if it is 'auto' and there is one; otherwise it starts from the
    pretrained weights of the config. `save=False` writes no checkpoints, for speed measurements. `epochs` and
    `max_steps` end training early. `seed` and `data` (fingerprints by name) are part of the identity. `writer` and
    `bar` are passed to the Monitor, `hooks` to TrainHooks. Raises OSError if the snapshot folder cannot be written, and
    ValueError for settings that cannot work in one of the epochs.
    """
    train = cfg.TRAIN
    folder = train.SNAPSHOT_DIR
    identity = run_identity(cfg, seed, data)
    settings = build_settings(cfg, device, epochs, max_steps)
    freeze = build_freeze_plan(cfg)
    schedule = build_lr_schedule(cfg)
    if train.EPOCH > freeze.train_epoch and not freeze.only:
        freeze.check(model)
    if save and rank.is_main:
        check_folder(folder)
    origin = load_origin(model, cfg, identity)

    def on_start() -> None:
        if save:
            claim_folder(folder, origin, identity, launch())

    trainer = Trainer(
        model,
        loader,
        settings,
        schedule,
        freeze,
        lambda network: build_optimizer(network, cfg),
        build_amp(cfg, device),
        CheckpointPolicy(folder, train.CHECKPOINT_EVERY, train.KEEP, config_text(cfg)) if save else None,
        device,
        rank,
        start_epoch=train.START_EPOCH,
        monitor=Monitor(rank.is_main, writer, bar, build_picture(cfg), train.LOG_PICTURES),
        identity=identity,
        hooks=TrainHooks(on_start=on_start, **hooks),
    )
    if origin is not None:
        trainer.resume(origin.content, origin.path, may_be_finished=train.RESUME == "auto")
    return trainer
