"""Quantise the network of search crops to int8 by ONNX Runtime: weights per channel, activations by their percentiles.

Quantised are convolutions, and between them in the backbone additions and poolings; correlations and refinement stay in
fp32. Blocks of convolutions that cost the most accuracy stay in fp32 as well: each block is quantised alone, the
outputs are compared on crops that the calibration has not seen, and the worst blocks are left out until the outputs are
near enough.
"""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    create_calibrator,
    quantize_static,
    save_tensors_data,
)

from pysot.deploy.engine import CROP, Session, as_images
from pysot.deploy.export_graphs import graph_facts
from pysot.deploy.onnxruntime_engine import open_onnxruntime
from pysot.deploy.package import GraphFacts, Package
from pysot.utils.progress import Bar

PERCENTILE = 99.999  # of the values of a tensor, which are represented
_BLOCKS = 10  # of consecutive convolutions
_MOST_LEFT_OUT = 4  # blocks
_TARGET = 0.05  # relative error of the outputs below which no more blocks are left out
_TESTED = 4  # pairs of crops for the comparison
_AT_ONCE = 4  # pairs whose activations are in memory


@dataclass(frozen=True)
class Quantised:
    """What was quantised of a graph.

    error_all, error    mean difference of the outputs from fp32 over their mean size, the worst output: with all
                        convolutions quantised, and as it was written
    blocks              by name of the first convolution: the error if only this block is quantised
    left_out            convolutions that stay in fp32
    """

    convolutions: int
    error_all: float
    error: float
    blocks: dict[str, float]
    left_out: list[str]


Pair = tuple[np.ndarray, np.ndarray]  # template and search crop, uint8 (1, H, H, 3)


def quantise(package: Package, pairs: Sequence[Pair], bar: Bar) -> tuple[dict[str, GraphFacts], Quantised]:
    """Replace the graphs of search crops in a package by quantised ones; return the facts, and what was quantised.

    The last of the pairs of crops are for the comparison, the others for the calibration. A graph that takes several
    crops in a call is calibrated with one crop, repeated. The graph of the larger crops of a long-term tracker gets the
    ranges of the other one. The template stays in fp32: it is computed once for each target. Raises ValueError for
    fewer than 8 pairs.
    """
    if len(pairs) < 2 * _TESTED:
        raise ValueError(f"the calibration needs {2 * _TESTED} pairs of crops or more, got {len(pairs)}")
    facts, rows = package.graphs["track"], package.graphs["track"].batch or 1
    template = _open(package.path("template"), package.graphs["template"])
    examples = [[np.repeat(part, rows, axis=0) for part in (search, *template.run([crop]))] for crop, search in pairs]
    path = package.path("track")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, _silence():
        ranges, written = Path(folder) / "ranges.json", Path(folder) / "int8.onnx"
        _calibrate(path, facts, examples[:-_TESTED], ranges, bar)
        result, nodes = _choose(path, facts, examples[-_TESTED:], ranges, written, bar)
        for name in ("track", "track_lost"):
            if name in package.graphs:
                _write(package.path(name), written, ranges, nodes)
                written.replace(package.path(name))
    return {name: graph_facts(package.path(name)) for name in package.graphs}, result


def _choose(
    path: Path, facts: GraphFacts, tested: Sequence[list[np.ndarray]], ranges: Path, written: Path, bar: Bar
) -> tuple[Quantised, list[str]]:
    """Measure the blocks of a graph; return what was found, and the names of the nodes to quantise."""
    session, blocks = _open(path, facts), _blocks(path)
    expected = [session.run(inputs) for inputs in tested]

    def error_of(chosen: Sequence[Sequence[str]]) -> float:
        _write(path, written, ranges, [node for block in chosen for node in block])
        quantised = _open(written, facts)
        return max(_errors(expected, [quantised.run(inputs) for inputs in tested]))

    alone = {block[0]: error_of([block]) for block in bar(blocks, description="sensitivity")}
    kept, error_all = list(blocks), error_of(blocks)
    error = error_all
    for block in sorted(blocks, key=lambda each: alone[each[0]], reverse=True)[:_MOST_LEFT_OUT]:
        if error <= _TARGET:
            break
        kept.remove(block)
        error = error_of(kept)
    left_out = [node for block in blocks if block not in kept for node in block if "Conv" in node]
    count = sum("Conv" in node for block in blocks for node in block)
    return Quantised(count, error_all, error, alone, left_out), [node for block in kept for node in block]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Drop what onnxruntime.quantization prints and warns of: each step, and a preparation that is done already."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)


def _blocks(path: Path) -> list[list[str]]:
    """Return the names of the nodes that may be quantised, in blocks of consecutive convolutions."""
    nodes = onnx.load(path).graph.node
    count = sum(node.op_type == "Conv" for node in nodes)
    blocks: list[list[str]] = []
    each, found = -(-count // _BLOCKS), 0
    for node in nodes:
        if node.op_type == "Conv":
            if found % each == 0:
                blocks.append([])
            found += 1
            blocks[-1].append(node.name)
        elif node.op_type in ("Add", "MaxPool") and "backbone" in node.name and blocks:
            blocks[-1].append(node.name)
    return blocks


class _Reader(CalibrationDataReader):
    """Inputs of a graph, one after the other."""

    def __init__(self, feeds: Iterator[dict[str, np.ndarray]]) -> None:
        self._feeds = feeds

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def _calibrate(path: Path, facts: GraphFacts, examples: Sequence[list[np.ndarray]], ranges: Path, bar: Bar) -> None:
    """Write the ranges of all tensors of a graph."""
    calibrator = create_calibrator(
        path,
        ["Conv", "Add", "MaxPool"],
        str(ranges.with_suffix(".onnx")),
        CalibrationMethod.Percentile,
        extra_options={"percentile": PERCENTILE},
    )
    with bar(None, total=len(examples), description="calibration") as shown:
        for first in range(0, len(examples), _AT_ONCE):
            part = examples[first : first + _AT_ONCE]
            calibrator.collect_data(_Reader(iter([_feeds(facts, inputs) for inputs in part])))
            shown.update(len(part))
    save_tensors_data(calibrator.compute_data(), ranges)


def _feeds(facts: GraphFacts, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    return {
        tensor.name: as_images(value) if tensor.name == CROP else value
        for tensor, value in zip(facts.inputs, inputs, strict=True)
    }


def _write(path: Path, written: Path, ranges: Path, nodes: list[str]) -> None:
    quantize_static(
        path,
        written,
        None,
        quant_format=QuantFormat.QDQ,
        nodes_to_quantize=nodes,
        per_channel=True,
        reduce_range=True,  # without VNNI, sums of 8-bit products would saturate
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.Percentile,
        calibration_cache_path=ranges,
    )


def _errors(expected: Sequence[list[np.ndarray]], found: Sequence[list[np.ndarray]]) -> list[float]:
    """Return the mean difference over the mean absolute value, of each output over all calls."""
    pairs = zip(zip(*expected, strict=True), zip(*found, strict=True), strict=True)
    return [
        float(np.abs(np.subtract(all_expected, all_found)).mean() / np.abs(all_expected).mean())
        for all_expected, all_found in pairs
    ]


def _open(path: Path, facts: GraphFacts) -> Session:
    return open_onnxruntime(path, facts, "cpu", 0)
