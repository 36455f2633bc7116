"""Targets in lockstep: the boxes of single streams, bad input in one slot, precision, memory, shared networks."""

import contextlib
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import ROOT, experiment, load_synthetic_weights, synthetic_image, tiny_config
from pysot.core.config import load_config
from pysot.models.model_builder import build_model
from pysot.tracker import batch_tracker, frame_upload, torch_network
from pysot.tracker.settings import Execution
from pysot.tracker.torch_network import FORMS, DeviceForm, shared_copy
from pysot.tracker.tracker_builder import build_batch_tracker, build_tracker

IMAGE = synthetic_image("frame", 240, 320)
BOX = [100, 80, 60, 60]
LONG_TERM = (
    *("TRACK.TYPE", "SiamRPNLTTracker", "TRACK.LOST_INSTANCE_SIZE", 319),
    *("TRACK.CONFIDENCE_LOW", 0.65, "TRACK.CONFIDENCE_HIGH", 0.7),
)


def make_tracker(slots, *opts):
    torch.manual_seed(0)
    config = tiny_config(*opts)
    return build_batch_tracker(build_model(config), config, slots)


def accelerator_form():
    """Return a form of the CPU that is like that of an accelerator: maths of torch, always all slots."""
    return DeviceForm(torch.float64, on_host=False, static=True, device_crops=False)


def use_form(name, monkeypatch):
    """Track on the CPU like on an accelerator, with crops cut on the host or on the device, unless `name` is host."""
    if name != "host":
        monkeypatch.setitem(FORMS, "cpu", accelerator_form())
    if name == "device crops":
        monkeypatch.setattr(torch_network.TorchNetwork, "_crops_on_device", True)


@pytest.fixture(params=["host", "accelerator", "device crops"])
def form(request, monkeypatch):
    use_form(request.param, monkeypatch)
    return request.param


def make_sequence(number):
    """Return frames and a start box; every sequence has its own frame size, and some frames are grey."""
    rng = np.random.default_rng(number)
    height, width = int(rng.integers(100, 260)), int(rng.integers(100, 330))
    image = synthetic_image(f"sequence {number}", height, width)
    frames = [np.roll(image, (2 * i, 3 * i), (0, 1)) for i in range(int(rng.integers(2, 6)))]
    if number % 3 == 1:
        frames = [frame[:, :, 0] for frame in frames]
    return frames, [*rng.uniform(0, 60, 2), *rng.uniform(12, 70, 2)]


def track_alone(config, model, frames, box):
    tracker = build_tracker(model, config)
    tracker.init(frames[0], box)
    outputs = [tracker.track(frame) for frame in frames[1:]]
    return np.array([[*output["bbox"], output["best_score"]] for output in outputs])


@pytest.mark.parametrize("opts", [(), LONG_TERM], ids=["short", "long"])
@pytest.mark.parametrize("form_name", ["host", "accelerator", "device crops"])
def test_any_interleaving_gives_the_boxes_of_single_streams(opts, form_name, monkeypatch):
    """Start, lose (restart) and end sequences in any order in any slots, with pauses."""
    config = tiny_config(*opts)
    torch.manual_seed(0)
    model = build_model(config)
    sequences = [make_sequence(number) for number in range(4)]
    expected = [track_alone(config, model, *sequence) for sequence in sequences]
    use_form(form_name, monkeypatch)
    if opts:
        confidences = [rows[:-1, 4] for rows in expected]  # of frames that another one follows
        assert any((row < 0.65).any() for row in confidences) and any((row > 0.7).any() for row in confidences)

    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(st.integers(1, 4), st.lists(st.integers(0, 7), min_size=4, max_size=14))
    def check(slots, draws):
        tracker = build_batch_tracker(model, config, slots)
        running = {}  # slot: [sequence, index of the next frame]
        for step, draw in enumerate(draws):
            slot = draw % slots
            if slot not in running or draw > 5:  # a free slot gets a sequence; sometimes one is replaced
                number = (draw + step) % len(sequences)
                tracker.start([slot], [sequences[number][0][0]], [sequences[number][1]])
                running[slot] = [number, 1]
            frames = [None] * slots
            for other, (number, index) in running.items():
                if other != (draw + 1) % slots or slots == 1:  # one slot pauses
                    frames[other] = sequences[number][0][index]
            boxes, confidences = tracker.track(frames)
            assert not tracker.failures
            for other in range(slots):
                if frames[other] is None:
                    assert np.isnan(boxes[other]).all() and np.isnan(confidences[other])
                    continue
                number, index = running[other]
                np.testing.assert_allclose([*boxes[other], confidences[other]], expected[number][index - 1], atol=1e-3)
                running[other][1] += 1
                if running[other][1] == len(sequences[number][0]):
                    tracker.stop([other])
                    del running[other]

    check()


