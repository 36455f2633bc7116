"""Read checkpoints and put their weights into networks.

Files are read with `weights_only=True`: code in a pickle is refused, never run. Numbers and arrays of numbers of NumPy, which learning-rate schedules leave in
optimizers, are plain values; they come back as numbers and tensors.
"""

import logging
import pickle
import re
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

logger = logging.getLogger(__name__)
# Where weights lie in checkpoints of other programs, the first that is there.
_KEYS = ("state_dict", "model", "net", "network", "model_state_dict", "model_state", "weights", "params")
_PARTS = ("backbone", "neck", "rpn_head")  # of a network, where each has a dict of its own
_DEPTH = 3  # dicts within dicts in which weights are looked for
_NUMBERS = "?bBhHiIlLqQefdFD"  # NumPy's types of truth values and numbers


def _safe_numpy() -> list:
    """What pickles of NumPy's plain values name, by the names of NumPy 1 and 2."""
    scalar, array = np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]
    functions = [
        (made, f"numpy.{core}.multiarray.{name}")
        for made, name in ((scalar, "scalar"), (array, "_reconstruct"))
        for core in ("core", "_core")
    ]
    return [*functions, np.ndarray, np.dtype, *{type(np.dtype(kind)) for kind in _NUMBERS}]


def read_checkpoint(path: str | Path) -> dict:
    """The dict in a checkpoint file, tensors on the CPU, its weights under "state_dict", whether they lie there, under another usual key, or are all of it.

    Raises FileNotFoundError if there is none, ValueError if the file is cut off, damaged, no checkpoint, or holds anything but tensors and plain values.
    """
    path = Path(path)
    damaged = _damaged_part(path)
    if damaged:
        raise ValueError(
            f"checkpoint {path} is damaged: {damaged} in it does not have its checksum; copy it again or take an earlier one"
        )
    try:
        with torch.serialization.safe_globals(_safe_numpy()):
            content = _plain(torch.load(path, map_location="cpu", weights_only=True))
    except (FileNotFoundError, IsADirectoryError):
        raise FileNotFoundError(f"no checkpoint file {path}") from None
    except PermissionError:
        raise PermissionError(f"checkpoint {path} may not be read; change its permissions") from None
    except pickle.UnpicklingError as error:
        name = re.search(r"GLOBAL (\S+)", str(error))
        reason = f", such as {name.group(1)}" if name else ""
        raise ValueError(
            f"checkpoint {path} was refused: it is damaged or holds more than tensors and plain values{reason}. "
            "Its code was not run; get the file from a source that you trust"
        ) from None
    except Exception as error:  # a damaged file may raise anything on its way through the reader
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
            f"checkpoint {path} has names that are no text; expected a state dict as torch.save(model.state_dict(), ...) writes it"
        )
    return content


def _damaged_part(path: Path) -> str:
    """The first file in a checkpoint whose bytes are not those that were written, which PyTorch does not look at; "" if there is none, or no checksums."""
    try:
        with zipfile.ZipFile(path) as parts:
            for part in parts.infolist():
                if part.CRC:  # 0: written without, by torch.serialization.set_crc32_options(False)
                    try:
                        with parts.open(part) as stream:
                            while stream.read(1 << 24):
                                pass
                    except zipfile.BadZipFile:
                        return part.filename
    except (OSError, zipfile.BadZipFile):  # of an old layout, or no checkpoint
        pass
    return ""


