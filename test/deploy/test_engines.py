"""Engines: their choice, what they refuse, and that they agree."""

import dataclasses
import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from test_export_graphs import STAGES, crops, relative

from export_helpers import small_export
from helpers import ROOT
from om_helpers import write_graph
from pysot.deploy.engine_network import EngineNetwork
from pysot.deploy.engines import ENGINES, choose_engine, engine_names
from pysot.deploy.export_graphs import graph_facts
from pysot.deploy.onnxruntime_engine import open_onnxruntime
from pysot.deploy.package import read_package

IMAGE = ("float32", (1, 3, 8, 8))


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "exported"
    small_export(folder)
    return folder


def open_track(folder, engine="onnxruntime:cpu"):
    """Return the session of track.onnx, and inputs for it."""
    package = read_package(folder)
    facts = package.graphs["track"]
    record, provider = choose_engine(engine)
    session = record.open(package.path("track"), facts, provider, 1)
    rng = np.random.default_rng(0)
    kernels = [rng.standard_normal(each.shape, dtype=np.float32) for each in facts.inputs[1:]]
    return session, [crops(1, 255), *kernels]


def installed(monkeypatch, *names):
    find = importlib.util.find_spec
    engines = {engine.package for engine in ENGINES.values()}
    monkeypatch.setattr("importlib.util.find_spec", lambda n, *a: (n in names or None) if n in engines else find(n, *a))


def test_names():
    names = engine_names()
    assert names[:3] == ["onnxruntime:cpu", "onnxruntime:cuda", "onnxruntime:tensorrt"]
    assert {"openvino:fp32", "openvino:bf16", "openvino:int8", "om:ascend"} <= set(names)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("onnxruntim", "engine is 'onnxruntim'; known: .*onnxruntime"),
        ("", "engine is ''"),
        ("tensorrt", "engine is 'tensorrt'; known: om, onnxruntime, openvino"),
        ("onnxruntime:gpu", "provider of onnxruntime is 'gpu'; known: cann, cpu, cuda"),
        ("openvino:fp23", "provider of openvino is 'fp23'.*fp32"),
        ("onnxruntime:cpu:1", "provider of onnxruntime is 'cpu:1'"),
    ],
)
def test_an_unknown_name(name, words):
    with pytest.raises(ValueError, match=words):
        choose_engine(name)


@pytest.mark.parametrize(("packages", "chosen"), [(("openvino", "onnxruntime"), 1), (("onnxruntime",), 0), ((), None)])
def test_auto(monkeypatch, packages, chosen):
    installed(monkeypatch, *packages)
    if chosen is None:
        with pytest.raises(ImportError, match="needs the package onnxruntime: pip install onnxruntime"):
            choose_engine()
        return
    engine, provider = choose_engine()
    assert f"{engine.name}:{provider}" == ("onnxruntime:cpu", "openvino:fp32")[chosen]


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_an_engine_that_is_not_installed(monkeypatch, name):
    installed(monkeypatch)
    with pytest.raises(ImportError, match=f"the engine {name} needs the package {name}: pip install {name}"):
        choose_engine(name)


@pytest.mark.parametrize(("provider", "package"), [("cuda", "onnxruntime-gpu"), ("cann", "onnxruntime-cann")])
def test_an_onnxruntime_without_the_provider(export, monkeypatch, provider, package):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ValueError, match=f"has no provider {provider}: pip install {package} .*or use onnxruntime:cpu"):
        EngineNetwork(read_package(export), *choose_engine(f"onnxruntime:{provider}"))