def test_invalid_starts_start_nothing():
    tracker = make_tracker(3)
    for slots, frames, boxes, message in [
        ([0, 1], [IMAGE, IMAGE], [BOX, [0, 0, 0, 5]], "slot 1: expected a box x, y, width, height"),
        ([0, 2], [IMAGE, IMAGE[:0]], [BOX, BOX], r"slot 2: a frame is .* got uint8 \(0, 320, 3\)"),
        ([0, 0], [IMAGE, IMAGE], [BOX, BOX], r"one target, got slots \[0, 0\]"),
        ([0, 1], [IMAGE], [BOX, BOX], "got 2 slots, 1 frames and 2 boxes"),
    ]:
        with pytest.raises(ValueError, match=message):
            tracker.start(slots, frames, boxes)
    for slot in (-1, 3):
        for call in (lambda slot: tracker.start([slot], [IMAGE], [BOX]), lambda slot: tracker.stop([slot])):
            with pytest.raises(IndexError, match="slots 0 to 2"):
                call(slot)
    assert not tracker.active.any()
    tracker.start([], [], [])
    with pytest.raises(ValueError, match="1 slot or more, got 0"):
        make_tracker(0)


def test_a_slot_without_a_target_and_a_wrong_number_of_frames(form):
    tracker = make_tracker(3)
    with pytest.raises(RuntimeError, match=r"slot 1 has a frame but no target; call start\(\[1\]"):
        tracker.track([None, IMAGE, None])
    tracker.start([0, 2], [IMAGE, IMAGE], [BOX, BOX])
    with pytest.raises(ValueError, match="expected 3 frames, one per slot .*, got 2"):
        tracker.track([IMAGE, IMAGE])
    boxes, confidences = tracker.track([None, None, None])
    assert np.isnan(boxes).all() and np.isnan(confidences).all()
    tracker.stop([2])
    with pytest.raises(RuntimeError, match="slot 2"):
        tracker.track([IMAGE, None, IMAGE])
    assert np.isfinite(tracker.track([IMAGE, None, None])[0][0]).all()


@pytest.mark.parametrize("bad", [np.zeros((0, 10, 3), np.uint8), np.zeros((10, 10, 3)), "frame"])
def test_an_invalid_frame_ends_its_target_only(form, bad):
    tracker, alone = make_tracker(2), make_tracker(2)
    for each in (tracker, alone):
        each.start([0, 1], [IMAGE, IMAGE], [BOX, [20, 140, 40, 70]])
    boxes, confidences = tracker.track([IMAGE, bad])
    assert list(tracker.failures) == [1] and "a frame is" in str(tracker.failures[1])
    assert np.isnan(boxes[1]).all() and np.isnan(confidences[1]) and tracker.active.tolist() == [True, False]
    np.testing.assert_allclose(boxes[0], alone.track([IMAGE, None])[0][0], atol=1e-3)
    tracker.start([1], [IMAGE], [BOX])
    assert not np.isnan(tracker.track([IMAGE, IMAGE])[0]).any() and not tracker.failures


def test_frames_of_other_sizes_grey_and_shared(form, monkeypatch):
    conversions = []
    original = batch_tracker.as_bgr
    monkeypatch.setattr(batch_tracker, "as_bgr", lambda frame: conversions.append(1) or original(frame))
    tracker = make_tracker(3)
    tracker.start([0, 1, 2], [IMAGE] * 3, [BOX] * 3)
    assert len(conversions) == 1, "a shared frame is converted once"
    other = np.ascontiguousarray(IMAGE[:100, :130, 0])
    tracker.track([IMAGE, IMAGE, other])
    assert len(conversions) == 3
    x, y, w, h = tracker.track([IMAGE, other, other])[0][1]
    assert x + w / 2 <= 130 and y + h / 2 <= 100
    assert len(conversions) == 5


def test_nan_from_the_network_ends_one_target(form):
    tracker = make_tracker(3)
    tracker.start([0, 1, 2], [IMAGE] * 3, [BOX] * 3)
    expected = tracker.track([IMAGE] * 3)
    tracker.start([0, 1, 2], [IMAGE] * 3, [BOX] * 3)
    tracker._step.templates.state[0][1] = float("nan")
    boxes, confidences = tracker.track([IMAGE] * 3)
    assert list(tracker.failures) == [1] and "NaN or infinity" in str(tracker.failures[1])
    assert np.isnan(boxes[1]).all()
    np.testing.assert_allclose(boxes[[0, 2]], expected[0][[0, 2]], atol=1e-3)
    np.testing.assert_allclose(confidences[[0, 2]], expected[1][[0, 2]], atol=1e-6)
    assert np.isfinite(tracker.targets).all()


def test_a_target_that_leaves_the_frame(form):
    tracker = make_tracker(2)
    tracker.start([0, 1], [IMAGE, IMAGE], [[-2000, -2000, 30, 30], BOX])
    for _ in range(3):
        boxes, _ = tracker.track([IMAGE, IMAGE])
        assert np.isfinite(boxes).all() and (boxes[:, :2] + boxes[:, 2:] / 2 >= 0).all()


