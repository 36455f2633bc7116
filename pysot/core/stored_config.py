"""The config inside a checkpoint: YAML text of the values that determine the network and its tracker.

It has all of the sections of the network, its anchors or points and the tracker, and the sizes of the training crops,
which are checked against the network. It does not have paths, data, how the network was trained, or how a tracker is
computed on a machine (precision, crops, graph, compiled): these have their defaults where it is loaded.
"""

from collections.abc import Sequence

from yacs.config import CfgNode

from pysot.core.config import default_config
from pysot.core.config_check import check_config
from pysot.core.config_node import ConfigNode

_SECTIONS = ("ADJUST", "RPN", "BAN", "MASK", "REFINE", "ANCHOR", "POINT")
_CROP_SIZES = ("EXEMPLAR_SIZE", "SEARCH_SIZE", "BASE_SIZE", "OUTPUT_SIZE")
_MACHINE = ("PRECISION", "CROPS", "GRAPH", "COMPILE")


def config_text(cfg: CfgNode) -> str:
    """Return the YAML text of a config for its checkpoints."""
    stored = ConfigNode({section: cfg[section].clone() for section in _SECTIONS})
    stored["META_ARC"] = cfg.META_ARC
    stored["BACKBONE"] = ConfigNode({key: cfg.BACKBONE[key] for key in ("TYPE", "KWARGS")})
    stored["TRACK"] = ConfigNode({key: value for key, value in cfg.TRACK.items() if key not in _MACHINE})
    stored["TRAIN"] = ConfigNode({key: cfg.TRAIN[key] for key in _CROP_SIZES})
    return stored.dump()


def load_stored_config(text: str, source: str, opts: Sequence = ()) -> CfgNode:
    """Return the config of the text in the checkpoint `source`, overridden by `opts`, checked and frozen.

    Raises ValueError that names the checkpoint, for the reasons of `load_config`.
    """
    config = default_config()
    config.merge_from_text(text, f"{source}, its config")
    config.merge_from_list(list(opts))
    check_config(config)
    config.freeze()
    return config
