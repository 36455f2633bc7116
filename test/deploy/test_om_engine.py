"""The engine om, with stand-ins of ATC and ais_bench."""

import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from om_helpers import BATCH, STAND_INS, inputs_of, put_atc_on_path, write_graphs
from pysot.deploy.ascend import om_origin, write_om
from pysot.deploy.engines import ENGINES, choose_engine
from pysot.deploy.om_engine import open_om
from pysot.utils.files import file_hash

NAMES = ("template", "track", "refine")


@pytest.fixture
def ais_bench(monkeypatch):
    """Return InferSession of the stand-in of ais_bench, as the engine imports it."""
    monkeypatch.syspath_prepend(STAND_INS)
    for name in [name for name in sys.modules if name.split(".")[0] == "ais_bench"]:
        monkeypatch.delitem(sys.modules, name)
    from ais_bench.infer.interface import InferSession

    yield InferSession
    for name in [name for name in sys.modules if name.split(".")[0] == "ais_bench"]:
        del sys.modules[name]


@pytest.fixture
def export(tmp_path, tmp_path_factory, monkeypatch):
    """Return a function that writes small graphs with a batch, compiled, and returns their facts."""

    def write(batch=1):
        put_atc_on_path(tmp_path_factory.mktemp("cann") / "bin", monkeypatch)
        facts = write_graphs(tmp_path, batch)
        write_om(tmp_path, facts, "Ascend310P3", "fp16", print)
        return facts

    return write


def open_graph(folder, facts, name, engine="om"):
    engine, provider = choose_engine(engine)
    return engine.open(folder / f"{name}{engine.suffix}", facts[name], provider, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("batch", "count"), [(1, 1), (3, 3), (BATCH, 1), (BATCH, 3), (BATCH, 16), (BATCH, 21)])
def test_outputs(tmp_path, export, ais_bench, name, batch, count):
    facts = export(batch)
    inputs = inputs_of(facts[name], count)
    outputs = open_graph(tmp_path, facts, name).run(inputs)
    expected = open_graph(tmp_path, facts, name, "onnxruntime:cpu").run(inputs)
    for output, value in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, value, rtol=1e-5, atol=1e-5)


def test_calls(tmp_path, export, ais_bench):
    facts = export()
    crops, kernel = inputs_of(facts["track"], 1)
    open_graph(tmp_path, facts, "track").run([crops[:, ::-1, ::-1], kernel])
    session = ais_bench.opened[-1]
    ((mode, feeds),) = session.calls
    assert (mode, session.device_id) == ("static", 0)
    assert feeds[0].flags.c_contiguous and feeds[0].dtype == np.uint8
    np.testing.assert_array_equal(feeds[0], crops[:, ::-1, ::-1])


def test_batches_that_are_compiled(tmp_path, export, ais_bench):
    facts = export(BATCH)
    open_graph(tmp_path, facts, "template").run(inputs_of(facts["template"], 21))
    assert [(mode, len(feeds[0])) for mode, feeds in ais_bench.opened[-1].calls] == [("dymbatch", 16), ("dymbatch", 8)]


def test_inputs_that_the_graph_does_not_take(tmp_path, export, ais_bench):
    facts = export()
    session = open_graph(tmp_path, facts, "track")
    crops, kernel = inputs_of(facts["track"], 1)
    for inputs in ([crops], [crops.astype(np.float32), kernel], [crops[:, 1:], kernel], [crops, kernel.astype(float)]):
        with pytest.raises(ValueError, match="track.onnx takes"):
            session.run(inputs)
    assert ais_bench.opened[-1].calls == []


def test_not_compiled(tmp_path, ais_bench):
    facts = write_graphs(tmp_path)
    with pytest.raises(FileNotFoundError, match="template.om is missing: export with --format om, and run atc.sh"):
        open_graph(tmp_path, facts, "template")


def test_of_unknown_origin(tmp_path, export, ais_bench):
    facts = export()
    om_origin(tmp_path / "track.om").unlink()
    with pytest.raises(FileNotFoundError, match="track.om.sha256 is missing"):
        open_graph(tmp_path, facts, "track")


def test_of_another_export(tmp_path, export, ais_bench):
    export()
    facts = write_graphs(tmp_path, seed=1)
    with pytest.raises(ValueError, match="track.om was not made of the track.onnx of this export"):
        open_graph(tmp_path, facts, "track")


def test_incomplete(tmp_path, export, ais_bench):
    facts = export()
    (tmp_path / "track.om").write_text("{")
    with pytest.raises(ValueError, match="or is incomplete: compile it again with atc.sh"):
        open_graph(tmp_path, facts, "track")


def test_compiled_without_aipp(tmp_path, export, ais_bench, monkeypatch):
    monkeypatch.setattr("pysot.deploy.ascend._has_crop", lambda facts: False)
    facts = export()
    with pytest.raises(ValueError, match="it was compiled without its AIPP file: compile it again"):
        open_graph(tmp_path, facts, "track")


def test_chip_that_refuses(tmp_path, export, ais_bench):
    facts = export()
    path = tmp_path / "track.om"
    path.write_text("not for this chip")
    origin = om_origin(path)
    origin.write_text(origin.read_text().splitlines()[0] + f"\n{file_hash(path)}  track.om\n")
    with pytest.raises(RuntimeError, match="ret 145000. Compile it for the chip of this machine"):
        open_graph(tmp_path, facts, "track")


def test_outputs_of_another_order(tmp_path, export, ais_bench, monkeypatch):
    facts = export()
    session = open_graph(tmp_path, facts, "track")
    infer = ais_bench.infer
    monkeypatch.setattr(ais_bench, "infer", lambda self, feeds, mode: infer(self, feeds, mode)[::-1])
    with pytest.raises(RuntimeError, match="the .om of track.onnx gave .* expected"):
        session.run(inputs_of(facts["track"], 1))


def test_threads(tmp_path, export, ais_bench):
    facts = export()
    session = open_graph(tmp_path, facts, "template")
    inputs = [inputs_of(facts["template"], 1, seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(session.run, inputs))
    for outputs, values in zip(found, inputs, strict=True):
        np.testing.assert_array_equal(outputs, session.run(values))


def test_frees_the_chip(tmp_path, export, ais_bench):
    facts = export()
    session = open_graph(tmp_path, facts, "template")
    assert ais_bench.opened[-1].freed == 0
    del session
    gc.collect()
    assert ais_bench.opened[-1].freed == 1


def test_without_ais_bench(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="the engine om needs the package ais_bench: build the wheels"):
        choose_engine("om:ascend")


def test_without_cann(tmp_path, export, monkeypatch):
    facts = export()
    monkeypatch.setitem(sys.modules, "ais_bench", None)
    with pytest.raises(ImportError, match="ais_bench and aclruntime, and CANN in this shell"):
        open_om(tmp_path / "track.om", facts["track"], "ascend", 0)


def test_record():
    engine = ENGINES["om"]
    assert (engine.providers, engine.suffix) == (("ascend",), ".om")
