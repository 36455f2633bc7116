"""Steps on the device: graphs and what happens without them, two frames in flight, compiled networks, fp16."""

import contextlib
import logging
import re
import types

import numpy as np
import pytest
import torch

from fake_graphs import use_fake_graphs
from helpers import (
    GOLDEN_BOXES,
    experiment,
    load_synthetic_weights,
    needs_compiler,
    synthetic_image,
    tiny_config,
    track_golden,
)
from pysot.core.config import load_config
from pysot.models.model_builder import build_model
from pysot.tracker import compiled
from pysot.tracker.device_step import DeviceStep
from pysot.tracker.host_step import HostStep
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker
from pysot.utils import graphs

IMAGE = synthetic_image("frame", 240, 320)
FRAMES = [np.roll(IMAGE, (2 * i, 5 * i), (0, 1)) for i in range(8)]
BOXES = [[100, 80, 60, 60], [10, 20, 30, 40]]
DEVICE = ("TRACK.CROPS", "device")
LONG_TERM = (
    *("TRACK.TYPE", "SiamRPNLTTracker", "TRACK.LOST_INSTANCE_SIZE", 319),
    *("TRACK.CONFIDENCE_LOW", 0.65, "TRACK.CONFIDENCE_HIGH", 0.7),
)


def make_tracker(slots, *opts):
    torch.manual_seed(0)
    config = tiny_config(*opts)
    return build_batch_tracker(build_model(config), config, slots)


def start(tracker):
    tracker.start(range(tracker.slots), [IMAGE] * tracker.slots, BOXES[: tracker.slots])
    return tracker


def track_all(tracker, frames=FRAMES):
    start(tracker)
    return np.array([np.column_stack(tracker.track([frame] * tracker.slots)) for frame in frames])


def test_golden_trajectory_with_device_crops():
    config = load_config(experiment("siamrpn_alex_dwxcorr"), list(DEVICE))
    outputs = track_golden(build_tracker(load_synthetic_weights(build_model(config)), config))
    np.testing.assert_allclose([output["bbox"] for output in outputs], GOLDEN_BOXES, atol=0.02)


@pytest.mark.parametrize("opts", [(), LONG_TERM], ids=["short", "long"])
@pytest.mark.parametrize("slots", [1, 2])
def test_a_graph_gives_the_same_numbers(opts, slots, monkeypatch):
    """Also after targets start anew, with other frame sizes, with an idle slot, and for lost targets."""
    fake = use_fake_graphs(monkeypatch)
    found = {}
    for graph in ("auto", "off"):
        tracker = make_tracker(slots, *DEVICE, *opts, "TRACK.GRAPH", graph)
        rows = [track_all(tracker)]
        tracker.stop(range(slots))
        rows.append(track_all(tracker, FRAMES[::-1]))
        tracker.start([slots - 1], [IMAGE[:100, :120]], [[30, 30, 20, 20]])
        rows.append([np.column_stack(tracker.track([None] * (slots - 1) + [frame[:100, :120]])) for frame in FRAMES])
        found[graph] = np.concatenate(rows)
    np.testing.assert_array_equal(found["auto"], found["off"])
    sizes = 2 if opts else 1
    assert fake.captures == sizes and fake.replays >= 24
    assert opts == () or {True, False} == {row[0, 4] < 0.65 for row in found["off"][:-1]}  # some frames are lost


def test_a_graph_is_captured_again_only_where_it_has_to_be(monkeypatch):
    fake = use_fake_graphs(monkeypatch)
    tracker = make_tracker(2, *DEVICE)
    model = tracker.network.model
    track_all(tracker)
    assert fake.captures == 1
    track_all(tracker, [frame[:150] for frame in FRAMES])
    assert fake.captures == 1  # smaller frames fit into the buffer
    large = np.tile(IMAGE, (3, 3, 1))
    track_all(tracker, [large])
    assert fake.captures == 2
    model.load_state_dict({name: value * 1.5 for name, value in model.state_dict().items()})
    expected = track_all(build_batch_tracker(model, tiny_config(*DEVICE, "TRACK.GRAPH", "off"), 2))
    np.testing.assert_array_equal(track_all(tracker), expected)
    assert fake.captures == 3


