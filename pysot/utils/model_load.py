"""Read checkpoints and load their weights into networks.

Files are read with `weights_only=True`: code in a pickle is refused, never executed. NumPy's numbers and arrays of
numbers, which learning-rate schedules leave in optimizers, are accepted; they become numbers and tensors.
"""

import logging
import pickle
import re
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pysot.utils.weight_families import MASK_PARTS, family_difference, torchvision_architecture

logger = logging.getLogger(__name__)
KeyPath = tuple[Any, ...]  # keys from the root of a checkpoint to a nested dict
# Keys of the weights in checkpoints of other programs, in the order of preference.
_KEYS = ("state_dict", "model", "net", "network", "model_state_dict", "model_state", "weights", "params")
_PARTS = ("backbone", "neck", "rpn_head", "head", "ban_head", *MASK_PARTS)  # of a network, if each has a separate dict
_DEPTH = 3  # levels of nested dicts that are searched for weights
_NUMBERS = "?bBhHiIlLqQefdFD"  # NumPy's type codes of booleans and numbers


class OtherNetwork(ValueError):
    """Weights that belong to another network than the one they are loaded into."""


def _safe_numpy() -> list[Any]:
    """Return the functions and types in pickles of NumPy's plain values, under the names of NumPy 1 and 2."""
    make_scalar: Any = np.float64(0).__reduce__()[0]
    make_array: Any = np.zeros(0).__reduce__()[0]
    functions = [
        (function, f"numpy.{core}.multiarray.{name}")
        for function, name in ((make_scalar, "scalar"), (make_array, "_reconstruct"))
        for core in ("core", "_core")
    ]
    return [*functions, np.ndarray, np.dtype, *{type(np.dtype(kind)) for kind in _NUMBERS}]


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Return the dict in a checkpoint file, with tensors on the CPU and the weights under "state_dict".

    The file may have its weights there, under another common key, or consist of them. Raises FileNotFoundError if the
    file is missing, ValueError if it is cut off, damaged, no checkpoint, or holds anything but tensors and plain
    values.
    """
    path = Path(path)
    damaged = _damaged_part(path)
    if damaged:
        raise ValueError(
            f"checkpoint {path} is damaged: {damaged} in it does not have its checksum; copy it again or take an "
            "earlier one"
        )
    try:
        with torch.serialization.safe_globals(_safe_numpy()):
            content = _without_numpy(torch.load(path, map_location="cpu", weights_only=True))
    except (FileNotFoundError, IsADirectoryError):
        raise FileNotFoundError(f"no checkpoint file {path}") from None
    except PermissionError:
        raise PermissionError(f"checkpoint {path} may not be read; change its permissions") from None
    except pickle.UnpicklingError as error:
        name = re.search(r"GLOBAL (\S+)", str(error))
        reason = f", such as {name.group(1)}" if name else ""
        raise ValueError(
            f"checkpoint {path} was refused: it is damaged or holds more than tensors and plain values{reason}. "
            "Its code was not executed; get the file from a source that you trust"
        ) from None
    except Exception as error:  # the reader may raise anything for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"checkpoint {path} is cut off or no checkpoint ({reason}); copy it again or take an earlier one"
        ) from None
    if not isinstance(content, dict):
        raise ValueError(
            f"checkpoint {path} holds a {type(content).__name__}, expected a dict with 'state_dict' or a state dict"
        )
    content = _with_state_dict(content, path)
    if not all(isinstance(name, str) for name in content["state_dict"]):
        raise ValueError(
            f"checkpoint {path} has names that are not strings; expected a state dict as written by "
            "torch.save(model.state_dict(), ...)"
        )
    return content


def _damaged_part(path: Path) -> str:
    """Return the first file in a checkpoint whose checksum is wrong; "" if all are right or there are no checksums.

    PyTorch does not check them.
    """
    try:
        with zipfile.ZipFile(path) as parts:
            for part in parts.infolist():
                if part.CRC:  # 0 without a checksum, see torch.serialization.set_crc32_options
                    try:
                        with parts.open(part) as stream:
                            while stream.read(1 << 24):
                                pass
                    except zipfile.BadZipFile:
                        return part.filename
    except (OSError, zipfile.BadZipFile):  # a checkpoint in the old format, or no checkpoint
        pass
    return ""


def _without_numpy(value: Any) -> Any:
    """Return a value with numbers in place of NumPy's scalars, and tensors in place of its arrays."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.astype(value.dtype.newbyteorder("="), copy=True))
    if isinstance(value, dict):
        return {_without_numpy(key): _without_numpy(item) for key, item in value.items()}
    return type(value)(map(_without_numpy, value)) if type(value) in (list, tuple) else value


