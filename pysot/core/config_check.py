"""Checks of relations between config values, made before anything is built."""

import re
from collections.abc import Iterator
from typing import Any

from yacs.config import CfgNode

from pysot.core.backbone_facts import BACKBONES, backbone_base_size, backbone_channels, backbone_stages
from pysot.core.ban_check import ban_problems, point_count_problems
from pysot.core.mask_check import mask_problems, mask_tracking_problems, mask_training_problems
from pysot.core.profile_window import profile_problems

_SCHEDULES = {"log", "step", "multi-step", "linear", "cos"}
_CHOICES = {
    "TRAIN.GRAD_REDUCE": ("sum", "avg"),
    "TRAIN.GRAPH": ("auto", "off"),
    "TRAIN.PRECISION": ("fp32", "fp16", "bf16"),
    "TRACK.PRECISION": ("fp32", "fp16", "bf16"),
    "TRACK.CROPS": ("auto", "host", "device"),
    "TRACK.GRAPH": ("auto", "off"),
    "NPU.PRECISION_MODE": ("", "allow_fp32_to_fp16", "must_keep_origin_dtype"),
    "TRAIN.LR.TYPE": _SCHEDULES,
    "TRAIN.LR_WARMUP.TYPE": _SCHEDULES,
    "BACKBONE.TYPE": BACKBONES,
    "ADJUST.TYPE": ("AdjustLayer", "AdjustAllLayer"),
    "RPN.TYPE": ("UPChannelRPN", "DepthwiseRPN", "MultiRPN"),
    "BAN.TYPE": ("DepthwiseBAN", "MultiBAN", "NanoBAN"),
    "TRACK.TYPE": ("SiamRPNTracker", "SiamRPNLTTracker", "SiamMaskTracker", "SiamBANTracker", "SiamBANLTTracker"),
}


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _are_counts(value: object) -> bool:
    return _is_count(value) or isinstance(value, list) and bool(value) and all(map(_is_count, value))


_KWARGS = {
    "width_mult": (lambda v: type(v) in (int, float) and v > 0, "a number above 0"),
    "anchor_num": (_is_count, "a whole number above 0"),
    "feature_in": (_is_count, "a whole number above 0"),
    "center_size": (_is_count, "a whole number above 0"),
    "in_channels": (_are_counts, "a whole number above 0, or a list of them"),
    "out_channels": (_are_counts, "a whole number above 0, or a list of them"),
    "weighted": (lambda v: isinstance(v, bool), "true or false"),
}
_POSITIVE = (
    "TRAIN.EXEMPLAR_SIZE TRAIN.SEARCH_SIZE TRAIN.OUTPUT_SIZE TRAIN.EPOCH TRAIN.BATCH_SIZE TRAIN.PRINT_FREQ "
    "TRAIN.GRAD_CLIP TRAIN.BASE_LR TRAIN.TOTAL_NUM DATASET.VIDEOS_PER_EPOCH ANCHOR.STRIDE POINT.STRIDE "
    "TRACK.EXEMPLAR_SIZE TRACK.INSTANCE_SIZE TRACK.OUTPUT_SIZE"
).split()
_SHARES = (
    "TRAIN.THR_HIGH TRAIN.THR_LOW DATASET.NEG DATASET.GRAY DATASET.TEMPLATE.BLUR DATASET.TEMPLATE.FLIP "
    "DATASET.TEMPLATE.COLOR DATASET.SEARCH.BLUR DATASET.SEARCH.FLIP DATASET.SEARCH.COLOR TRACK.WINDOW_INFLUENCE "
    "TRACK.CONTEXT_AMOUNT TRACK.MASK_THERSHOLD"
).split()


def check_config(cfg: CfgNode, for_training: bool = False) -> None:
    """Raise ValueError if values are inconsistent; it lists every problem as expected / got / remedy.

    `for_training` adds the relations of the TRAIN and DATASET sections. The test-only experiments of the original leave
    those sections at defaults that do not fit them.
    """
    problems = [*_choices(cfg), *_ranges(cfg)]
    if not problems:
        problems = [*_score_sizes(cfg), *_anchors(cfg), *_channels(cfg), *mask_tracking_problems(cfg)]
        if for_training:
            problems += [*_training(cfg), *_schedule(cfg), *_datasets(cfg)]
    if problems:
        raise ValueError("the config is inconsistent:\n" + "\n".join(f"  - {p}" for p in problems))


def _get(cfg: CfgNode, name: str) -> Any:
    for part in name.split("."):
        cfg = cfg[part]
    return cfg