def test_a_graph_that_cannot_be_captured_is_named_and_the_rest_goes_on(monkeypatch, caplog):
    fake = use_fake_graphs(monkeypatch)
    fake.fail_at = 10
    config = tiny_config(*DEVICE)
    torch.manual_seed(0)
    settings = [127 + 16 * size for size in range(12)]
    current = [255]
    tracker = build_batch_tracker(build_model(config), config, 2)
    fixed = tracker.settings
    tracker._settings = lambda: type(fixed)(**{**vars(fixed), "instance_size": current[0]})
    start(tracker)
    with caplog.at_level(logging.WARNING):
        for current[0] in settings:
            for _ in range(2):
                boxes, _ = tracker.track([IMAGE] * 2)
                assert np.isfinite(boxes).all() and fake.current == "the stream of the caller"
    assert [record.message for record in caplog.records] == [
        f"the step of 2 targets with crops of {settings[9]} pixels cannot be captured as a graph (CUDA error: out of "
        "memory): it is computed operator by operator, as with TRACK.GRAPH off"
    ]
    assert fake.captures == 12 and len(tracker._step._searches) == 4  # the memory of graphs is bounded


def test_without_graphs_nothing_is_captured(monkeypatch):
    fake = use_fake_graphs(monkeypatch)
    track_all(make_tracker(2, *DEVICE, "TRACK.GRAPH", "off"))
    monkeypatch.undo()
    track_all(make_tracker(2, *DEVICE))  # a CPU has no graphs
    assert fake.captures == 0


@pytest.mark.parametrize(
    ("kind", "module", "reason"),
    [
        ("cuda", types.SimpleNamespace(), r"cuda cannot capture graphs, torch .* has no CUDAGraph: each step is"),
        ("npu", types.SimpleNamespace(), r"npu cannot capture graphs, torch .* has no NPUGraph"),
        ("npu", types.SimpleNamespace(NPUGraph=1), "this version of CANN has no aclmdlRICaptureBegin"),
    ],
)
def test_software_without_graphs_is_named(kind, module, reason, monkeypatch, caplog):
    device = type("Device", (), {"type": kind, "__str__": lambda self: kind})()
    monkeypatch.setattr(graphs, "device_module", lambda device: module)
    monkeypatch.setattr(graphs.ctypes, "CDLL", lambda name: types.SimpleNamespace())
    assert [graphs.find_graphs(device) for _ in range(2)] == [None, None]
    assert re.search(reason, caplog.text) and len(caplog.records) == 1


def test_a_timer_sees_the_parts_of_a_step_without_its_graph(monkeypatch):
    fake, parts = use_fake_graphs(monkeypatch), []
    tracker = start(make_tracker(2, *DEVICE))
    expected = tracker.track([FRAMES[1]] * 2)[0]
    start(tracker)
    tracker.timer = lambda part: contextlib.nullcontext(parts.append(part))
    np.testing.assert_array_equal(tracker.track([FRAMES[1]] * 2)[0], expected)
    assert parts == ["crop", "network", "decode"] and fake.replays == 1


@pytest.mark.parametrize("opts", [(), DEVICE, LONG_TERM, (*DEVICE, *LONG_TERM)])
@pytest.mark.parametrize("has_graphs", [False, True])
def test_two_frames_in_flight_give_the_same_numbers(opts, has_graphs, monkeypatch):
    if has_graphs:
        use_fake_graphs(monkeypatch)
    expected = track_all(make_tracker(2, *opts))
    tracker = start(make_tracker(2, *opts))
    found, buffer = [], np.empty_like(IMAGE)
    for index, frame in enumerate(FRAMES):
        buffer[:] = frame  # the next frame overwrites it
        tracker.submit([buffer, buffer])
        if index:
            found.append(np.column_stack(tracker.collect()))
    found.append(np.column_stack(tracker.collect()))
    np.testing.assert_array_equal(np.array(found), expected)


