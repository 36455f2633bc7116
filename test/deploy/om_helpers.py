"""Helpers of the tests of Ascend: small graphs of an export, and stand-ins of ATC and ais_bench."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pysot.deploy.package import GraphFacts, TensorFacts
from pysot.utils.files import file_hash

STAND_INS = Path(__file__).parent / "stand_ins"
BATCH = "N"


def write_graph(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[str, Sequence[int | str]]],
    outputs: Mapping[str, tuple[str, Sequence[int | str]]],
    constants: Mapping[str, np.ndarray] | None = None,
    opset: int = 17,
    domains: Sequence[str] = (),
) -> GraphFacts:
    """Write an ONNX graph; `inputs` and `outputs` are types, as NumPy names them, and shapes by name."""
    graph = helper.make_graph(
        nodes,
        "graph",
        *(
            [helper.make_tensor_value_info(name, _element(kind), shape) for name, (kind, shape) in values.items()]
            for values in (inputs, outputs)
        ),
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    ins, outs = (
        tuple(TensorFacts(name, tuple(shape), kind) for name, (kind, shape) in values.items())
        for values in (inputs, outputs)
    )
    return GraphFacts(path.name, file_hash(path), ins, outs)


def write_graphs(folder: Path, batch: int | str = 1, seed: int = 0) -> dict[str, GraphFacts]:
    """Write the graphs template, track and refine of a small tracker with masks: crops of 7 and 15 pixels."""
    rng = np.random.default_rng(seed)
    weights = {"w": rng.normal(0, 0.01, (4, 3, 3, 3)).astype(np.float32)}
    kernel, cls, loc = ("float32", (batch, 4, 3, 3)), ("float32", (batch, 4, 3, 3)), ("float32", (batch, 8, 3, 3))
    node = helper.make_node
    return {
        "template": write_graph(
            folder / "template.onnx",
            [
                node("Conv", ["crop", "w"], ["features"]),
                node("MaxPool", ["features"], ["kernel_0"], kernel_shape=[3, 3]),
            ],
            {"crop": ("float32", (batch, 3, 7, 7))},
            {"kernel_0": kernel},
            weights,
        ),
        "track": write_graph(
            folder / "track.onnx",
            [
                node("Conv", ["crop", "w"], ["features"]),
                node("GlobalAveragePool", ["features"], ["means"]),
                node("Mul", ["means", "kernel_0"], ["cls"]),
                node("Concat", ["cls", "kernel_0"], ["loc"], axis=1),
            ],
            {"crop": ("float32", (batch, 3, 15, 15)), "kernel_0": kernel},
            {"cls": cls, "loc": loc},
            weights,
        ),
        "refine": write_graph(
            folder / "refine.onnx",
            [
                node("ReduceMean", ["p0"], ["means"], axes=[1], keepdims=0),
                node("Cast", ["cells"], ["numbers"], to=TensorProto.FLOAT),
                node("ReduceMean", ["numbers"], ["cell"], axes=[1]),
                node("Reshape", ["cell", "shape"], ["offset"]),
                node("Add", ["means", "offset"], ["mask"]),
            ],
            {"p0": kernel, "cells": ("int64", (batch, 2))},
            {"mask": ("float32", (batch, 3, 3))},
            {"shape": np.array([-1, 1, 1])},
        ),
    }


def inputs_of(facts: GraphFacts, count: int, seed: int = 1) -> list[np.ndarray]:
    """Return random inputs of a session for `count` rows."""
    rng = np.random.default_rng(seed)
    made = []
    for tensor in facts.inputs:
        if tensor.name == "crop":
            made.append(rng.integers(0, 256, (count, *tensor.shape[2:], 3), np.uint8))
        else:
            made.append(rng.normal(5, 3, (count, *tensor.shape[1:])).astype(tensor.dtype))
    return made


def put_atc_on_path(folder: Path, monkeypatch) -> None:
    """Put the stand-in of ATC on PATH, as `folder`/atc."""
    folder.mkdir(exist_ok=True)
    (folder / "atc").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_INS / "atc.py"}" "$@"\n')
    (folder / "atc").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def _element(kind: str) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(kind))