def _choices(cfg: CfgNode) -> Iterator[str]:
    for name, known in _CHOICES.items():
        if _get(cfg, name) not in known:
            yield f"{name}: expected one of {', '.join(sorted(known))}; got {_get(cfg, name)!r}"
    scale = cfg.TRAIN.LOSS_SCALE
    if not (scale == "dynamic" or (not isinstance(scale, str) and scale > 0)):
        yield f"TRAIN.LOSS_SCALE: expected a number above 0 or 'dynamic'; got {scale!r}"
    yield from _used_layers(cfg)
    yield from _lists(cfg)
    yield from _kwargs(cfg)


def _used_layers(cfg: CfgNode) -> Iterator[str]:
    layers = cfg.BACKBONE.KWARGS.get("used_layers", [])
    count = backbone_stages(cfg.BACKBONE.TYPE) if cfg.BACKBONE.TYPE in BACKBONES else 0
    if not count:
        return
    if not isinstance(layers, list) or any(type(i) is not int or not 0 <= i < count for i in layers):
        yield f"BACKBONE.KWARGS.used_layers: expected a list of stages from 0 to {count - 1}; got {layers!r}"


def _lists(cfg: CfgNode) -> Iterator[str]:
    for name in ("ANCHOR.RATIOS", "ANCHOR.SCALES"):
        values = _get(cfg, name)
        if not values or not all(type(v) in (int, float) and v > 0 for v in values):
            yield f"{name}: expected a list of numbers above 0; got {list(values)!r}"
    for name in ("DATASET.NAMES", "BACKBONE.TRAIN_LAYERS"):
        if not all(isinstance(v, str) for v in _get(cfg, name)):
            yield f"{name}: expected a list of names; got {list(_get(cfg, name))!r}"


def _kwargs(cfg: CfgNode) -> Iterator[str]:
    for section in ("BACKBONE", "ADJUST", "RPN", "BAN", "MASK"):
        for key, value in cfg[section].KWARGS.items():
            is_valid, expected = _KWARGS.get(key, (lambda v: True, ""))
            if not is_valid(value):
                yield f"{section}.KWARGS.{key}: expected {expected}; got {value!r}"


def _ranges(cfg: CfgNode) -> Iterator[str]:
    for name in _POSITIVE:
        if not _get(cfg, name) > 0:
            yield f"{name}: expected a number above 0; got {_get(cfg, name)!r}"
    for name in _SHARES:
        if not 0 <= _get(cfg, name) <= 1:
            yield f"{name}: expected a number from 0 to 1; got {_get(cfg, name)!r}"
    if cfg.TRAIN.THR_LOW > cfg.TRAIN.THR_HIGH:
        yield f"TRAIN.THR_LOW: expected at most THR_HIGH ({cfg.TRAIN.THR_HIGH}); got {cfg.TRAIN.THR_LOW}"
    if cfg.BACKBONE.LAYERS_LR < 0:
        yield f"BACKBONE.LAYERS_LR: expected 0 or more, a factor of BASE_LR; got {cfg.BACKBONE.LAYERS_LR}"
    if not 0 <= cfg.TRAIN.START_EPOCH < cfg.TRAIN.EPOCH:
        yield f"TRAIN.START_EPOCH: expected 0 to EPOCH - 1 ({cfg.TRAIN.EPOCH - 1}); got {cfg.TRAIN.START_EPOCH}"


def _score_sizes(cfg: CfgNode) -> Iterator[str]:
    if cfg.TRACK.INSTANCE_SIZE < cfg.TRACK.EXEMPLAR_SIZE:
        yield (
            f"TRACK.INSTANCE_SIZE: expected at least EXEMPLAR_SIZE ({cfg.TRACK.EXEMPLAR_SIZE}); "
            f"got {cfg.TRACK.INSTANCE_SIZE}"
        )
    if cfg.BAN.BAN:
        yield from point_count_problems(cfg)
        return
    expected = (cfg.TRAIN.SEARCH_SIZE - cfg.TRAIN.EXEMPLAR_SIZE) // cfg.ANCHOR.STRIDE + 1 + cfg.TRAIN.BASE_SIZE
    if cfg.TRAIN.OUTPUT_SIZE != expected:
        yield (
            f"TRAIN.OUTPUT_SIZE: expected (SEARCH_SIZE - EXEMPLAR_SIZE) / STRIDE + 1 + BASE_SIZE = {expected}; "
            f"got {cfg.TRAIN.OUTPUT_SIZE}. Set it to {expected} or change one of the four"
        )
    base = backbone_base_size(cfg.BACKBONE.TYPE)
    if cfg.TRACK.BASE_SIZE != base:
        yield (
            f"TRACK.BASE_SIZE: expected {base} for backbone {cfg.BACKBONE.TYPE}; got {cfg.TRACK.BASE_SIZE}. "
            f"Set it to {base}"
        )


