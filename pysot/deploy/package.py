"""Export of a tracker: the folder with its graphs and tracker.json, which has everything else that tracking needs.

tracker.json has the sections

format      of this file: 1
tracker     TRACK.TYPE of the config; whether it is `long_term`, and whether it has `masks`
settings    the fields of `TrackSettings`: sizes, stride and TRACK values
grid        `cells` per side of the score map; `anchors` (A, 4) xyxy in pixels around a cell's centre, none in a network
            without anchors; the cosine `window` along one axis, whose outer product with itself is the window of a map
input       form of crops: layout, order of the channels, and `mean` and `scale`: a value is (pixel - mean) * scale
graphs      by name: `file`, `sha256`, and the `inputs` and `outputs`, each with name, shape (N: any batch) and dtype
export      precision, xcorr, opset, batch, and versions of the programs
checkpoint  file name and sha256 of the weights
"""

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pysot.tracker.frame_maths import make_grid
from pysot.tracker.settings import TrackSettings
from pysot.utils.anchor import base_anchors
from pysot.utils.files import file_hash, read_json

FORMAT = 1
FILE = "tracker.json"
REPORT = "report.json"
# Form of the crops that ONNX graphs take: (pixel - mean) * scale.
INPUT: dict[str, Any] = {"layout": "NCHW", "channels": "BGR", "mean": [0.0, 0.0, 0.0], "scale": [1.0, 1.0, 1.0]}
_AGAIN = "export again with tools/export.py"


