"""Build the parts of a search from a config: its space, the settings of a tracker, and what tracks them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml
from torch import nn
from yacs.config import CfgNode

from pysot.core.config_check import check_config
from pysot.core.stored_config import config_text
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.protocol import Protocol
from pysot.tracker.network import Network
from pysot.tracker.settings import Execution
from pysot.tracker.siamrpn_tracker import network_of
from pysot.tracker.torch_network import TorchNetwork
from pysot.tracker.tracker_builder import TRACKERS, results_fingerprint, track_settings
from pysot.tuning.call_sizes import MOST, CallSizes
from pysot.tuning.rounds import Lockstep, Setting
from pysot.tuning.space import Parameter, Space, read_parameter, result_name

# The ranges of the original's hp_search.py.
RANGES = {"PENALTY_K": "0.05,0.5,0.05", "WINDOW_INFLUENCE": "0.1,0.8,0.05", "LR": "0.35,0.5,0.05"}
_NAMED = ("PENALTY_K", "WINDOW_INFLUENCE", "LR", "INSTANCE_SIZE")  # in the names of all results


def build_space(cfg: CfgNode, ranges: Mapping[str, str]) -> Space:
    """Return the space of ranges LOW,HIGH[,STEP] by keys of TRACK, by default RANGES; a range of one value is fixed.

    Raises ValueError for a key that is unknown or no number, for an invalid range, and for one that the config refuses.
    """
    parameters: list[Parameter] = []
    for key, text in {**RANGES, **ranges}.items():
        if key not in cfg.TRACK:
            raise ValueError(f"TRACK.{key} is no key of the config; TRACK has {', '.join(cfg.TRACK)}")
        parameters.append(read_parameter(key, text, cfg.TRACK[key]))
    for end in (0, 1):
        setting_config(cfg, {parameter.key: parameter.value(parameter.ends[end]) for parameter in parameters})
    return Space(tuple(parameters))


def setting_config(cfg: CfgNode, values: Mapping[str, float]) -> CfgNode:
    """Return a config with values of TRACK. Raises ValueError if it is invalid with them."""
    changed = cfg.clone()
    changed.defrost()
    for key, value in values.items():
        changed.TRACK[key] = value
    check_config(changed)
    changed.freeze()
    return changed


def build_setting(model: nn.Module, cfg: CfgNode, tracker: str, folder: Path, values: Mapping[str, float]) -> Setting:
    """Return the setting of values of TRACK; its results are in a folder of `folder`."""
    changed = setting_config(cfg, values)
    others = [key for key in values if key not in _NAMED]
    name = result_name(tracker, changed.TRACK, others)
    return Setting(name, results_fingerprint(model, changed), track_settings(changed), folder / name)


def build_lockstep(
    model: nn.Module,
    cfg: CfgNode,
    protocol: Protocol,
    sizes: CallSizes,
    workers: int,
    is_stopped: Callable[[], bool],
    dataset: Dataset,
    on_frames: Callable[[int], None],
) -> Lockstep:
    """Return what tracks a data set with settings of a network; `sizes` and `is_stopped` are those of `Lockstep`.

    Crops are cut on the host.
    """
    tracker_type, execution = TRACKERS[cfg.TRACK.TYPE], Execution(cfg.TRACK.PRECISION, "host", "off", cfg.TRACK.COMPILE)

    def make_network() -> Network:
        network = network_of(model, execution, track_settings(cfg), tracker_type.masks)
        assert isinstance(network, TorchNetwork)  # a model of this package
        if not network.static:
            network.most = MOST
        return network

    return Lockstep(dataset, protocol, make_network, sizes, tracker_type.long_term, workers, on_frames, is_stopped)


def tuned_config(cfg: CfgNode, path: str | None, opts: Sequence[str], values: Mapping[str, float], remark: str) -> str:
    """Return the YAML text of a config with values of TRACK, after a remark.

    It has what the file `path` has and the keys of `opts`, without a file what a checkpoint knows of its config.
    """
    text = Path(path).read_text(encoding="utf-8") if path else config_text(cfg)
    content = yaml.safe_load(text) or {}
    changed = setting_config(cfg, values)
    for name in [*opts[::2], *(f"TRACK.{key}" for key in values)]:
        *sections, key = name.split(".")
        source, target = changed, content
        for section in sections:
            source, target = source[section], target.setdefault(section, {})
        target[key] = source[key]
    return f"# {remark}\n{yaml.safe_dump(content, sort_keys=False)}"