def test_a_larger_frame_while_another_one_is_in_flight(monkeypatch):
    """The graph is captured again, which must not move the targets."""
    fake = use_fake_graphs(monkeypatch)
    frames = [FRAMES[0], np.pad(FRAMES[1], ((0, 200), (0, 200), (0, 0))), FRAMES[2]]
    expected = track_all(make_tracker(2, *DEVICE, "TRACK.GRAPH", "off"), frames)
    tracker = start(make_tracker(2, *DEVICE))
    tracker.submit([frames[0]] * 2)
    tracker.submit([frames[1]] * 2)
    found = [np.column_stack(tracker.collect())]
    tracker.submit([frames[2]] * 2)
    found += [np.column_stack(tracker.collect()) for _ in range(2)]
    np.testing.assert_array_equal(np.array(found), expected)
    assert fake.captures == 2


@pytest.mark.parametrize("opts", [(), DEVICE])
def test_mistakes_with_frames_in_flight(opts):
    tracker = start(make_tracker(2, *opts))
    with pytest.raises(RuntimeError, match="no frames are in flight"):
        tracker.collect()
    tracker.submit([IMAGE, IMAGE])
    for mistake in (lambda: start(tracker), lambda: tracker.track([IMAGE, IMAGE])):
        with pytest.raises(RuntimeError, match="in flight"):
            mistake()
    with pytest.raises(ValueError, match="expected 2 frames"):
        tracker.submit([IMAGE])
    tracker.submit([IMAGE, None])
    with pytest.raises(RuntimeError, match="2 frames are in flight"):
        tracker.submit([IMAGE, IMAGE])
    assert np.isfinite(tracker.collect()[0]).all()
    boxes, _ = tracker.collect()
    assert np.isfinite(boxes[0]).all() and np.isnan(boxes[1]).all()


@pytest.mark.parametrize("opts", [(), DEVICE])
def test_a_target_that_fails_while_the_next_frame_is_in_flight(opts):
    expected = track_all(make_tracker(2, *opts))[:, 0]
    tracker = start(make_tracker(2, *opts))
    tracker._step.templates.state[0][1] = float("nan")
    tracker.submit([FRAMES[0]] * 2)
    tracker.submit([FRAMES[1]] * 2)
    for index in range(2):
        boxes, _ = tracker.collect()
        np.testing.assert_allclose(boxes[0], expected[index, :4], atol=1e-3)
        assert np.isnan(boxes[1]).all()
        # On the device, the second frame was on its way before the failure was known.
        assert list(tracker.failures) == ([1] if index == 0 else [])
    assert tracker.active.tolist() == [True, False]
    assert opts == () or tracker._step._targets.isfinite().all()  # crops are cut around them


@pytest.mark.parametrize("opts", [(), DEVICE])
def test_a_target_that_pauses_in_flight_stays_where_it_was(opts):
    pauses = [[0, 1], [0], [0, 1], [1], [0, 1]]
    found = {}
    for ahead in (0, 1):
        tracker, rows = start(make_tracker(2, *opts)), []
        for step, slots in enumerate(pauses):
            tracker.submit([FRAMES[step] if slot in slots else None for slot in range(2)])
            if step >= ahead:
                rows.append(np.column_stack(tracker.collect()))
        found[ahead] = np.array(rows + [np.column_stack(tracker.collect()) for _ in range(ahead)])
    np.testing.assert_array_equal(found[1], found[0])
    assert np.isfinite(found[0][4]).all() and np.isnan(found[0][[1, 3], [1, 0]]).all()


@pytest.mark.parametrize("opts", [(), DEVICE])
def test_an_invalid_frame_while_another_one_is_in_flight(opts):
    tracker = start(make_tracker(2, *opts))
    tracker.submit([FRAMES[0], FRAMES[0]])
    tracker.submit([FRAMES[1], FRAMES[1].astype(float)])
    assert np.isfinite(tracker.collect()[0]).all() and not tracker.failures
    tracker.submit([FRAMES[2], FRAMES[2]])  # the caller does not know yet
    assert np.isnan(tracker.collect()[0][1]).all() and list(tracker.failures) == [1]
    boxes, _ = tracker.collect()
    assert np.isfinite(boxes[0]).all() and np.isnan(boxes[1]).all() and not tracker.failures


def test_a_stopped_target_has_no_result_in_flight():
    tracker = start(make_tracker(2, *DEVICE))
    tracker.submit([IMAGE, IMAGE])
    tracker.stop([0])
    boxes, _ = tracker.collect()
    assert np.isnan(boxes[0]).all() and np.isfinite(boxes[1]).all()


