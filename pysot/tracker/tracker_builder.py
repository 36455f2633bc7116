"""Build the tracker of a config around a network: for one target, or for many in lockstep."""

import hashlib
import logging
from collections.abc import Callable

import torch
from torch import nn
from yacs.config import CfgNode

from pysot.core.config import cfg as global_cfg
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.settings import Execution, TrackSettings
from pysot.tracker.siamban_tracker import SiamBANLTTracker, SiamBANTracker
from pysot.tracker.siammask_tracker import SiamMaskTracker
from pysot.tracker.siamrpn_tracker import SiamRPNTracker, has_masks, network_of
from pysot.tracker.siamrpnlt_tracker import SiamRPNLTTracker
from pysot.utils.registry import lookup

logger = logging.getLogger(__name__)
TRACKERS = {
    "SiamRPNTracker": SiamRPNTracker,
    "SiamRPNLTTracker": SiamRPNLTTracker,
    "SiamMaskTracker": SiamMaskTracker,
    "SiamBANTracker": SiamBANTracker,
    "SiamBANLTTracker": SiamBANLTTracker,
}
TRACKS = TRACKERS  # the original's name


def track_settings(cfg: CfgNode) -> TrackSettings:
    """Return the tracker settings of a config. Raises ValueError for an unknown TRACK.TYPE."""
    t, points = cfg.TRACK, lookup(TRACKERS, cfg.TRACK.TYPE, key="TRACK.TYPE").points
    stride = cfg.POINT.STRIDE if points else cfg.ANCHOR.STRIDE
    # Larger crops have as many cells more as strides fit into the pixels that they have more.
    base_size = t.OUTPUT_SIZE - (t.INSTANCE_SIZE - t.EXEMPLAR_SIZE) // stride - 1 if points else t.BASE_SIZE
    return TrackSettings(
        penalty_k=t.PENALTY_K,
        window_influence=t.WINDOW_INFLUENCE,
        lr=t.LR,
        exemplar_size=t.EXEMPLAR_SIZE,
        instance_size=t.INSTANCE_SIZE,
        base_size=base_size,
        context_amount=t.CONTEXT_AMOUNT,
        stride=stride,
        ratios=tuple(cfg.ANCHOR.RATIOS),
        scales=tuple(cfg.ANCHOR.SCALES),
        points=points,
        lost_instance_size=t.LOST_INSTANCE_SIZE,
        confidence_low=t.CONFIDENCE_LOW,
        confidence_high=t.CONFIDENCE_HIGH,
        mask_threshold=t.MASK_THERSHOLD,
        mask_size=t.MASK_OUTPUT_SIZE,
        mask_output=t.MASK_OUTPUT,
    )


def results_fingerprint(model: nn.Module, cfg: CfgNode) -> str:
    """Return a text that identifies everything that tracking results depend on.

    It is a digest of the weights and of the config sections of network and tracker, a space, and the arithmetic.
    """
    track = cfg.TRACK.clone()
    # They are part of the arithmetic, or do not matter.
    for key in ("PRECISION", "CROPS", "GRAPH", "COMPILE", "MASK_OUTPUT"):
        track.pop(key)
    heads = (cfg.BAN, cfg.POINT) if cfg.BAN.BAN else (cfg.RPN, cfg.ANCHOR)
    track.pop("BASE_SIZE" if cfg.BAN.BAN else "OUTPUT_SIZE")
    sections = "".join(map(str, (cfg.BACKBONE, cfg.ADJUST, *heads, track)))
    digest = hashlib.sha256(sections.encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return f"{digest.hexdigest()} {describe_arithmetic(next(model.parameters()).device, cfg)}"


def describe_arithmetic(device: torch.device, cfg: CfgNode) -> str:
    """Return the device type and the rounding of a tracker, such as 'cuda fp32, folded, TF32'.

    Boxes computed in two different arithmetics differ in their last digits first, and completely later.
    """
    npu_options = {
        "device crops": cfg.TRACK.CROPS != "host",  # elsewhere they are the same bytes
        "HF32 convolutions": cfg.NPU.CONV_HF32,
        "HF32 matrix products": cfg.NPU.MATMUL_HF32,
        cfg.NPU.PRECISION_MODE: cfg.NPU.PRECISION_MODE,
    }
    options = {"cuda": {"TF32": cfg.GPU.TF32}, "npu": npu_options}
    enabled = [name for name, is_on in options.get(device.type, {}).items() if is_on]
    compiled = ["compiled"] if cfg.TRACK.COMPILE else []
    return ", ".join([f"{device.type} {cfg.TRACK.PRECISION}", "folded", *compiled, *enabled])


def build_tracker(model: nn.Module, cfg: CfgNode | None = None) -> SiamRPNTracker:
    """Return the tracker of TRACK.TYPE around `model`.

    Without a config it uses the global `cfg` and follows its later changes, as trackers of the original do. Raises
    ValueError for an unknown type, for a type that is for networks with anchors or without them if this one is not, and
    for SiamMaskTracker with a network that has no masks.
    """
    tracker_type, settings, execution = _parts(cfg, model)
    return tracker_type(model, settings, execution)


def build_batch_tracker(model: nn.Module, cfg: CfgNode | None = None, slots: int = 1) -> BatchTracker:
    """Return the tracker of TRACK.TYPE for up to `slots` targets in lockstep, see `BatchTracker`.

    Settings and errors are as in `build_tracker`. Raises ValueError for a model that keeps its template itself, and
    MemoryError for more targets than fit into memory.
    """
    tracker_type, settings, execution = _parts(cfg, model)
    network = network_of(model.eval(), execution, settings, tracker_type.masks)
    return BatchTracker(network, settings, slots, long_term=tracker_type.long_term)


def _parts(
    cfg: CfgNode | None, model: nn.Module
) -> tuple[type[SiamRPNTracker], TrackSettings | Callable[[], TrackSettings], Execution]:
    """Return class, settings and execution of a tracker of `model`."""
    track = (global_cfg if cfg is None else cfg).TRACK
    settings = track_settings(cfg) if cfg is not None else lambda: track_settings(global_cfg)
    execution = Execution(track.PRECISION, track.CROPS, track.GRAPH, track.COMPILE)
    tracker_type = lookup(TRACKERS, track.TYPE, key="TRACK.TYPE")
    if has_masks(model) and not tracker_type.masks:
        logger.info("the network has a mask branch, TRACK.TYPE %s tracks boxes only", track.TYPE)
    return tracker_type, settings, execution