def _with_state_dict(content: dict[Any, Any], path: Path) -> dict[str, Any]:
    """Return the content with its weights under "state_dict". Raises ValueError if several dicts may be the weights."""
    weights = _join_parts(dict(_find_weights(content)))
    if ("state_dict",) in weights:
        return {**content, "state_dict": weights["state_dict",]}
    if not weights:
        return content if isinstance(content.get("state_dict"), dict) else {"state_dict": content}
    counts = {keys: sum(isinstance(value, torch.Tensor) for value in state.values()) for keys, state in weights.items()}
    likely = [keys for keys in weights if 2 * counts[keys] > max(counts.values())]
    named = [keys for keys in likely if keys and keys[-1] in _KEYS] or likely
    chosen = min(named, key=_preference)
    if len(likely) > 1 and not (chosen and chosen[-1] in _KEYS):
        listed = ", ".join(".".join(map(str, keys)) for keys in likely)
        raise ValueError(
            f"checkpoint {path} has weights under {listed}, none of which is called state_dict; save only the ones "
            "that you mean, or join them"
        )
    if not chosen:
        return {"state_dict": weights[chosen]}
    logger.info("%s has its weights under %s", path, ".".join(map(str, chosen)))
    return {**{key: value for key, value in content.items() if key != chosen[0]}, "state_dict": weights[chosen]}


def _preference(keys: KeyPath) -> tuple[int, int]:
    """Return a sort key of weights: those under no known key first, then the order of `_KEYS`; shorter paths first."""
    return (_KEYS.index(keys[-1]) if keys and keys[-1] in _KEYS else -1, len(keys))


def _join_parts(weights: dict[KeyPath, dict[Any, Any]]) -> dict[KeyPath, dict[Any, Any]]:
    """Join neighbouring dicts of the parts of a network into one, with the names of the entire network."""
    for parent in {keys[:-1] for keys in weights if keys}:
        parts = {keys: weights[keys] for keys in ((*parent, part) for part in _PARTS) if keys in weights}
        if len(parts) > 1:
            joined = {f"{keys[-1]}.{name}": value for keys, state in parts.items() for name, value in state.items()}
            weights = {**{keys: state for keys, state in weights.items() if keys not in parts}, parent: joined}
    return weights


def _find_weights(content: dict[Any, Any], keys: KeyPath = ()) -> Iterator[tuple[KeyPath, dict[Any, Any]]]:
    """Yield the path and content of each dict with tensors in a checkpoint, except in optimizers."""
    if any(isinstance(value, torch.Tensor) for value in content.values()):
        yield keys, content
    for key, value in content.items():
        if isinstance(value, dict) and len(keys) < _DEPTH and "param_groups" not in value:
            yield from _find_weights(value, (*keys, key))


def remove_wrapper_prefixes(state: dict[str, Any], own: Collection[str]) -> dict[str, Any]:
    """Remove the prefix that wrappers put before all names (module., _orig_mod., model.), so that they match `own`."""
    prefixes: Counter[str] = Counter()
    for name in state:
        parts = name.split(".")
        prefixes.update(".".join(parts[:cut]) + "." for cut in range(1, len(parts)) if ".".join(parts[cut:]) in own)
    prefix, count = prefixes.most_common(1)[0] if prefixes else ("", 0)
    if count <= sum(name in own for name in state):
        return state
    # Other prefixes of equally many names, such as model_ema., mark further copies of the weights.
    copies = tuple(
        other
        for other, other_count in prefixes.items()
        if other_count == count and other != prefix and not other.startswith(prefix)
    )
    return {name.removeprefix(prefix): value for name, value in state.items() if not name.startswith(copies)}


