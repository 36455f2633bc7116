"""Operators of ONNX graphs, and what ATC will refuse in them, before it runs."""

import collections
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pysot.deploy.cann_operators import CANN_OPERATORS, PAGES, PLUGINS

# Why ATC refuses an operator, and whether that is certain.
Reason = tuple[str, bool]
# Values of the tensors that do not depend on an input, None where they are not stored.
Constants = Mapping[str, np.ndarray | None]


@dataclass(frozen=True)
class OperatorCount:
    """Number of the nodes of an operator in a graph, and the opset of its domain. Names of other domains have it."""

    operator: str
    opset: int
    count: int


@dataclass(frozen=True)
class Refusal:
    """Reason for which ATC refuses a graph. If it is not `certain`, only the documentation of CANN says so."""

    file: str
    operator: str
    count: int
    reason: str
    certain: bool


def operators_of(path: Path) -> list[OperatorCount]:
    """Return the operators of an ONNX graph by name."""
    return _operators(onnx.load(path, load_external_data=False))


def refused(path: Path) -> list[Refusal]:
    """Return what ATC refuses in an ONNX graph, or may refuse: the operators, then restrictions of some of them."""
    model = onnx.load(path, load_external_data=False)
    reasons = {(each.operator, each.count): _opset_reason(each) for each in _operators(model)}
    found = [Refusal(path.name, *key, *reason) for key, reason in reasons.items() if reason]
    constants = _constants(model.graph)
    for operator, check in _RESTRICTIONS.items():
        nodes = [node for node in model.graph.node if node.op_type == operator]
        counts = collections.Counter(reason for reason in (check(node, constants) for node in nodes) if reason)
        found += [Refusal(path.name, operator, count, *reason) for reason, count in counts.items()]
    kinds = collections.Counter(_kind(value) for value in model.graph.input)
    for kind in sorted(kinds.keys() - {"float32", "float16", "uint8"}):
        reason = f"an input is {kind}; for ONNX graphs ATC documents float32, float16 and uint8"
        found.append(Refusal(path.name, "input", kinds[kind], reason, False))
    return found


def operator_report(paths: Sequence[Path]) -> str:
    """Return a table of the operators of graphs with the opsets that ATC takes, and the reasons why it refuses some."""
    lines = [
        f"{'operator':<22}{'opset':>5}  {'documented':<14}{'parsed':<14}nodes in {', '.join(p.stem for p in paths)}"
    ]
    counts = {path: {(each.operator, each.opset): each.count for each in operators_of(path)} for path in paths}
    for operator, opset in sorted({key for found in counts.values() for key in found}):
        support = CANN_OPERATORS.get(operator)
        documented, parsed = (support.documented, support.parsed) if support else ("", "")
        nodes = " ".join(f"{counts[path].get((operator, opset), 0):>5}" for path in paths)
        lines.append(f"{operator:<22}{opset:>5}  {documented or '-':<14}{parsed or '-':<14}{nodes}")
    found = [refusal for path in paths for refusal in refused(path)]
    for title, certain in (
        ("ATC will refuse", True),
        ("ATC may refuse, by its documentation", False),
    ):
        reasons = [refusal for refusal in found if refusal.certain is certain]
        lines += [f"{title}:"] if reasons else []
        lines += [f"  {each.file}: {each.operator} ({each.count}): {each.reason}" for each in reasons]
    if not found:
        lines.append("ATC should take every operator.")
    return "\n".join([*lines, f"Sources: {PAGES.format(page='...')}", f"         {PLUGINS}"])


def _operators(model: onnx.ModelProto) -> list[OperatorCount]:
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    names = collections.Counter((node.domain, node.op_type) for node in model.graph.node)
    return sorted(
        (
            OperatorCount(f"{domain}::{name}" if domain else name, opsets.get(domain, 0), count)
            for (domain, name), count in names.items()
        ),
        key=lambda each: each.operator,
    )


def _opset_reason(each: OperatorCount) -> Reason | None:
    """Return why ATC refuses an operator in its opset, and whether that is certain; None if it takes it."""
    support = CANN_OPERATORS.get(each.operator)
    if each.operator.endswith("QuantizeLinear") or each.operator == "DequantizeLinear":
        return "ATC has no such operator; give it the fp32 graphs, and quantise them with AMCT of CANN", True
    if support is None:
        return "no source names it as an operator that ATC takes", True
    if support.is_documented(each.opset) or (support.is_parsed(each.opset) and not support.documented):
        return None
    if support.is_parsed(each.opset):
        return f"the documentation names opsets {support.documented}; the source of its plugins has {each.opset}", False
    return f"opset {each.opset} is not among {support.documented or support.parsed}; export with --opset 17", True


def _conv(node: onnx.NodeProto, constants: Constants) -> Reason | None:
    if node.input[1] in constants:
        return None
    return "its weights are not constant (dynamic weights): export with --xcorr shift or matmul", True


def _pad(node: onnx.NodeProto, constants: Constants) -> Reason | None:
    fill = constants.get(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    if fill is None or not np.any(fill):
        return None
    return f"it pads with {fill.item():g}; ATC pads with 0 only", False


def _resize(node: onnx.NodeProto, constants: Constants) -> Reason | None:
    if any(name and name not in constants for name in node.input[1:]):
        return "its size is not constant: export with a number as --batch", False
    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if values.get("mode", b"nearest") == b"nearest" and values.get("nearest_mode") != b"round_prefer_ceil":
        return "it rounds down to the nearest value; ATC documents round_prefer_ceil only: compare the masks", False
    return None


# Restrictions of operators in the documentation that graphs of trackers can meet.
_RESTRICTIONS: dict[str, Callable[[onnx.NodeProto, Constants], Reason | None]] = {
    "Conv": _conv,
    "ConvTranspose": _conv,
    "Pad": _pad,
    "Resize": _resize,
}


def _constants(graph: onnx.GraphProto) -> dict[str, np.ndarray | None]:
    """Return the names of the tensors that do not depend on an input, with their values where these are stored."""
    constants: dict[str, np.ndarray | None] = {
        tensor.name: numpy_helper.to_array(tensor) if not tensor.external_data else None for tensor in graph.initializer
    }
    for node in graph.node:
        if all(name in constants for name in node.input if name):
            value = next((a.t for a in node.attribute if node.op_type == "Constant" and a.name == "value"), None)
            constants.update(dict.fromkeys(node.output, None if value is None else numpy_helper.to_array(value)))
    return constants


def _kind(value: onnx.ValueInfoProto) -> str:
    return helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name
