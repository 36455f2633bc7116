"""Load a tracker from an experiment, a training run, a checkpoint or the name of published weights.

`load_tracker` is also `pysot.load_tracker`; the other functions are its parts, which tools use too. A checkpoint that
was written here knows its config, see `pysot.core.stored_config`; a config that is given comes first.
"""

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

import torch
from yacs.config import CfgNode

from pysot.core.config import load_config
from pysot.core.stored_config import load_stored_config
from pysot.engine.checkpoint import epoch_checkpoints, latest_path
from pysot.models.model_builder import ModelBuilder, build_model
from pysot.toolkit.protocol import Tracker
from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker
from pysot.utils.device_builder import open_device
from pysot.utils.files import find_path
from pysot.utils.model_load import OtherNetwork, load_state, read_checkpoint
from pysot.utils.published_weights import PUBLISHED, find_weights
from pysot.utils.weight_families import family_of

PathLike = str | os.PathLike[str]
_CONFIG = "config.yaml"


class Source(NamedTuple):
    """Files of a tracker: its weights, and its config unless the weights know it."""

    config: Path | None
    snapshot: Path


@overload
def load_tracker(
    source: PathLike,
    snapshot: PathLike | None = ...,
    *,
    device: str = ...,
    precision: str | None = ...,
    targets: Literal[1] = ...,
) -> Tracker: ...


@overload
def load_tracker(
    source: PathLike,
    snapshot: PathLike | None = ...,
    *,
    device: str = ...,
    precision: str | None = ...,
    targets: int,
) -> Tracker | BatchTracker: ...


def load_tracker(
    source: PathLike,
    snapshot: PathLike | None = None,
    *,
    device: str = "auto",
    precision: str | None = None,
    targets: int = 1,
) -> Tracker | BatchTracker:
    """Return a tracker with its weights, ready to start.

    With one target: `init(frame, box)`, then `track(frame)` returns {"bbox": box, "best_score": confidence in [0, 1]},
    of masks also "polygon" and "mask". With more `targets` it is a `BatchTracker` of so many slots. Frames are uint8
    (H, W, 3) BGR or (H, W) grey; boxes are x, y, width, height in pixels.

    `source` is, in this order:
    1. a folder: of an experiment, whose config.yaml is used, or of a training run. Its weights are `snapshot`, or
       checkpoint_e{n}.pth of the last epoch, else model.pth, else latest.pth; in it, else in its folder snapshot;
    2. a config, a file *.yaml or *.yml; without a snapshot as for its folder;
    3. a checkpoint that knows its config: those that training has written;
    4. a name of published weights that are in pretrained_models; their config is experiments/<name>/config.yaml.
    Paths are relative to the current folder, else to the repository, `snapshot` also to the folder of the config.

    `device`: auto (NPU, GPU or CPU, the first that exists), npu, cuda, cpu, or a card such as npu:3. `precision`: fp32,
    bf16 or fp16, by default TRACK.PRECISION of the config. Nothing is downloaded.

    Raises FileNotFoundError for files that are missing, ValueError for an unknown name, for a checkpoint that needs a
    config, for weights of another network than the config's, and as `load_config` and `choose_device`.
    """
    if targets < 1:
        raise ValueError(f"targets: expected a whole number, 1 or more, got {targets}")
    files = find_source(source, snapshot)
    content = read_checkpoint(files.snapshot)
    if family_of(content["state_dict"]) is None:
        raise ValueError(
            f"{files.snapshot}: expected the weights of a tracker, got those of a backbone or of another program; take "
            "a checkpoint of training or a published tracker"
        )
    options = [] if precision is None else ["TRACK.PRECISION", precision]
    if files.config is not None:
        cfg = load_config(files.config, options)
    else:
        cfg = load_stored_config(_stored_text(content, files.snapshot), str(files.snapshot), options)
    opened = open_device(device, cfg)
    model = load_network(cfg, content, files.snapshot).to(opened).eval()
    return build_tracker(model, cfg) if targets == 1 else build_batch_tracker(model, cfg, targets)