def test_the_step_follows_the_crops_option():
    assert isinstance(make_tracker(1)._step, HostStep)
    tracker = make_tracker(1, *DEVICE)
    step = tracker._step
    assert isinstance(step, DeviceStep)
    for _ in range(2):  # a step is kept when all targets have ended
        start(tracker)
        tracker.stop([0])
    assert tracker._step is step


@pytest.mark.parametrize("opts", [(), DEVICE])
def test_fp16_follows_fp32(opts):
    found = {p: track_all(make_tracker(2, *opts, "TRACK.PRECISION", p))[:3] for p in ("fp32", "fp16")}
    np.testing.assert_allclose(found["fp16"], found["fp32"], atol=1)
    assert (found["fp16"] != found["fp32"]).any()


def test_fp16_names_a_number_that_is_too_large():
    tracker = make_tracker(1, "TRACK.PRECISION", "fp16")
    with torch.no_grad():
        for parameter in tracker.network.model.parameters():
            parameter.mul_(30)
    start(tracker)
    tracker.track([IMAGE])
    assert "in fp16, a value may also have left the range" in str(tracker.failures[0])


@needs_compiler
@pytest.mark.parametrize("wins", ["compiled", "operator by operator"])
def test_compiled_is_used_where_it_is_faster(wins, monkeypatch, caplog):
    def fixed_seconds(ways, state, images):
        for way in ways:
            way(state, images)
        return [1.0, 2.0] if wins == "compiled" else [2.0, 1.0]

    calls, compile_network = [], compiled._compile

    def counted_compile(network):
        match = compile_network(network)
        return lambda state, images: calls.append(len(images)) or match(state, images)

    monkeypatch.setattr(compiled, "_seconds", fixed_seconds)
    monkeypatch.setattr(compiled, "_compile", counted_compile)
    expected = track_all(make_tracker(2))
    with caplog.at_level(logging.INFO, logger="pysot"):
        tracker = make_tracker(2, "TRACK.COMPILE", True)
        found = track_all(tracker)
    np.testing.assert_allclose(found, expected, atol=0.01)
    end = "it is compiled" if wins == "compiled" else "it is not compiled"
    messages = [record.message for record in caplog.records if record.name.startswith("pysot")]
    assert len(messages) == 2 and all(message.endswith(end) for message in messages)
    assert "a call with 2 crops: " in messages[1]
    track_all(
        build_batch_tracker(tracker.network.model, tiny_config(), 2)
    )  # another tracker of the model is not compiled
    assert calls == [1, 1, 2, 2, *([2] * len(FRAMES) if wins == "compiled" else [])]


def test_compiling_without_a_compiler_is_a_sentence(monkeypatch):
    def fail(network):
        def match(state, images):
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nMore lines")

        return match

    monkeypatch.setattr(compiled, "_compile", fail)
    with pytest.raises(RuntimeError, match=r"fails \(InvalidCxxCompiler: No working C\+\+ compiler found\): install a"):
        make_tracker(1, "TRACK.COMPILE", True)  # not at the first frame, whose time is recorded


def test_compiled_is_refused_for_an_npu():
    template = types.SimpleNamespace(device=types.SimpleNamespace(type="npu"))
    with pytest.raises(ValueError, match=r"TRACK.COMPILE true is not for an NPU.*set it to false"):
        compiled.compile_match(None, None, template, None, [1])


@needs_compiler
@pytest.mark.parametrize("slots", [1, 2, 3])
def test_no_step_compiles_anew(slots, monkeypatch):
    """Templates of one target and of several have other memory layouts and modes; both were compiled at the start."""
    monkeypatch.setattr(compiled, "_seconds", lambda ways, *_: [1.0, 2.0])  # compiled code is used
    torch.compiler.reset()
    tracker = make_tracker(slots, "TRACK.COMPILE", True)
    tracker.start(range(slots), [IMAGE] * slots, [BOXES[0]] * slots)
    with torch.compiler.set_stance("fail_on_recompile"):
        for frame in FRAMES[:2]:
            assert np.isfinite(tracker.track([frame] * slots)[0]).all()