def test_more_targets_than_memory_takes(monkeypatch):
    monkeypatch.setattr(torch_network, "free_memory", lambda device: 40 * 2**20)
    with pytest.raises(
        MemoryError, match=r"5000 targets with crops of 255 pixels need about .* GiB on cpu \(.* MiB each"
    ):
        make_tracker(5000)
    assert make_tracker(2).slots == 2
    monkeypatch.setattr(torch_network, "free_memory", lambda device: None)
    assert make_tracker(2).slots == 2


def test_frames_that_do_not_fit_into_memory(monkeypatch):
    tracker = make_tracker(2, "TRACK.CROPS", "device")
    tracker.start([0, 1], [IMAGE, IMAGE], [BOX, BOX])
    with monkeypatch.context() as patch:
        patch.setattr(frame_upload, "free_memory", lambda device: 2**18)
        with pytest.raises(MemoryError, match=r"the frames of a step need about .* GiB on cpu, .* track fewer targets"):
            tracker.track([IMAGE, IMAGE])
    assert np.isfinite(tracker.track([IMAGE, IMAGE])[0]).all()


def test_timer_sees_the_parts_of_a_step():
    tracker, parts = make_tracker(2), []
    tracker.timer = lambda part: contextlib.nullcontext(parts.append(part))
    tracker.start([0, 1], [IMAGE] * 2, [BOX] * 2)
    tracker.track([IMAGE] * 2)
    assert parts == ["crop", "network", "crop", "network", "decode"]


def test_two_threads_share_a_network():
    config = tiny_config()
    torch.manual_seed(0)
    model, sequences = build_model(config), [make_sequence(number) for number in range(4)]
    expected = [track_alone(config, model, *sequence) for sequence in sequences]
    found = {}

    def work(number):
        found[number] = [track_alone(config, model, *sequences[number]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, rows in found.items():
        for row in rows:
            np.testing.assert_allclose(row, expected[number], atol=1e-3)


def test_one_copy_serves_all_trackers_of_a_model_and_follows_its_weights():
    config = tiny_config()
    model = build_model(config)
    trackers = [build_tracker(model, config), build_batch_tracker(model, config, 2)]
    first = shared_copy(model, Execution(), (127, 255))
    trackers[0].init(IMAGE, BOX)
    trackers[1].start([0], [IMAGE], [BOX])
    assert trackers[0].batch.network.copy is trackers[1].network.copy is first
    before = trackers[0].track(IMAGE)["bbox"]
    model.load_state_dict({name: value * 1.5 for name, value in model.state_dict().items()})
    trackers[0].init(IMAGE, BOX)
    assert trackers[0].track(IMAGE)["bbox"] != before
    assert shared_copy(model, Execution(), (127, 255)) is not first


@pytest.mark.parametrize("name", ["siamrpn_alex_dwxcorr", "siamrpn_mobilev2_l234_dwxcorr"])
def test_bf16_follows_fp32(name):
    boxes, image = {}, synthetic_image("golden", 240, 320)
    for precision in ("fp32", "bf16"):
        config = load_config(experiment(name), ["TRACK.PRECISION", precision])
        tracker = build_tracker(load_synthetic_weights(build_model(config)), config)
        tracker.init(image, [100.5, 80.25, 61, 43])
        assert {part.dtype for part in tracker.batch._step.templates.state} == {
            torch.bfloat16 if precision == "bf16" else torch.float32
        }
        boxes[precision] = np.array(tracker.track(np.roll(image, (2, 5), (0, 1)))["bbox"])
    np.testing.assert_allclose(boxes["bf16"], boxes["fp32"], atol=4)
    assert (boxes["bf16"] != boxes["fp32"]).any()


def test_a_model_that_keeps_its_template_follows_one_target():
    class OwnTemplate(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

    with pytest.raises(ValueError, match="OwnTemplate keeps the template itself, so it can follow one target, not 2"):
        build_batch_tracker(OwnTemplate(), tiny_config(), 2)


def test_the_example_of_the_readme():
    text = (ROOT / "pysot" / "README.md").read_text(encoding="utf-8")
    code = text.split("## Several targets in Python")[1].split("```python")[1].split("```")[0]
    config = tiny_config()
    values = {"model": build_model(config), "cfg": config, "frame": IMAGE}
    exec(code, values)
    assert np.isfinite(values["boxes"][:2]).all() and np.isnan(values["boxes"][2:]).all()
    assert values["tracker"].active.tolist() == [False, True, *[False] * 6]


def test_frames_in_one_array_are_those_of_a_list():
    frames = np.stack([IMAGE[..., 0], IMAGE[::-1, :, 0] // 2, IMAGE[:, ::-1, 0]])
    found = []
    for each in (frames, list(frames)):
        tracker = make_tracker(3)
        tracker.start([0, 1, 2], each, [BOX] * 3)
        found.append((tracker.colours, *tracker.track(list(frames))))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