def test_a_provider_that_does_not_start(export, monkeypatch):
    """ONNX Runtime goes on with the CPU then, which is refused here."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *rest, providers: session(*rest, providers=["CPUExecutionProvider"])
    )
    with pytest.raises(RuntimeError, match="onnxruntime cannot start its provider cuda .*use onnxruntime:cpu"):
        EngineNetwork(read_package(export), *choose_engine("onnxruntime:cuda"))


def too_new(path, opset=17, ir_version=None):
    """Write a graph of an opset and an IR version; return its facts."""
    write_graph(path, [helper.make_node("Relu", ["x"], ["y"])], {"x": IMAGE}, {"y": IMAGE})
    facts, model = graph_facts(path), onnx.load(path)
    model.opset_import[0].version = opset
    model.ir_version = ir_version or model.ir_version
    path.write_bytes(model.SerializeToString())
    return facts


@pytest.mark.parametrize("versions", [{"opset": 99}, {"ir_version": 99}])
def test_a_graph_that_is_too_new(tmp_path, versions):
    path = tmp_path / "graph.onnx"
    facts = too_new(path, **versions)
    words = "onnxruntime .* refuses .*graph.onnx: .*Install a newer onnxruntime, or export with a lower --opset"
    with pytest.raises(RuntimeError, match=words) as caught:
        open_onnxruntime(path, facts, "cpu", 1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", ["onnxruntime:cpu", "openvino:fp32"])
def test_a_damaged_graph(tmp_path, engine):
    record, provider = choose(engine)
    path = tmp_path / "graph.onnx"
    facts = too_new(path)
    path.write_bytes(b"no graph")
    with pytest.raises(RuntimeError, match="refuses .*graph.onnx: ") as caught:
        record.open(path, facts, provider, 1)
    assert "\n" not in str(caught.value)


def choose(engine):
    pytest.importorskip(engine.partition(":")[0])
    return choose_engine(engine)


def test_a_graph_that_openvino_refuses(tmp_path):
    record, provider = choose("openvino:fp32")
    path = tmp_path / "graph.onnx"
    write_graph(
        path, [helper.make_node("Unknown", ["x"], ["y"], domain="mine")], {"x": IMAGE}, {"y": IMAGE}, None, 17, ["mine"]
    )
    with pytest.raises(RuntimeError, match="OpenVINO .* refuses .*graph.onnx: .*or use onnxruntime:cpu"):
        record.open(path, graph_facts(path), provider, 1)


def test_a_signal_after_trackers_of_openvino_have_gone(export):
    """In a process of its own, which the signal ends where OpenVINO has freed the memory of signal handlers."""
    choose("openvino:fp32")
    lines = (
        "import signal, sys; sys.path.insert(0, sys.argv[1]); from pysot.deploy import Tracker",
        "for _ in range(2): Tracker(sys.argv[2], 'openvino:fp32')",
        "signal.signal(signal.SIGINT, lambda *_: print('handled'))",
        "signal.raise_signal(signal.SIGINT)",
    )
    line = [sys.executable, "-c", "\n".join(lines), str(ROOT), str(export)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done


def test_int8_of_a_graph_that_is_not_quantised(export):
    with pytest.raises(ValueError, match="openvino:int8 needs a quantised graph, .*export with --precision int8"):
        EngineNetwork(read_package(export), *choose("openvino:int8"))


@pytest.mark.parametrize("engine", ["onnxruntime:cpu", "openvino:fp32"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda inputs: inputs[:1], "track.onnx takes .* inputs, got 1"),
        (lambda inputs: [*inputs, inputs[0]], "track.onnx takes .* inputs, got"),
        (lambda inputs: [inputs[0][:, 1:], *inputs[1:]], "takes crop as uint8 1 x 255 x 255 x 3, got uint8 1 x 254"),
        (lambda inputs: [inputs[0].astype(np.float32), *inputs[1:]], "takes crop as uint8 .*, got float32 1 x 255"),
        (lambda inputs: [inputs[0], *(each.astype(np.float64) for each in inputs[1:])], "as float32 .*, got float64"),
        (lambda inputs: [inputs[0], *(each[..., 1:] for each in inputs[1:])], "takes kernel_0 as float32 1 x"),
        (
            lambda inputs: [np.repeat(each, 2, axis=0) for each in inputs],
            "got uint8 2 x .*--batch dynamic to allow any",
        ),
    ],
)
def test_wrong_inputs(export, engine, change, words):
    choose(engine)
    session, inputs = open_track(export, engine)
    session.run(inputs)
    with pytest.raises(ValueError, match=words):
        session.run(change(inputs))


def test_inputs_of_several_batch_sizes(tmp_path):
    small_export(tmp_path / "exported", batch=None)
    package = read_package(tmp_path / "exported")
    facts = package.graphs["track"]
    session = open_onnxruntime(package.path("track"), facts, "cpu", 1)
    kernels = [np.zeros((2, *each.shape[1:]), np.float32) for each in facts.inputs[1:]]
    assert len(session.run([crops(2, 255), *kernels])[0]) == 2
    with pytest.raises(ValueError, match="takes kernel_0 as float32 N x .*got float32 2 x"):
        session.run([crops(3, 255), *kernels])


@pytest.mark.parametrize("stage", STAGES)
def test_openvino_computes_the_same(stage, tmp_path):
    choose("openvino:fp32")
    _, config = small_export(tmp_path / "exported", stage)
    package = read_package(tmp_path / "exported")
    expected, found = (EngineNetwork(package, *choose_engine(name), 1) for name in ("onnxruntime:cpu", "openvino:fp32"))
    template, search = crops(1, config.TRACK.EXEMPLAR_SIZE), crops(1, config.TRACK.INSTANCE_SIZE, seed=1)
    state = expected.template(template)
    assert all(relative(a, b) < 1e-4 for a, b in zip(state, found.template(template), strict=True))
    a, b = expected.track(state, search), found.track(state, search)
    assert relative(a.cls, b.cls) < 1e-4 and relative(a.loc, b.loc) < 1e-4
    if package.masks:
        cells = np.array([[3, 20]])
        assert relative(expected.refine(a.features, cells), found.refine(b.features, cells)) < 1e-4


@pytest.mark.parametrize("engine", ["onnxruntime:cpu", "openvino:fp32"])
def test_threads_share_a_network(export, engine):
    network = EngineNetwork(read_package(export), *choose(engine), 1)

    def compute(seed):
        state = network.template(crops(1, 127, seed))
        outputs = network.track(state, crops(1, 255, seed + 100))
        return [*state, outputs.cls, outputs.loc]

    seeds = range(12)
    expected = list(map(compute, seeds))
    with ThreadPoolExecutor(4) as pool:
        for alone, shared in zip(expected, pool.map(compute, seeds), strict=True):
            for a, b in zip(alone, shared, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("engine", ["onnxruntime:cpu", "openvino:fp32"])
def test_outputs_are_kept(export, engine):
    """A later call does not write into the outputs of an earlier one."""
    choose(engine)
    session, inputs = open_track(export, engine)
    first = session.run(inputs)
    copies = [output.copy() for output in first]
    session.run([255 - inputs[0], *inputs[1:]])
    for output, copy in zip(first, copies, strict=True):
        np.testing.assert_array_equal(output, copy)


def test_a_fixed_batch_is_filled_up(tmp_path):
    small_export(tmp_path / "exported", batch=2)
    package = read_package(tmp_path / "exported")
    assert package.graphs["track"].inputs[0].shape[0] == 2
    network = EngineNetwork(package, *choose_engine("onnxruntime:cpu"), 1)
    template, search = crops(3, 127), crops(3, 255, seed=1)
    state = network.template(template)
    outputs = network.track(state, search)
    assert len(outputs.cls) == 3
    for row in range(3):
        alone = network.track([part[row : row + 1] for part in state], search[row : row + 1])
        np.testing.assert_allclose(alone.cls[0], outputs.cls[row], rtol=1e-4, atol=1e-5)


def test_every_record_names_its_package():
    for name, engine in ENGINES.items():
        assert engine.name == name and engine.providers and engine.suffix in (".onnx", ".om")
        assert dataclasses.is_dataclass(engine) and engine.package and engine.install
