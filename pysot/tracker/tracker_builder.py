"""Build the tracker of a config around a network."""

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
    """Return the tracker settings of a config."""
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
    """Return a text that identifies everything that tracking results depend on.

    It is a digest of the weights and of the config sections of network and tracker, a space, and the arithmetic.
    """
    sections = "".join(str(cfg[section]) for section in ("BACKBONE", "ADJUST", "RPN", "ANCHOR", "TRACK"))
    digest = hashlib.sha256(sections.encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return f"{digest.hexdigest()} {describe_arithmetic(next(model.parameters()).device, cfg)}"


def describe_arithmetic(device: torch.device, cfg: CfgNode) -> str:
    """Return the device type and the rounding of a tracker, such as 'cuda fp32, TF32'.

    Boxes computed in two different arithmetics differ in their last digits first, and completely later.
    """
    npu_options = {
        "HF32 convolutions": cfg.NPU.CONV_HF32,
        "HF32 matrix products": cfg.NPU.MATMUL_HF32,
        cfg.NPU.PRECISION_MODE: cfg.NPU.PRECISION_MODE,
    }
    options = {"cuda": {"TF32": cfg.GPU.TF32}, "npu": npu_options}
    enabled = [name for name, is_on in options.get(device.type, {}).items() if is_on]
    return ", ".join([f"{device.type} fp32", *enabled])


def build_tracker(model: nn.Module, cfg: CfgNode | None = None) -> SiamRPNTracker:
    """Return the tracker of TRACK.TYPE around `model`.

    Without a config it uses the global `cfg` and follows its later changes, as trackers of the original do. Raises
    ValueError for an unknown type.
    """
    settings = track_settings(cfg) if cfg is not None else lambda: track_settings(global_cfg)
    tracker_type = (global_cfg if cfg is None else cfg).TRACK.TYPE
    return lookup(TRACKERS, tracker_type, key="TRACK.TYPE")(model, settings)
