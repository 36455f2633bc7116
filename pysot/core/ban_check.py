"""Checks of the config values of networks without anchors, see `config_check`."""

from collections.abc import Iterator

from yacs.config import CfgNode

from pysot.core.backbone_facts import backbone_base_size, backbone_stride

_NANO_CELLS = 8  # template features per side


def ban_problems(cfg: CfgNode, backbone: list[int], neck: list[int]) -> Iterator[str]:
    """Yield the problems of BAN and POINT, for levels with these channels after the backbone and after the neck."""
    kind, is_nano = cfg.BACKBONE.TYPE, cfg.BAN.TYPE == "NanoBAN"
    if kind.startswith("mobilenetv3") and not (cfg.BAN.BAN and is_nano):
        got = f"BAN.TYPE {cfg.BAN.TYPE}" if cfg.BAN.BAN else "BAN.BAN false"
        yield (
            f"BACKBONE.TYPE: expected a backbone of stride 8; got {kind} and {got}. Only the head of NanoTrack is for "
            "its stride of 16: set BAN.BAN to true and BAN.TYPE to NanoBAN"
        )
        return
    if cfg.BAN.BAN != cfg.TRACK.TYPE.startswith("SiamBAN"):
        trackers, state = (
            ("SiamBANTracker or SiamBANLTTracker", "true") if cfg.BAN.BAN else ("another tracker", "false")
        )
        yield f"TRACK.TYPE: expected {trackers} with BAN.BAN {state}; got {cfg.TRACK.TYPE}. Set one to fit the other"
    if not cfg.BAN.BAN:
        return
    if is_nano and not kind.startswith("mobilenetv3"):
        yield (
            f"BACKBONE.TYPE: expected mobilenetv3_small for BAN.TYPE NanoBAN; got {kind}. Set it, or BAN.TYPE to "
            "MultiBAN or DepthwiseBAN"
        )
        return
    layers = cfg.BACKBONE.KWARGS.get("used_layers", [4])
    if is_nano and layers not in ([3], [4]):
        yield f"BACKBONE.KWARGS.used_layers: expected [4] or [3], a level of stride 16, for NanoBAN; got {layers}"
        return
    if cfg.MASK.MASK:
        yield "MASK.MASK: expected false with BAN.BAN, because SiamMask has anchors; got true. Set one of them to false"
    if cfg.POINT.STRIDE != backbone_stride(kind):
        yield f"POINT.STRIDE: expected {backbone_stride(kind)}, the stride of {kind}; got {cfg.POINT.STRIDE}"
    classes = cfg.BAN.KWARGS.get("cls_out_channels", 2)
    if classes != 2:
        yield f"BAN.KWARGS.cls_out_channels: expected 2, background and object; got {classes}"
    source = f"the channels of {kind}" if is_nano or not cfg.ADJUST.ADJUST else "ADJUST.KWARGS.out_channels"
    yield from _head_channels(cfg, backbone if is_nano else neck, source)


def _head_channels(cfg: CfgNode, channels: list[int], source: str) -> Iterator[str]:
    kind = cfg.BAN.TYPE
    if kind != "MultiBAN" and len(channels) > 1:
        yield f"BAN.TYPE: expected MultiBAN for {len(channels)} feature levels; got {kind}"
        return
    expected = channels if kind == "MultiBAN" else channels[0]
    default = {"DepthwiseBAN": 256, "NanoBAN": 96}.get(kind)
    got = cfg.BAN.KWARGS.get("in_channels", default)
    if got != expected:
        yield f"BAN.KWARGS.in_channels: expected {expected} ({source}); got {'none' if got is None else got}"


def point_count_problems(cfg: CfgNode) -> Iterator[str]:
    """Yield the problems of the sizes of crops and score maps of a network without anchors."""
    more = cfg.TRACK.LOST_INSTANCE_SIZE - cfg.TRACK.INSTANCE_SIZE
    if cfg.TRACK.TYPE == "SiamBANLTTracker" and (more < 0 or more % cfg.POINT.STRIDE):
        yield (
            f"TRACK.LOST_INSTANCE_SIZE: expected TRACK.INSTANCE_SIZE ({cfg.TRACK.INSTANCE_SIZE}) plus a multiple of "
            f"POINT.STRIDE ({cfg.POINT.STRIDE}); got {cfg.TRACK.LOST_INSTANCE_SIZE}"
        )
    is_nano = cfg.BAN.TYPE == "NanoBAN"
    for section, key in (("TRAIN", "SEARCH_SIZE"), ("TRACK", "INSTANCE_SIZE")):
        node = cfg[section]
        if is_nano and -(-node.EXEMPLAR_SIZE // 16) != _NANO_CELLS:
            yield (
                f"{section}.EXEMPLAR_SIZE: expected 113 to 128 for BAN.TYPE NanoBAN, which has {_NANO_CELLS} x "
                f"{_NANO_CELLS} template cells of 16 pixels; got {node.EXEMPLAR_SIZE}"
            )
        if is_nano:
            expected = -(-node[key] // 16) - 1
        else:
            expected = (node[key] - node.EXEMPLAR_SIZE) // 8 + 1 + backbone_base_size(cfg.BACKBONE.TYPE)
        if node.OUTPUT_SIZE != expected:
            yield (
                f"{section}.OUTPUT_SIZE: expected {expected}, the points per side of {section}.{key} {node[key]}; "
                f"got {node.OUTPUT_SIZE}. Set it to {expected}"
            )