def _plain(value):
    """A value without NumPy: numbers for its scalars, tensors for its arrays."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.astype(value.dtype.newbyteorder("="), copy=True))
    if isinstance(value, dict):
        return {_plain(key): _plain(part) for key, part in value.items()}
    return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value


def _with_state_dict(content: dict, path: Path) -> dict:
    """The content with its weights under "state_dict", wherever in it they lie. Raises ValueError where they may be in several places."""
    found = _with_parts_joined(dict(_weights_in(content)))
    if ("state_dict",) in found:
        return {**content, "state_dict": found["state_dict",]}
    if not found:
        return content if isinstance(content.get("state_dict"), dict) else {"state_dict": content}
    counts = {
        place: sum(isinstance(value, torch.Tensor) for value in weights.values()) for place, weights in found.items()
    }
    likely = {place: found[place] for place, count in counts.items() if 2 * count > max(counts.values())}
    named = [place for place in likely if place and place[-1] in _KEYS] or list(likely)
    place = min(named, key=lambda place: (_KEYS.index(place[-1]) if place and place[-1] in _KEYS else -1, len(place)))
    if len(likely) > 1 and not (place and place[-1] in _KEYS):
        places = ", ".join(".".join(map(str, place)) for place in likely)
        raise ValueError(
            f"checkpoint {path} has weights under {places}, none of which is called state_dict; save the one that is meant alone, or join them"
        )
    if not place:
        return {"state_dict": found[place]}
    logger.info("%s has its weights under %s", path, ".".join(map(str, place)))
    return {**{key: value for key, value in content.items() if key != place[0]}, "state_dict": found[place]}


def _with_parts_joined(found: dict[tuple, dict]) -> dict[tuple, dict]:
    """The places of weights, where dicts of parts that lie beside each other are one, with the names of the whole network."""
    for parent in {place[:-1] for place in found if place}:
        parts = {place: found[place] for place in ((*parent, key) for key in _PARTS) if place in found}
        if len(parts) > 1:
            joined = {
                f"{place[-1]}.{name}": value for place, weights in parts.items() for name, value in weights.items()
            }
            found = {**{place: weights for place, weights in found.items() if place not in parts}, parent: joined}
    return found


def _weights_in(content: dict, place: tuple = ()) -> Iterator[tuple[tuple, dict]]:
    """(keys on the way, weights) of the dicts with tensors in a checkpoint, optimizers left out."""
    if any(isinstance(value, torch.Tensor) for value in content.values()):
        yield place, content
    for key, value in content.items():
        if isinstance(value, dict) and len(place) < _DEPTH and "param_groups" not in value:
            yield from _weights_in(value, (*place, key))


def without_wrappers(state: dict, own: Collection[str]) -> dict:
    """The state with names as those of `own`: what wrappers put before all of them (module., _orig_mod., model.) is cut off."""
    before = Counter(
        ".".join(parts[:cut]) + "."
        for name in state
        for parts in (name.split("."),)
        for cut in range(1, len(parts))
        if ".".join(parts[cut:]) in own
    )
    prefix, count = before.most_common(1)[0] if before else ("", 0)
    if count <= sum(name in own for name in state):
        return state
    copies = tuple(
        other
        for other, others in before.items()
        if others == count and other != prefix and not other.startswith(prefix)
    )  # such as model_ema.
    return {name.removeprefix(prefix): value for name, value in state.items() if not name.startswith(copies)}


def load_pretrain(model: nn.Module, pretrained_path: str | Path) -> nn.Module:
    """Load the weights of a checkpoint into a network or into its backbone alone, and return `model`.

    Prefixes of wrappers, such as `module.`, are cut off. A network takes a whole checkpoint, or a file of backbone weights (the rest keeps its values, with a
    warning). A backbone takes its share of a whole checkpoint, or a file of its own. Raises as `read_checkpoint`, and ValueError that lists the names when the
    weights are those of another architecture; the network is then as it was.
    """
    load_state(model, read_checkpoint(pretrained_path)["state_dict"], source=str(pretrained_path))
    return model


def load_state(model: nn.Module, state: dict, source: str) -> None:
    """Load a state dict by the rules of `load_pretrain`; `source` names it in errors."""
    own = model.state_dict()
    state = without_wrappers({name: value for name, value in state.items() if isinstance(value, torch.Tensor)}, own)
    whole_file = any(name.startswith("backbone.") for name in state)
    whole_model = any(name.startswith("backbone.") for name in own)
    if whole_model and not any(
        not name.startswith("backbone.") if whole_file else name.startswith(("rpn_head.", "neck.")) for name in state
    ):
        logger.warning("%s holds backbone weights only; neck and heads keep their values", source)
        load_state(model.backbone, state, source)
        return
    if whole_file and not whole_model:
        state = {name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")}
    if not whole_model and not set(state) & set(own) and {f"features.{n}" for n in state} & set(own):
        state = {f"features.{name}": value for name, value in state.items()}
    problems = _differences(own, state, whole_model)
    if problems and (architecture := _torchvision(state)):
        raise ValueError(
            f"{source} holds ImageNet weights as torchvision has them; convert them first: python tools/convert_pretrained.py {architecture} "
            f"{source} pretrained_models/{architecture}.model (pretrained_models/README.md)"
        )
    if problems:
        raise ValueError(
            f"{source} holds the weights of another architecture: {'; '.join(problems)}. Use the config that it was trained with"
        )
    broken = [
        name
        for name in own
        if name in state and state[name].is_floating_point() and not torch.isfinite(state[name]).all()
    ]
    if broken:
        raise ValueError(f"{source} holds NaN or infinity in {_names('weights', broken)}; take an earlier checkpoint")
    model.load_state_dict({name: state.get(name, value) for name, value in own.items()})
    logger.info("loaded %d tensors from %s", len(set(state) & set(own)), source)


def _torchvision(state: dict) -> str:
    """The architecture whose weights these are, in torchvision's layout; "" for any other layout."""
    shortcut = state.get("layer2.0.downsample.0.weight")
    if "conv1.weight" in state and shortcut is not None and shortcut.shape[-1] == 1:
        return (
            "resnet50"
            if "layer1.0.conv3.weight" in state
            else "resnet34"
            if "layer3.5.conv1.weight" in state
            else "resnet18"
        )
    if {"features.0.weight", "features.10.weight", "classifier.1.weight"} <= state.keys():
        return "alexnet"
    return "mobilenetv2" if {"features.0.0.weight", "features.18.0.weight"} <= state.keys() else ""


def _differences(own: dict, state: dict, whole_model: bool) -> list[str]:
    """What keeps `state` from filling `own`. A backbone file may hold more (a classifier, unused stages); counters of batches may be missing."""
    missing = [n for n in own if n not in state and not n.endswith("num_batches_tracked")]
    unknown = [n for n in state if n not in own] if whole_model else []
    shapes = [
        f"{n} is {tuple(state[n].shape)}, expected {tuple(own[n].shape)}"
        for n in own
        if n in state and state[n].shape != own[n].shape
    ]
    return [text for text in (_names("missing", missing), _names("unknown", unknown), _names("shape", shapes)) if text]


def _names(what: str, names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what}: {', '.join(names[:3])}{more}" if names else ""
