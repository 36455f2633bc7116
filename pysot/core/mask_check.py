"""Checks of SiamMask's config values, see `config_check`."""

from collections.abc import Iterator

from yacs.config import CfgNode

_MASK_PIXELS = 63 * 63
_WINDOW = 127  # pixels per side of a refined mask
_REFINE_CHANNELS = [64, 256, 512]  # the defaults of REFINE.KWARGS
_CORR_CHANNELS = 256


def mask_problems(cfg: CfgNode, channels: list[int]) -> Iterator[str]:
    """Yield the problems of MASK and REFINE for a backbone whose levels have these channels."""
    if not cfg.MASK.MASK:
        if cfg.REFINE.REFINE:
            yield "REFINE.REFINE: expected false without MASK.MASK; got true. Set both or neither"
        return
    if not cfg.ADJUST.ADJUST or cfg.RPN.TYPE != "DepthwiseRPN":
        yield (
            "MASK.MASK: expected ADJUST.ADJUST true and RPN.TYPE DepthwiseRPN, which SiamMask is built on; "
            f"got {cfg.ADJUST.ADJUST} and {cfg.RPN.TYPE}"
        )
        return
    for key in ("TRAIN.EXEMPLAR_SIZE", "TRACK.EXEMPLAR_SIZE"):
        section, name = key.split(".")
        if cfg[section][name] != _WINDOW:
            yield f"{key}: expected {_WINDOW} with MASK.MASK, the side of a mask's window; got {cfg[section][name]}"
    hidden = cfg.MASK.KWARGS.get("hidden")
    for key, expected in (
        ("in_channels", list(cfg.ADJUST.KWARGS.get("out_channels", []))[-1:]),
        ("hidden", [hidden] if type(hidden) is int and hidden > 0 else ["a whole number above 0"]),
        ("out_channels", [_MASK_PIXELS]),
    ):
        if [cfg.MASK.KWARGS.get(key)] != expected:
            yield f"MASK.KWARGS.{key}: expected {(expected or ['none'])[0]}; got {cfg.MASK.KWARGS.get(key)}"
    if cfg.REFINE.REFINE:
        yield from _refinement(cfg, channels)


def _refinement(cfg: CfgNode, channels: list[int]) -> Iterator[str]:
    if len(channels) != 4:
        yield (
            "BACKBONE.KWARGS.used_layers: expected four levels (strides 2, 4, 8, and the last one) for "
            f"REFINE.REFINE; got {cfg.BACKBONE.KWARGS.get('used_layers')}"
        )
        return
    got = list(cfg.REFINE.KWARGS.get("in_channels", _REFINE_CHANNELS))
    if got != channels[:3]:
        yield f"REFINE.KWARGS.in_channels: expected {channels[:3]}, the channels of {cfg.BACKBONE.TYPE}; got {got}"
    width, hidden = cfg.REFINE.KWARGS.get("corr_channels", _CORR_CHANNELS), cfg.MASK.KWARGS.get("hidden")
    if width != hidden:
        yield f"REFINE.KWARGS.corr_channels: expected {hidden}, MASK.KWARGS.hidden; got {width}"


def mask_training_problems(cfg: CfgNode) -> Iterator[str]:
    """Yield the problems of the training of masks."""
    if not cfg.MASK.MASK:
        return
    if cfg.TRAIN.MASK_CELLS < 1:
        yield f"TRAIN.MASK_CELLS: expected 1 or more cells per pair; got {cfg.TRAIN.MASK_CELLS}"
    if not cfg.TRAIN.MASK_WEIGHT > 0:
        yield f"TRAIN.MASK_WEIGHT: expected a number above 0 with MASK.MASK; got {cfg.TRAIN.MASK_WEIGHT}"
    if (cfg.TRAIN.SEARCH_SIZE - _WINDOW) % cfg.ANCHOR.STRIDE:
        yield (
            f"TRAIN.SEARCH_SIZE: expected {_WINDOW}, the side of a mask's window, and a multiple of ANCHOR.STRIDE "
            f"({cfg.ANCHOR.STRIDE}) pixels; got {cfg.TRAIN.SEARCH_SIZE}"
        )
    if cfg.REFINE.REFINE and (cfg.TRAIN.CLS_WEIGHT or cfg.TRAIN.LOC_WEIGHT):
        yield (
            "TRAIN.CLS_WEIGHT and TRAIN.LOC_WEIGHT: expected 0 with REFINE.REFINE, which trains the refinement of the "
            f"masks alone; got {cfg.TRAIN.CLS_WEIGHT} and {cfg.TRAIN.LOC_WEIGHT}. Set REFINE.REFINE to false to train "
            "the rest of the network first"
        )
    # A prepared set that is no section of the config may describe itself, see pysot/datasets/dataset_yaml.py.
    sections = [cfg.DATASET.get(name) for name in cfg.DATASET.NAMES]
    are_known = all(isinstance(section, CfgNode) and "ROOT" in section for section in sections)
    if are_known and not any(section.MASKS for section in sections):
        yield (
            f"DATASET.<SET>.MASKS: expected true for one of {', '.join(cfg.DATASET.NAMES)} at least, because MASK.MASK "
            "is true; got false for all. Make masks with --with-masks of tools/prepare_data.py or par_crop.py and set "
            "it to true, or set MASK.MASK to false"
        )


def mask_tracking_problems(cfg: CfgNode) -> Iterator[str]:
    """Yield the problems of a tracker of masks."""
    if cfg.TRACK.TYPE != "SiamMaskTracker":
        return
    for section, is_set in (("MASK.MASK", cfg.MASK.MASK), ("REFINE.REFINE", cfg.REFINE.REFINE)):
        if not is_set:
            yield (
                f"{section}: expected true for TRACK.TYPE SiamMaskTracker; got false. Set it to true, or TRACK.TYPE to "
                "SiamRPNTracker, which tracks boxes"
            )
    if cfg.TRACK.MASK_OUTPUT_SIZE != _WINDOW:
        yield (
            f"TRACK.MASK_OUTPUT_SIZE: expected {_WINDOW}, the side of refined masks; got {cfg.TRACK.MASK_OUTPUT_SIZE}"
        )
