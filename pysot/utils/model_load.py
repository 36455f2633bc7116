"""Read checkpoints and put their weights into networks.

Files are read with `weights_only=True`: code in a pickle is refused, never run.
"""

import logging
import pickle
import re
from pathlib import Path

import torch
from torch import nn

logger = logging.getLogger(__name__)


def read_checkpoint(path: str | Path) -> dict:
    """The dict in a checkpoint file, tensors on the CPU; a bare state dict comes back as {"state_dict": it}.

    Raises FileNotFoundError if there is none, ValueError if the file is cut off, no checkpoint, or holds anything but tensors and plain values.
    """
    path = Path(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
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
        raise ValueError(f"checkpoint {path} is cut off or no checkpoint ({reason}); copy it again or take an earlier one") from None
    if not isinstance(content, dict):
        raise ValueError(f"checkpoint {path} holds a {type(content).__name__}, expected a dict with 'state_dict' or a state dict")
    content = content if isinstance(content.get("state_dict"), dict) else {"state_dict": content}
    if not all(isinstance(name, str) for name in content["state_dict"]):
        raise ValueError(f"checkpoint {path} has names that are no text; expected a state dict as torch.save(model.state_dict(), ...) writes it")
    return content


def remove_prefix(state_dict: dict, prefix: str) -> dict:
    """The state dict with `prefix` cut off wherever a name starts with it."""
    return {name.removeprefix(prefix): value for name, value in state_dict.items()}


def load_pretrain(model: nn.Module, pretrained_path: str | Path) -> nn.Module:
    """Load the weights of a checkpoint into a network or into its backbone alone, and return `model`.

    `module.` prefixes are cut off. A network takes a whole checkpoint, or a file of backbone weights (the rest keeps its values, with a warning).
    A backbone takes its share of a whole checkpoint, or a file of its own. Raises as `read_checkpoint`, and ValueError that lists the names when
    the weights are those of another architecture; the network is then as it was.
    """
    state = remove_prefix(read_checkpoint(pretrained_path)["state_dict"], "module.")
    load_state(model, state, source=str(pretrained_path))
    return model


def load_state(model: nn.Module, state: dict, source: str) -> None:
    """Load a state dict by the rules of `load_pretrain`; `source` names it in errors."""
    own = model.state_dict()
    state = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    whole_file = any(name.startswith("backbone.") for name in state)
    whole_model = any(name.startswith("backbone.") for name in own)
    if whole_model and not whole_file and not any(name.startswith(("rpn_head.", "neck.")) for name in state):
        logger.warning("%s holds backbone weights only; neck and heads keep their values", source)
        load_state(model.backbone, state, source)
        return
    if whole_file and not whole_model:
        state = {name.removeprefix("backbone."): value for name, value in state.items() if name.startswith("backbone.")}
    if not whole_model and not set(state) & set(own) and {f"features.{n}" for n in state} & set(own):
        state = {f"features.{name}": value for name, value in state.items()}
    problems = _differences(own, state, whole_model)
    if problems:
        raise ValueError(f"{source} holds the weights of another architecture: {'; '.join(problems)}. Use the config that it was trained with")
    broken = [name for name in own if name in state and state[name].is_floating_point() and not torch.isfinite(state[name]).all()]
    if broken:
        raise ValueError(f"{source} holds NaN or infinity in {_names('weights', broken)}; take an earlier checkpoint")
    model.load_state_dict({name: state.get(name, value) for name, value in own.items()})
    logger.info("loaded %d tensors from %s", len(set(state) & set(own)), source)


def _differences(own: dict, state: dict, whole_model: bool) -> list[str]:
    """What keeps `state` from filling `own`. A backbone file may hold more (a classifier, unused stages); counters of batches may be missing."""
    missing = [n for n in own if n not in state and not n.endswith("num_batches_tracked")]
    unknown = [n for n in state if n not in own] if whole_model else []
    shapes = [f"{n} is {tuple(state[n].shape)}, expected {tuple(own[n].shape)}" for n in own if n in state and state[n].shape != own[n].shape]
    return [text for text in (_names("missing", missing), _names("unknown", unknown), _names("shape", shapes)) if text]


def _names(what: str, names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what}: {', '.join(names[:3])}{more}" if names else ""
