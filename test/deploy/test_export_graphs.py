"""ONNX graphs against torch, their operators, and that none has dynamic weights."""

import numpy as np
import onnx
import pytest
import torch

from export_helpers import both_networks, small_export, write_export
from helpers import ROOT
from pysot.benchmarks.synthetic import load_synthetic_weights
from pysot.core.config import load_config
from pysot.core.xcorr import grouped_correlation, xcorr_up_channel
from pysot.core.xcorr_export import EXPORT_METHODS
from pysot.deploy.export_graphs import ExportOptions
from pysot.models.model_builder import build_model

EXPERIMENTS = sorted(path.parent.name for path in (ROOT / "experiments").glob("*/config.yaml"))
STAGES = ("", "refine", "point", "nano")


def crops(count: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def relative(expected, found) -> float:
    expected, found = np.asarray(expected, np.float64), np.asarray(found, np.float64)
    assert expected.shape == found.shape
    return float(np.abs(expected - found).max() / np.abs(expected).max())


def check_outputs(torch_network, exported, config, count: int, tolerance: float = 1e-4) -> None:
    """Compare all outputs of a template and of `count` search crops."""
    template = crops(count, config.TRACK.EXEMPLAR_SIZE)
    state, other = torch_network.template(template), exported.template(template)
    kernels = [np.asarray(part) for part in state][: len(other)]  # a SiamMask may be used without masks
    assert [relative(a, b) < tolerance for a, b in zip(kernels, other, strict=True)] == [True] * len(kernels)
    sides = [config.TRACK.INSTANCE_SIZE] + ([config.TRACK.LOST_INSTANCE_SIZE] if exported.package.long_term else [])
    for side in sides:
        search = crops(count, side, seed=1)
        expected, found = torch_network.track(state, search), exported.track(kernels, search)
        assert relative(expected.cls, found.cls) < tolerance
        assert relative(expected.loc, found.loc) < tolerance
        if exported.masks:
            cells = np.array([[3, 20]] * count)
            masks = torch_network.refine(expected.features, cells), exported.refine(found.features, cells)
            assert relative(*masks) < tolerance


def dynamic_weights(path) -> list[str]:
    """Return the convolutions of a graph whose weights are no constants."""
    graph = onnx.load(path).graph
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    return [n.name for n in graph.node if n.op_type in ("Conv", "ConvTranspose") and n.input[1] not in constants]


def test_siammask_without_masks(tmp_path):
    model, config = small_export(tmp_path / "exported", "base")
    torch_network, exported = both_networks(tmp_path / "exported", model, config)
    assert len(exported.package.graphs["template"].outputs) == 2
    check_outputs(torch_network, exported, config, 2)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("xcorr", "batch"),
    [("grouped", 1), ("grouped", 3), ("matmul", 1), ("matmul", 3), ("matmul", None), ("shift", 1), ("shift", None)],
)
def test_small_networks(stage, xcorr, batch, tmp_path):
    model, config = small_export(tmp_path / "exported", stage, xcorr=xcorr, batch=batch)
    torch_network, exported = both_networks(tmp_path / "exported", model, config)
    for count in (1, 4):  # more than the batch, and fewer
        check_outputs(torch_network, exported, config, count)
    dynamic = [name for path in (tmp_path / "exported").glob("*.onnx") for name in dynamic_weights(path)]
    assert bool(dynamic) == (xcorr == "grouped")


def test_lost_targets_have_a_graph_of_their_own(tmp_path):
    small = ("TRACK.TYPE", "SiamRPNLTTracker", "TRACK.LOST_INSTANCE_SIZE", 351)
    model, config = small_export(tmp_path / "exported", "", *small)
    torch_network, exported = both_networks(tmp_path / "exported", model, config)
    check_outputs(torch_network, exported, config, 2)
    with pytest.raises(ValueError, match="crops of 255 and 351 pixels, got 303"):
        exported.track(exported.template(crops(1, 127)), crops(1, 303))


def architectures() -> list[str]:
    """Return one experiment of each network and kind of tracker."""
    found = {}
    for name in EXPERIMENTS:
        config = load_config(ROOT / "experiments" / name / "config.yaml")
        heads = config.BAN.TYPE if config.BAN.BAN else config.RPN.TYPE, config.MASK.MASK, config.REFINE.REFINE
        kind = config.BACKBONE.TYPE, len(config.BACKBONE.KWARGS.get("used_layers", ())), heads, config.TRACK.TYPE
        found.setdefault(kind, name)
    return sorted(found.values())


@pytest.mark.parametrize("name", architectures())
def test_experiments(name, tmp_path):
    config = load_config(ROOT / "experiments" / name / "config.yaml", ["TRACK.LOST_INSTANCE_SIZE", 319])
    torch.manual_seed(0)
    model = write_export(tmp_path / "exported", load_synthetic_weights(build_model(config)).eval(), config)
    check_outputs(*both_networks(tmp_path / "exported", model, config), config, 1, tolerance=1e-3)
    graphs = sorted((tmp_path / "exported").glob("*.onnx"))
    assert [name for path in graphs for name in dynamic_weights(path)] == []
    kinds = {node.op_type for path in graphs for node in onnx.load(path).graph.node}
    assert not kinds & {"BatchNormalization", "Identity", "If", "Loop"}


def test_fp16_is_near_and_half_the_size(tmp_path):
    model, config = small_export(tmp_path / "half", "refine", precision="fp16")
    small_export(tmp_path / "full", "refine")
    torch_network, exported = both_networks(tmp_path / "half", model, config)
    check_outputs(torch_network, exported, config, 1, tolerance=0.05)
    half, full = ((tmp_path / name / "template.onnx").stat().st_size for name in ("half", "full"))
    assert half < 0.8 * full


@pytest.mark.parametrize("opset", [14, 17, 20])
def test_opsets(opset, tmp_path):
    model, config = small_export(tmp_path / "exported", "refine", opset=opset)
    assert {onnx.load(path).opset_import[0].version for path in (tmp_path / "exported").glob("*.onnx")} == {opset}
    check_outputs(*both_networks(tmp_path / "exported", model, config), config, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opset": 13}, "opset: expected 14 to 20, got 13"),
        ({"xcorr": "grouped", "batch": None}, "take --xcorr shift or matmul"),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ExportOptions(**options).check()


def test_graphs_are_simplified(tmp_path):
    """torch writes several times as many operators."""
    small_export(tmp_path / "exported", xcorr="matmul")
    assert len(onnx.load(tmp_path / "exported" / "track.onnx").graph.node) < 100


def test_graphs_have_no_paths_of_the_exporting_machine(tmp_path):
    small_export(tmp_path / "exported", "nano")
    for path in (tmp_path / "exported").iterdir():
        content = path.read_bytes()
        assert b".py" not in content
        assert str(ROOT).encode() not in content


@pytest.mark.parametrize("name", ["matmul", "shift"])
def test_correlations(name):
    depthwise, up_channel = EXPORT_METHODS[name]
    torch.manual_seed(0)
    search, kernel = torch.randn(2, 6, 9, 8), torch.randn(2, 6, 4, 3)
    torch.testing.assert_close(depthwise(search, kernel), grouped_correlation(search, kernel))
    kernel = torch.randn(2, 5 * 6, 4, 3)
    torch.testing.assert_close(up_channel(search, kernel), xcorr_up_channel(search, kernel))
