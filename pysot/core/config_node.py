"""Yacs node with checked merging: errors name near matches of an unknown key and the expected type of a value."""

import ast
import contextlib
import difflib
from pathlib import Path
from typing import Any

import yaml
from yacs.config import CfgNode

# Keys with two types: a number or text, and a truth value or text.
_ALSO_TEXT = {"TRAIN.LOSS_SCALE", "TRAIN.CHECKPOINT_EVERY", "TRAIN.PROFILE"}
_ALSO_BOOL = {"TRAIN.CHANNELS_LAST"}
_MAY_BE_OFF = {"TRAIN.GRAPH", "TRACK.GRAPH"}  # YAML reads off and on as truth values
_DATASET_KEYS = {"ROOT": str, "ANNO": str, "FRAME_RANGE": int, "NUM_USE": int, "MASKS": bool}
_DATASET_DEFAULTS = {"FRAME_RANGE": 100, "NUM_USE": -1, "MASKS": False}


class ConfigNode(CfgNode):
    """CfgNode with checked merging.

    A merge either succeeds completely, or it raises ValueError and changes nothing.
    """

    def merge_from_file(self, cfg_filename: str) -> None:
        """Override values by those of a YAML file.

        Raises FileNotFoundError or ValueError, which name the file and the key.
        """
        path = Path(cfg_filename)
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, IsADirectoryError):
            raise FileNotFoundError(
                f"no config file {path}; the experiments are experiments/<name>/config.yaml"
            ) from None
        except UnicodeDecodeError:
            raise ValueError(f"{path}: expected a YAML config in UTF-8, got another encoding") from None
        self.merge_from_text(text, str(path))

    def merge_from_text(self, text: str, source: str) -> None:
        """Override values by those of a YAML text. Raises ValueError that names `source` and the key."""
        try:
            loaded = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{source}: not YAML ({' '.join(str(error).split())})") from None
        if not isinstance(loaded, dict):
            kind = "nothing" if loaded is None else type(loaded).__name__
            raise ValueError(f"{source}: expected a YAML mapping of config keys, got {kind}")
        self._merge_checked(loaded, source=f"{source}: ")

    def merge_from_other_cfg(self, cfg_other: dict) -> None:
        """Override values by those of another tree or dict."""
        self._merge_checked(cfg_other, source="")

    def merge_from_list(self, cfg_list: list) -> None:
        """Override values by a flat list KEY, VALUE, KEY, VALUE, ...

        Text values are read as YAML; those in round brackets as Python literals, as in yacs.
        """
        if len(cfg_list) % 2:
            raise ValueError(
                f"expected options as KEY VALUE pairs, got {len(cfg_list)} words: {' '.join(map(str, cfg_list))}"
            )
        tree: dict = {}
        for key, value in zip(cfg_list[0::2], cfg_list[1::2], strict=True):
            *parents, leaf = str(key).split(".")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
                if not isinstance(node, dict):
                    raise ValueError(f"{key}: {parent} has a value and keys in the same list; name each key once")
            node[leaf] = _parse(str(key), value)
        self._merge_checked(tree, source="")

    def _merge_checked(self, tree: dict, source: str) -> None:
        if self.is_frozen():
            raise AttributeError("this config is frozen; load a new one to change values")
        merged = _merge(tree, self, parents=(), source=source)
        for key, value in merged.items():
            self[key] = value


def _parse(key: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        if value.lstrip().startswith("("):  # ('COCO',), the spelling of lists in yacs
            with contextlib.suppress(ValueError, SyntaxError):
                return ast.literal_eval(value.strip())
        return yaml.safe_load(value) if value else value
    except yaml.YAMLError:
        raise ValueError(f"{key}: cannot read the value {value!r}; quote text, write lists as [a, b]") from None


def _merge(tree: dict, node: CfgNode, parents: tuple[str, ...], source: str) -> dict:
    """Return the new values of `node` at the keys of `tree`; `node` does not change."""
    result = {}
    for key, value in tree.items():
        path = (*parents, str(key))
        if key not in node:
            result[key] = _new_section(key, value, node, path, source)
        elif isinstance(node[key], CfgNode):
            result[key] = _merge_section(value, node[key], path, source)
        else:
            result[key] = _convert(value, node[key], ".".join(path), source)
    return result


def _merge_section(value: Any, node: CfgNode, path: tuple[str, ...], source: str) -> CfgNode:
    if not isinstance(value, dict):
        raise ValueError(
            f"{source}{'.'.join(path)}: expected a section with keys ({', '.join(node) or 'any'}), got {value!r}"
        )
    copy = node.clone()
    copy.defrost()
    if path[-1] == "KWARGS":
        copy.update({k: _plain(v) for k, v in value.items()})
    else:
        copy.update(_merge(value, node, path, source))
    return copy


def _new_section(key: Any, value: Any, node: CfgNode, path: tuple[str, ...], source: str) -> CfgNode:
    """Return a new data set; raise ValueError for every other unknown key."""
    *parents, _ = path
    in_datasets = parents == ["DATASET"]
    if in_datasets and isinstance(value, dict) and {"ROOT", "ANNO"} & set(value):
        return _dataset_node(value, path, source)
    near = difflib.get_close_matches(str(key), [str(k) for k in node], n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join('.'.join((*parents, k)) for k in near)}?"
    else:
        hint = f"known keys: {', '.join(map(str, node))}"
    if in_datasets:
        hint += " A new data set needs ROOT and ANNO"
    raise ValueError(f"{source}unknown config key {'.'.join(path)}; {hint}")


def _dataset_node(value: dict, path: tuple[str, ...], source: str) -> CfgNode:
    """Return the section of a data set without defaults, e.g. DATASET.MINE with ROOT and ANNO."""
    name = ".".join(path)
    missing = [k for k in ("ROOT", "ANNO") if k not in value]
    unknown = [str(k) for k in value if k not in _DATASET_KEYS]
    if missing or unknown:
        problem = f"is missing {', '.join(missing)}" if missing else f"has unknown {', '.join(unknown)}"
        raise ValueError(f"{source}data set {name} {problem}; its keys are {', '.join(_DATASET_KEYS)}")
    node = ConfigNode()
    for key, kind in _DATASET_KEYS.items():
        node[key] = _convert(value.get(key, _DATASET_DEFAULTS.get(key)), kind(), f"{name}.{key}", source)
    return node


def _convert(value: Any, default: Any, name: str, source: str) -> Any:
    """Return `value` in the type of `default`. Raise ValueError if the conversion would lose information."""
    kind = type(default)
    if name in _ALSO_BOOL and isinstance(value, bool):
        return value
    if name in _MAY_BE_OFF and isinstance(value, bool):
        return "on" if value else "off"
    if name in _ALSO_TEXT and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return value
    if isinstance(default, (list, tuple)) and isinstance(value, (list, tuple)):
        return kind(_plain(v) for v in value)
    if kind is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 as text
        except ValueError:
            pass
    elif kind is str and value is None:
        return ""
    elif type(value) is kind:
        return value
    type_names = {
        float: "a number",
        int: "a whole number",
        bool: "true or false",
        str: "text",
        list: "a list",
        tuple: "a list",
    }
    raise ValueError(f"{source}{name}: expected {type_names[kind]} (default {default!r}), got {value!r}")


def _plain(value: Any) -> Any:
    """Convert a value of a KWARGS section: nested lists and dicts, and numbers that YAML reads as text (1e-3)."""
    if isinstance(value, dict):
        return ConfigNode({k: _plain(v) for k, v in value.items()})
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