def load_network(cfg: CfgNode, content: Mapping[str, Any], snapshot: PathLike) -> ModelBuilder:
    """Return the network of a config with the weights of a checkpoint, the `content` of the file `snapshot`.

    The state of torch's random numbers does not change. Raises OtherNetwork for weights that do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        model = build_model(cfg)
    try:
        load_state(model, content["state_dict"], str(snapshot))
    except OtherNetwork as error:
        hint = ". It knows the config that it was trained with: leave out the other one" if "config" in content else ""
        raise OtherNetwork(f"{error}{hint}") from None
    return model


def read_config(config: PathLike | None, snapshots: Sequence[Path], opts: Sequence = ()) -> CfgNode:
    """Return the config of a file, without one that of the snapshots, overridden by `opts`.

    Raises as `load_config`, and ValueError if there is no snapshot either, if one does not know its config, or if they
    were trained with different ones.
    """
    if config is not None:
        return load_config(Path(config), opts)
    if not snapshots:
        raise ValueError("expected --config or --snapshot, got neither; an untrained network needs --config FILE")
    first, *others = snapshots
    text = _stored_text(read_checkpoint(first), first)
    for other in others:
        if _stored_text(read_checkpoint(other), other) != text:
            raise ValueError(
                f"{other} has another config than {first}; use one command for each, or --config FILE for both"
            )
    return load_stored_config(text, str(first), opts)


def _stored_text(content: Mapping[str, Any], snapshot: Path) -> str:
    """Return the config in a checkpoint. Raises ValueError for one without."""
    text = content.get("config")
    if not isinstance(text, str) or not text:
        family = family_of(content["state_dict"])
        such = f", such as experiments/{family.experiment}/{_CONFIG}" if family else ""
        raise ValueError(
            f"{snapshot} does not know its config, like checkpoints of earlier versions and of others; name the "
            f"one that it was trained with{such}: --config FILE, in Python load_tracker(config, snapshot)"
        )
    return text


def find_source(source: PathLike, snapshot: PathLike | None = None) -> Source:
    """Return the files of a tracker, see `load_tracker` for the order. Raises FileNotFoundError and ValueError."""
    try:
        path = find_path(source, "the tracker", "")
    except FileNotFoundError:
        return _find_by_name(os.fspath(source), snapshot)
    if path.is_dir():
        config = path / _CONFIG
        return Source(config if config.is_file() else None, _find_snapshot(path, snapshot))
    if path.suffix in (".yaml", ".yml"):
        return Source(path, _find_snapshot(path.parent, snapshot))
    if snapshot is not None:
        raise ValueError(
            f"expected a folder or a config (*.yaml) before the snapshot {snapshot}, got the file {path}; leave one out"
        )
    return Source(None, path)


def _find_snapshot(folder: Path, snapshot: PathLike | None) -> Path:
    """Return a given snapshot, or the one to use of the folder of a config or a training run."""
    if snapshot is not None:
        inside = folder / snapshot
        return inside if inside.is_file() else find_path(snapshot, "snapshot", f"It may also be in {folder}")
    for place in (folder, folder / "snapshot"):
        for path in (*(path for _, path in epoch_checkpoints(place)), place / "model.pth", latest_path(place)):
            if path.is_file():
                return path
    fetch = f", or fetch published weights: python tools/get_weights.py {folder.name}" if _is_tracker(folder) else ""
    raise FileNotFoundError(
        f"no snapshot in {folder}, expected checkpoint_e<n>.pth, model.pth or latest.pth, there or in its folder "
        f"snapshot; name one{fetch}"
    )


def _is_tracker(folder: Path) -> bool:
    return folder.name in PUBLISHED and PUBLISHED[folder.name].convert is None


def _find_by_name(name: str, snapshot: PathLike | None) -> Source:
    """Return the files of published weights. Raises FileNotFoundError or ValueError that says what was expected."""
    if re.search(r"[/\\]|\.(pth|pt|yaml|yml)$", name):
        folder = Path(name).parent
        others = difflib.get_close_matches(Path(name).name, os.listdir(folder) if folder.is_dir() else [], n=3)
        near = f"; did you mean {' or '.join(str(folder / other) for other in others)}?" if others else ""
        raise FileNotFoundError(f"expected a folder, a config or a checkpoint, found nothing at {name}{near}")
    try:
        weights = find_weights(name)
    except ValueError as error:
        raise ValueError(
            f"expected a folder, a config, a checkpoint or the name of published weights, got {name!r}: {error}"
        ) from None
    if weights.convert is not None:
        raise ValueError(f"expected the name of a published tracker, got {name!r}, weights of a backbone alone")
    config = find_path(f"experiments/{name}/{_CONFIG}", f"the config of {name}", "Name a config and a snapshot")
    if snapshot is not None:
        return Source(config, _find_snapshot(config.parent, snapshot))
    fetch = f"Fetch it: python tools/get_weights.py {name}"
    return Source(config, find_path(f"pretrained_models/{weights.file}", f"the weights {name}", fetch))
