"""The operators of graphs, and what ATC refuses in them."""

import numpy as np
import pytest
from onnx import helper

from helpers import experiment
from om_helpers import write_graph, write_graphs
from pysot.core.config import load_config
from pysot.deploy import export_graphs
from pysot.deploy.cann_operators import CANN_OPERATORS, Support
from pysot.deploy.export_graphs import ExportOptions
from pysot.deploy.operators import OperatorCount, operator_report, operators_of, refused
from pysot.models.model_builder import build_model
from pysot.tracker.tracker_builder import track_settings

IMAGE = ("float32", (1, 3, 8, 8))


def graph_of(tmp_path, node, opset=17, constants=None, inputs=None, nodes=(), domains=()):
    """Return the file of a graph with a node that gives y."""
    path = tmp_path / "graph.onnx"
    inputs = inputs or {"x": IMAGE}
    write_graph(path, [*nodes, node], inputs, {"y": ("float32", ("a", "b", "c", "d"))}, constants, opset, domains)
    return path


def test_operators_of(tmp_path):
    write_graphs(tmp_path)
    assert operators_of(tmp_path / "track.onnx") == [
        OperatorCount("Concat", 17, 1),
        OperatorCount("Conv", 17, 1),
        OperatorCount("GlobalAveragePool", 17, 1),
        OperatorCount("Mul", 17, 1),
    ]


def test_a_graph_that_is_taken(tmp_path):
    write_graphs(tmp_path)
    assert refused(tmp_path / "track.onnx") == []


@pytest.mark.parametrize(
    ("operator", "opset", "certain"),
    [
        ("Relu", 17, None),  # documented
        ("Cos", 17, None),  # its page was not read, the source has it
        ("Sub", 15, None),
        ("Sub", 17, False),  # documented up to 15, in the source up to 18
        ("Relu", 19, True),
        ("Softsign", 19, True),
        ("Mish", 18, True),  # not in the table
    ],
)
def test_opsets(tmp_path, operator, opset, certain):
    inputs = ["x", "x"] if operator == "Sub" else ["x"]
    found = refused(graph_of(tmp_path, helper.make_node(operator, inputs, ["y"]), opset))
    assert [(each.file, each.operator, each.count, each.certain) for each in found] == (
        [] if certain is None else [("graph.onnx", operator, 1, certain)]
    )


def test_what_to_do_about_an_opset(tmp_path):
    (found,) = refused(graph_of(tmp_path, helper.make_node("Relu", ["x"], ["y"]), 19))
    assert found.reason == "opset 19 is not among 8-18; export with --opset 17"


def test_dynamic_weights(tmp_path):
    inputs = {"x": IMAGE, "w": ("float32", (4, 3, 3, 3))}
    (found,) = refused(graph_of(tmp_path, helper.make_node("Conv", ["x", "w"], ["y"]), inputs=inputs))
    assert found.certain and found.operator == "Conv"
    assert found.reason == "its weights are not constant (dynamic weights): export with --xcorr shift or matmul"


def test_weights_that_are_computed_from_constants(tmp_path):
    weights = {"half": np.ones((4, 3, 3, 3), np.float16)}
    cast = helper.make_node("Cast", ["half"], ["w"], to=1)
    assert refused(graph_of(tmp_path, helper.make_node("Conv", ["x", "w"], ["y"]), 17, weights, nodes=[cast])) == []


@pytest.mark.parametrize(("fill", "refusals"), [(0, 0), (3, 1)])
def test_pad(tmp_path, fill, refusals):
    constants = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "fill": np.float32(fill)}
    found = refused(graph_of(tmp_path, helper.make_node("Pad", ["x", "pads", "fill"], ["y"]), constants=constants))
    assert [each.reason for each in found] == ["it pads with 3; ATC pads with 0 only"] * refusals


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"mode": "linear"}, None),
        ({"mode": "nearest", "nearest_mode": "round_prefer_ceil"}, None),
        ({"mode": "nearest", "nearest_mode": "floor"}, "round_prefer_ceil only"),
        ({}, "round_prefer_ceil only"),  # the default of both
    ],
)
def test_resize(tmp_path, attributes, reason):
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **attributes)
    found = refused(graph_of(tmp_path, node, constants={"sizes": np.array([1, 3, 16, 16])}))
    assert len(found) == (reason is not None) and all(reason in each.reason for each in found)


def test_resize_to_a_size_that_is_computed(tmp_path):
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear")
    inputs = {"x": IMAGE, "sizes": ("int64", (4,))}
    assert "its size is not constant: export with a number as --batch" in [
        each.reason for each in refused(graph_of(tmp_path, node, inputs=inputs))
    ]


def test_input_types(tmp_path):
    write_graphs(tmp_path)
    assert [each.reason for each in refused(tmp_path / "refine.onnx") if each.operator == "input"] == [
        "an input is int64; for ONNX graphs ATC documents float32, float16 and uint8"
    ]


def test_int8(tmp_path):
    constants = {"scale": np.float32(0.1), "zero": np.int8(0)}
    down = helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"])
    up = helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"])
    found = refused(graph_of(tmp_path, up, constants=constants, nodes=[down]))
    assert [each.operator for each in found] == ["DequantizeLinear", "QuantizeLinear"]
    assert all(each.certain and "quantise them with AMCT" in each.reason for each in found)


def test_other_domains(tmp_path):
    node = helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft")
    path = graph_of(tmp_path, node, domains=["com.microsoft"])
    assert operators_of(path) == [OperatorCount("com.microsoft::FusedConv", 1, 1)]
    assert [each.certain for each in refused(path)] == [True]


def test_report(tmp_path):
    facts = write_graphs(tmp_path)
    text = operator_report([tmp_path / each.file for each in facts.values()])
    lines = text.splitlines()
    assert lines[0].split() == [
        "operator",
        "opset",
        "documented",
        "parsed",
        "nodes",
        "in",
        "template,",
        "track,",
        "refine",
    ]
    assert "Conv                     17  9-18          8-18              1     1     0" in lines
    assert "ATC may refuse, by its documentation:" in lines and "ATC will refuse:" not in lines
    assert (
        "  refine.onnx: ReduceMean (2): the documentation names opsets 8-16; the source of its plugins has 17" in lines
    )
    assert lines[-2].startswith("Sources: https://www.hiascend.com/")


def test_report_without_refusals(tmp_path):
    write_graphs(tmp_path)
    assert "ATC should take every operator." in operator_report([tmp_path / "track.onnx"])


@pytest.mark.parametrize(("name", "support"), CANN_OPERATORS.items())
def test_table(name, support):
    assert any(support.is_documented(opset) or support.is_parsed(opset) for opset in range(8, 19))
    assert bool(support.documented) == bool(support.page)


def test_support():
    support = Support("8-10 12", "9")
    assert [opset for opset in range(7, 15) if support.is_parsed(opset)] == [8, 9, 10, 12]
    assert [opset for opset in range(7, 15) if support.is_documented(opset)] == [9]


@pytest.mark.parametrize(("method", "refusals"), [("matmul", 0), ("shift", 0), ("grouped", 1)])
def test_exported_network(tmp_path, method, refusals):
    cfg = load_config(experiment("quickstart"))
    options = ExportOptions(xcorr=method)
    facts = export_graphs.write_graphs(build_model(cfg).eval(), track_settings(cfg), False, False, options, tmp_path)
    found = [each for graph in facts.values() for each in refused(tmp_path / graph.file) if each.certain]
    assert [(each.file, each.operator, each.count) for each in found] == [("track.onnx", "Conv", 2)] * refusals
