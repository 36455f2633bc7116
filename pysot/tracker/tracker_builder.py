"""Build the tracker that a config describes around a network."""

import hashlib

import torch
from torch import nn
from yacs.config import CfgNode

from pysot.core.config import cfg as global_cfg
from pysot.tracker.base_tracker import TrackSettings
from pysot.tracker.siamrpn_tracker import SiamRPNTracker
from pysot.tracker.siamrpnlt_tracker import SiamRPNLTTracker
from pysot.utils.registry import lookup

TRACKERS = {"SiamRPNTracker": SiamRPNTracker, "SiamRPNLTTracker": SiamRPNLTTracker}


def track_settings(cfg: CfgNode) -> TrackSettings:
    """The tracker's settings of a config."""
    t = cfg.TRACK
    return TrackSettings(
        penalty_k=t.PENALTY_K,
        window_influence=t.WINDOW_INFLUENCE,
        lr=t.LR,
        exemplar_size=t.EXEMPLAR_SIZE,
        instance_size=t.INSTANCE_SIZE,
        base_size=t.BASE_SIZE,
        context_amount=t.CONTEXT_AMOUNT,
        stride=cfg.ANCHOR.STRIDE,
        ratios=tuple(cfg.ANCHOR.RATIOS),
        scales=tuple(cfg.ANCHOR.SCALES),
        lost_instance_size=t.LOST_INSTANCE_SIZE,
        confidence_low=t.CONFIDENCE_LOW,
        confidence_high=t.CONFIDENCE_HIGH,
    )


def results_fingerprint(model: nn.Module, cfg: CfgNode) -> str:
    """What tracking results depend on: a word for the weights and the config sections of network and tracker, and after a space the `arithmetic`."""
    digest = hashlib.sha256(
        "".join(str(cfg[section]) for section in ("BACKBONE", "ADJUST", "RPN", "ANCHOR", "TRACK")).encode()
    )
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return f"{digest.hexdigest()} {arithmetic(next(model.parameters()).device, cfg)}"


def arithmetic(device: torch.device, cfg: CfgNode) -> str:
    """What a tracker computes on and how it rounds, such as 'cuda fp32, TF32': boxes of two of these differ in their last digits, and then altogether."""
    npu = {
        "HF32 convolutions": cfg.NPU.CONV_HF32,
        "HF32 matrix products": cfg.NPU.MATMUL_HF32,
        cfg.NPU.PRECISION_MODE: cfg.NPU.PRECISION_MODE,
    }
    roundings = {"cuda": {"TF32": cfg.GPU.TF32}, "npu": npu}
    return ", ".join([f"{device.type} fp32", *(name for name, on in roundings.get(device.type, {}).items() if on)])


def build_tracker(model: nn.Module, cfg: CfgNode | None = None) -> SiamRPNTracker:
    """The tracker of TRACK.TYPE around `model`; without a config that of the global `cfg`, whose later changes it obeys, as the original's do. Raises
    ValueError for a type that is not built here.
    """
    settings = track_settings(cfg) if cfg is not None else lambda: track_settings(global_cfg)
    return lookup(TRACKERS, (global_cfg if cfg is None else cfg).TRACK.TYPE, key="TRACK.TYPE")(model, settings)