def _anchors(cfg: CfgNode) -> Iterator[str]:
    if cfg.BAN.BAN:
        return
    expected = len(cfg.ANCHOR.RATIOS) * len(cfg.ANCHOR.SCALES)
    remedy = "The three numbers of anchors (RATIOS x SCALES, ANCHOR.ANCHOR_NUM, RPN.KWARGS.anchor_num) must agree"
    for name, got in (
        ("ANCHOR.ANCHOR_NUM", cfg.ANCHOR.ANCHOR_NUM),
        ("RPN.KWARGS.anchor_num", cfg.RPN.KWARGS.get("anchor_num", 5)),
    ):
        if got != expected:
            yield f"{name}: expected len(RATIOS) * len(SCALES) = {expected}; got {got}. {remedy}"


def _as_list(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _channels(cfg: CfgNode) -> Iterator[str]:
    channels = backbone_channels(cfg.BACKBONE.TYPE, cfg.BACKBONE.KWARGS)
    yield from mask_problems(cfg, channels)
    if cfg.MASK.MASK:
        channels = channels[-1:]  # SiamMask tracks on the last level; the others feed the refinement
    backbone = channels
    if cfg.ADJUST.ADJUST:
        for key in ("in_channels", "out_channels"):
            if key not in cfg.ADJUST.KWARGS:
                yield (
                    f"ADJUST.KWARGS.{key}: expected a list with a number per feature level ({len(channels)}); "
                    "got none. Add it or set ADJUST.ADJUST to false"
                )
                return
        neck_in = _as_list(cfg.ADJUST.KWARGS.in_channels)
        neck_out = _as_list(cfg.ADJUST.KWARGS.out_channels)
        if neck_in != channels:
            yield f"ADJUST.KWARGS.in_channels: expected {channels}, the channels of {cfg.BACKBONE.TYPE}; got {neck_in}"
        if len(neck_out) != len(neck_in):
            yield f"ADJUST.KWARGS.out_channels: expected {len(neck_in)} numbers, one per in_channels; got {neck_out}"
        channels = neck_out
    yield from ban_problems(cfg, backbone, channels)
    if not cfg.BAN.BAN:
        yield from _head_channels(cfg, channels)
    for name, value, effective in (
        ("BACKBONE.CHANNELS", cfg.BACKBONE.CHANNELS, cfg.ADJUST.KWARGS.get("in_channels")),
        ("ADJUST.ADJUST_CHANNEL", cfg.ADJUST.ADJUST_CHANNEL, cfg.ADJUST.KWARGS.get("out_channels")),
    ):
        if value and value != effective:
            yield f"{name}: expected the value in ADJUST.KWARGS, {effective}; got {value}. Remove it, it has no effect"
    if cfg.RPN.WEIGHTED and not cfg.RPN.KWARGS.get("weighted", False):
        yield "RPN.WEIGHTED: expected RPN.KWARGS.weighted to be true as well; only that key takes effect"


def _head_channels(cfg: CfgNode, channels: list) -> Iterator[str]:
    key = "feature_in" if cfg.RPN.TYPE == "UPChannelRPN" else "in_channels"
    head_in = cfg.RPN.KWARGS.get(key, 256)
    several = cfg.RPN.TYPE == "MultiRPN"
    if _as_list(head_in) != channels:
        source = "ADJUST.KWARGS.out_channels" if cfg.ADJUST.ADJUST else f"the channels of {cfg.BACKBONE.TYPE}"
        expected = channels if several else channels[0]
        yield f"RPN.KWARGS.{key}: expected {expected} ({source}); got {head_in}"
    if key in cfg.RPN.KWARGS and isinstance(head_in, list) != several:
        expected = "a list" if several else "one number"
        yield f"RPN.KWARGS.{key}: expected {expected} for {cfg.RPN.TYPE}; got {head_in!r}"
    if not several and len(channels) > 1:
        yield f"RPN.TYPE: expected MultiRPN for {len(channels)} feature levels; got {cfg.RPN.TYPE}"


def _training(cfg: CfgNode) -> Iterator[str]:
    yield from mask_training_problems(cfg)
    yield from profile_problems(cfg.TRAIN.PROFILE, cfg.TRAIN.LOG_DIR)
    base = backbone_base_size(cfg.BACKBONE.TYPE)
    # The refinement of masks trains on cells whose windows lie in the search crop. Without anchors OUTPUT_SIZE counts.
    is_other = cfg.BAN.BAN or (cfg.REFINE.REFINE and cfg.TRAIN.BASE_SIZE == 0)
    if cfg.TRAIN.BASE_SIZE != base and not is_other:
        size = (cfg.TRAIN.SEARCH_SIZE - cfg.TRAIN.EXEMPLAR_SIZE) // cfg.ANCHOR.STRIDE + 1 + base
        yield (
            f"TRAIN.BASE_SIZE: expected {base} for backbone {cfg.BACKBONE.TYPE}; got {cfg.TRAIN.BASE_SIZE}. "
            f"Set it to {base} and OUTPUT_SIZE to {size}"
        )
    if cfg.TRAIN.POS_NUM > cfg.TRAIN.TOTAL_NUM:
        yield f"TRAIN.POS_NUM: expected at most TOTAL_NUM ({cfg.TRAIN.TOTAL_NUM}); got {cfg.TRAIN.POS_NUM}"
    if cfg.TRAIN.NUM_WORKERS < -1:
        yield (
            f"TRAIN.NUM_WORKERS: expected 0 or more, or -1 (as many as the cores allow); got {cfg.TRAIN.NUM_WORKERS}"
        )
    if not _is_checkpoint_interval(cfg.TRAIN.CHECKPOINT_EVERY):
        yield (
            "TRAIN.CHECKPOINT_EVERY: expected minutes such as '10m', a number of steps above 0, or '' (never); "
            f"got {cfg.TRAIN.CHECKPOINT_EVERY!r}"
        )
    if cfg.TRAIN.KEEP < 0:
        yield f"TRAIN.KEEP: expected 0 (all) or a number of epochs; got {cfg.TRAIN.KEEP}"
    if cfg.TRAIN.CHANNELS_LAST not in ("auto", True, False):
        yield f"TRAIN.CHANNELS_LAST: expected true, false or 'auto'; got {cfg.TRAIN.CHANNELS_LAST!r}"
    if cfg.TRAIN.LOG_PICTURES < 0:
        yield f"TRAIN.LOG_PICTURES: expected 0 (none) or a number of steps; got {cfg.TRAIN.LOG_PICTURES}"
    if cfg.TRAIN.VAL.EVERY < 1:
        yield f"TRAIN.VAL.EVERY: expected 1 or more epochs; got {cfg.TRAIN.VAL.EVERY}"
    if cfg.NPU.APEX and cfg.TRAIN.PRECISION != "fp16":
        yield (
            "TRAIN.PRECISION: expected fp16, because NPU.APEX (apex level O1) computes in fp16; "
            f"got {cfg.TRAIN.PRECISION}. Set it to fp16 or NPU.APEX to false"
        )


def _is_checkpoint_interval(every: int | str) -> bool:
    if isinstance(every, str):
        return every == "" or re.fullmatch(r"\d+(\.\d+)?m", every) is not None
    return type(every) is int and every > 0


def _schedule(cfg: CfgNode) -> Iterator[str]:
    if cfg.TRAIN.LR_WARMUP.WARMUP and not 0 < cfg.TRAIN.LR_WARMUP.EPOCH < cfg.TRAIN.EPOCH:
        yield (
            f"TRAIN.LR_WARMUP.EPOCH: expected 1 to EPOCH - 1 ({cfg.TRAIN.EPOCH - 1}), since the warm-up is part of "
            f"EPOCH; got {cfg.TRAIN.LR_WARMUP.EPOCH}. Make it shorter or set LR_WARMUP.WARMUP to false"
        )
    if cfg.BACKBONE.TRAIN_EPOCH < 0:
        yield f"BACKBONE.TRAIN_EPOCH: expected 0 (train from the start) or more; got {cfg.BACKBONE.TRAIN_EPOCH}"
    warmup_epochs = cfg.TRAIN.LR_WARMUP.EPOCH if cfg.TRAIN.LR_WARMUP.WARMUP else 0
    for name, node, epochs in (
        ("TRAIN.LR", cfg.TRAIN.LR, cfg.TRAIN.EPOCH - warmup_epochs),
        ("TRAIN.LR_WARMUP", cfg.TRAIN.LR_WARMUP, warmup_epochs),
    ):
        steps = node.KWARGS.get("steps", []) if node.TYPE == "multi-step" else []
        if list(steps) != sorted(steps) or any(not 0 < step < epochs for step in steps):
            yield (
                f"{name}.KWARGS.steps: expected rising epochs from 1 to {epochs - 1} (this schedule lasts {epochs}); "
                f"got {list(steps)}"
            )


def _datasets(cfg: CfgNode) -> Iterator[str]:
    if not cfg.DATASET.NAMES:
        yield "DATASET.NAMES: expected at least one data set; got none"
    for name in cfg.DATASET.NAMES:
        node = cfg.DATASET.get(name)
        if not isinstance(node, CfgNode) or "ROOT" not in node:
            continue  # a prepared set may describe itself, see pysot/datasets/dataset_yaml.py
        if node.FRAME_RANGE < 0 or node.NUM_USE == 0 or node.NUM_USE < -1:
            yield (
                f"DATASET.{name}: expected FRAME_RANGE >= 0 and NUM_USE -1 (all) or above 0; "
                f"got {node.FRAME_RANGE} and {node.NUM_USE}"
            )