def load_pretrain(model: nn.Module, pretrained_path: str | Path, may_lack: Sequence[str] = ()) -> nn.Module:
    """Load the weights of a checkpoint into a network or into its backbone alone, and return `model`.

    Prefixes of wrappers, such as `module.`, are removed. A network takes a checkpoint of the entire network, or a file
    of backbone weights (the rest keeps its values, with a warning). A backbone takes its part of a checkpoint of the
    entire network, or a file of backbone weights. Parts of the network in `may_lack` keep their values, with a warning,
    if the checkpoint has nothing of them.

    Raises as `read_checkpoint`, and OtherNetwork that names both kinds of trackers, or the weights that differ, if they
    belong to another network; it is then unchanged.
    """
    load_state(model, read_checkpoint(pretrained_path)["state_dict"], str(pretrained_path), may_lack)
    return model


def load_state(model: nn.Module, state: dict[str, Any], source: str, may_lack: Sequence[str] = ()) -> None:
    """Load a state dict by the rules of `load_pretrain`; `source` names it in errors."""
    own = model.state_dict()
    state = remove_wrapper_prefixes(
        {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}, own
    )
    is_network_file = any(name.startswith("backbone.") for name in state)
    is_network = any(name.startswith("backbone.") for name in own)
    if is_network and not _has_other_parts(state, is_network_file):
        logger.warning("%s holds backbone weights only; neck and heads keep their values", source)
        backbone = model.backbone
        assert isinstance(backbone, nn.Module)
        load_state(backbone, state, source)
        return
    if is_network_file and not is_network:
        state = {name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")}
    if not is_network and not set(state) & set(own) and {f"features.{name}" for name in state} & set(own):
        state = {f"features.{name}": value for name, value in state.items()}
    for part in may_lack:
        if any(name.startswith(f"{part}.") for name in own) and not any(name.startswith(f"{part}.") for name in state):
            logger.warning("%s has no %s, which keeps its values", source, part)
            own = {name: value for name, value in own.items() if not name.startswith(f"{part}.")}
    _check_state(own, state, is_network, source)
    model.load_state_dict({**model.state_dict(), **{name: state.get(name, value) for name, value in own.items()}})
    logger.info("loaded %d tensors from %s", len(set(state) & set(own)), source)


def _has_other_parts(state: dict[str, Any], is_network_file: bool) -> bool:
    """Return whether a state dict has weights of other parts than the backbone."""
    if is_network_file:
        return any(not name.startswith("backbone.") for name in state)
    return any(name.startswith(("rpn_head.", "neck.")) for name in state)


def _check_state(own: dict[str, Any], state: dict[str, Any], is_network: bool, source: str) -> None:
    """Raise ValueError if `state` does not fit the weights `own` of a network, or has non-finite values."""
    problems = _differences(own, state, is_network)
    if problems and (architecture := torchvision_architecture(state)):
        raise ValueError(
            f"{source} holds ImageNet weights as torchvision has them; convert them first: python "
            f"tools/convert_pretrained.py {architecture} {source} pretrained_models/{architecture}.model "
            "(pretrained_models/README.md)"
        )
    if is_network and (difference := family_difference(own, state)):
        raise OtherNetwork(f"{source} {difference}")
    if problems:
        raise OtherNetwork(
            f"{source} holds the weights of another architecture: {'; '.join(problems)}. Use the config that it was "
            "trained with"
        )
    broken = [
        name
        for name in own
        if name in state and state[name].is_floating_point() and not torch.isfinite(state[name]).all()
    ]
    if broken:
        raise ValueError(f"{source} holds NaN or infinity in {_shorten('weights', broken)}; take an earlier checkpoint")


def _differences(own: dict[str, Any], state: dict[str, Any], is_network: bool) -> list[str]:
    """Describe why `state` does not fit `own`.

    A backbone file may have more weights (a classifier, unused stages). Counters of batches may be missing.
    """
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unknown = [name for name in state if name not in own] if is_network else []
    shapes = [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    texts = [_shorten("missing", missing), _shorten("unknown", unknown), _shorten("shape", shapes)]
    return [text for text in texts if text]


def _shorten(title: str, names: list[str]) -> str:
    """Return a title and the first three names; "" without names."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{title}: {', '.join(names[:3])}{more}" if names else ""