@dataclass(frozen=True)
class TensorFacts:
    """Name, shape ("N" for a batch of any size) and type of an input or output; types are named as in NumPy."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str


@dataclass(frozen=True)
class GraphFacts:
    """File of a graph in the export, its hash, and its inputs and outputs in order."""

    file: str
    sha256: str
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]

    @property
    def batch(self) -> int | None:
        """Number of crops that each call takes, None for any."""
        batch = self.inputs[0].shape[0]
        return batch if isinstance(batch, int) else None


@dataclass(frozen=True)
class Package:
    """Export that was read and checked. `export` and `checkpoint` are the sections of tracker.json."""

    folder: Path
    type: str
    long_term: bool
    masks: bool
    settings: TrackSettings
    graphs: Mapping[str, GraphFacts]
    export: Mapping[str, Any]
    checkpoint: Mapping[str, Any]

    def path(self, graph: str, suffix: str = ".onnx") -> Path:
        """Return the file of a graph, in the form that an engine reads."""
        return (self.folder / self.graphs[graph].file).with_suffix(suffix)


def graph_names(long_term: bool, masks: bool) -> list[str]:
    """Return the names of the graphs that a tracker needs."""
    return ["template", "track", *(["track_lost"] if long_term else []), *(["refine"] if masks else [])]


def package_content(package: Package) -> dict[str, Any]:
    """Return the content of tracker.json."""
    return {
        "format": FORMAT,
        "tracker": {"type": package.type, "long_term": package.long_term, "masks": package.masks},
        "settings": dataclasses.asdict(package.settings),
        "grid": _grid(package.settings),
        "input": INPUT,
        "graphs": {name: dataclasses.asdict(facts) for name, facts in package.graphs.items()},
        "export": dict(package.export),
        "checkpoint": dict(package.checkpoint),
    }


def read_package(folder: str | os.PathLike[str]) -> Package:
    """Read and check an export.

    Raises FileNotFoundError for a folder without tracker.json and for a graph that is missing, and ValueError for a
    tracker.json of another version or with wrong content, and for a graph of another export.
    """
    folder = Path(folder)
    path = folder / FILE
    if not path.is_file():
        state = "has no tracker.json" if folder.is_dir() else "does not exist"
        raise FileNotFoundError(f"expected the folder of an exported tracker, but {folder} {state}; {_AGAIN}")
    content = read_json(path, "the exported tracker")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        got = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path}: expected format {FORMAT}, got {got!r}; {_AGAIN}, or use the version that wrote it")
    try:
        package = _parse(folder, content)
        _check_content(package, content, path)
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}: {error}); {_AGAIN}") from None
    for name in package.graphs:
        _check_file(package, name)
    return package


def _parse(folder: Path, content: Mapping[str, Any]) -> Package:
    """Return what tracker.json says. Raises KeyError, TypeError or AttributeError if it is damaged."""
    graphs = {
        name: GraphFacts(
            _typed(facts["file"], str), facts["sha256"], _tensors(facts["inputs"]), _tensors(facts["outputs"])
        )
        for name, facts in content["graphs"].items()
    }
    tracker = content["tracker"]
    return Package(
        folder,
        tracker["type"],
        _typed(tracker["long_term"], bool),
        _typed(tracker["masks"], bool),
        _settings(content["settings"]),
        graphs,
        _typed(content["export"], dict),
        _typed(content["checkpoint"], dict),
    )


def _settings(listed: Mapping[str, Any]) -> TrackSettings:
    fields = {field.name: field.type for field in dataclasses.fields(TrackSettings)}
    checked = ((key, _typed(value, fields[key])) for key, value in listed.items())
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in checked}
    return TrackSettings(**values)


def _tensors(listed: list[dict[str, Any]]) -> tuple[TensorFacts, ...]:
    if not listed:
        raise TypeError("expected inputs and outputs of a graph, got none")
    tensors = tuple(TensorFacts(tensor["name"], tuple(tensor["shape"]), tensor["dtype"]) for tensor in listed)
    for tensor in tensors:
        for size in tensor.shape[1:]:
            _typed(size, int)
    return tensors


def _typed(value: Any, kind: Any) -> Any:
    """Return a value of JSON. Raises TypeError unless it is of a kind; a tuple is a list of numbers."""
    if kind is float:
        valid = type(value) in (int, float)
    elif kind in (int, bool, str, dict):
        valid = type(value) is kind
    else:
        valid = isinstance(value, list) and all(type(each) in (int, float) for each in value)
    if not valid:
        raise TypeError(f"expected {getattr(kind, '__name__', kind)}, got {value!r}")
    return value


def _grid(settings: TrackSettings) -> dict[str, Any]:
    cells = settings.score_size(settings.instance_size)
    s = settings
    anchors = [] if s.points else base_anchors(s.stride, s.ratios, s.scales).astype(float).round(6).tolist()
    return {"cells": cells, "anchors": anchors, "window": np.hanning(cells).round(12).tolist()}


def _check_content(package: Package, content: Mapping[str, Any], path: Path) -> None:
    """Raise ValueError unless the sections agree with each other and with this version."""
    missing = [name for name in graph_names(package.long_term, package.masks) if name not in package.graphs]
    if missing:
        raise ValueError(f"{path}: a {package.type} needs the graphs {', '.join(missing)}; {_AGAIN}")
    for name, expected in (("grid", _grid(package.settings)), ("input", INPUT)):
        if content.get(name) != expected:
            raise ValueError(
                f"{path}: {name} is not what the settings give in this version; the file was changed by hand or "
                f"written by another version: {_AGAIN}"
            )
    s = package.settings
    for name, side in (("template", s.exemplar_size), ("track", s.instance_size), ("track_lost", s.lost_instance_size)):
        if name in package.graphs and (shape := package.graphs[name].inputs[0].shape)[-1] != side:
            raise ValueError(f"{path}: {name} takes crops of {shape[-1]} pixels, the settings say {side}; {_AGAIN}")
    places = len(make_grid(s, s.instance_size).window)
    cls = {tensor.name: tensor for tensor in package.graphs["track"].outputs}["cls"]
    if math.prod(int(size) for size in cls.shape[1:]) != 2 * places:
        raise ValueError(f"{path}: the settings give {places} places, the graph {cls.shape}; {_AGAIN}")


def _check_file(package: Package, name: str) -> None:
    facts, path = package.graphs[name], package.path(name)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; copy the whole folder of the export, or {_AGAIN}")
    if file_hash(path) != facts.sha256:
        raise ValueError(
            f"{path} is not the file that tracker.json describes (another export, or damaged): copy the whole folder "
            f"of one export, or {_AGAIN}"
        )
