"""Frames in flight: any order of calls gives the results of frames that are tracked one by one."""

from collections import deque

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from fake_graphs import use_fake_graphs
from helpers import synthetic_image, tiny_config
from pysot.models.model_builder import build_model
from pysot.tracker.tracker_builder import build_batch_tracker

SLOTS = 2
IMAGE = synthetic_image("frame", 120, 160)
FRAMES = [IMAGE, np.roll(IMAGE, (2, 5), (0, 1)), IMAGE[:80], np.tile(IMAGE, (2, 1, 1))]
INVALID = np.zeros((20, 20, 3))
BOXES = [[60, 50, 40, 40], [10, 20, 30, 40], [100, 70, 30, 20]]
DEVICE = ("TRACK.CROPS", "device")


def make_tracker(*opts):
    torch.manual_seed(0)
    config = tiny_config(*opts)
    return build_batch_tracker(build_model(config), config, SLOTS)


def start(tracker):
    tracker.start(range(SLOTS), [IMAGE] * SLOTS, BOXES[:SLOTS])
    return tracker


@pytest.mark.parametrize("opts", [(), DEVICE])
@pytest.mark.parametrize("first", [[None, None], [INVALID, None]], ids=["no frame", "an invalid frame"])
def test_a_step_that_searches_nothing_moves_no_target(opts, first):
    expected = start(make_tracker(*opts)).track([None, FRAMES[1]])[0]
    tracker = start(make_tracker(*opts))
    tracker.submit(first)
    tracker.submit([None, FRAMES[1]])
    assert np.isnan(tracker.collect()[0]).all()
    np.testing.assert_array_equal(tracker.collect()[0], expected)


class AnyOrder(RuleBasedStateMachine):
    """Random calls of a tracker with frames in flight; `plain` tracks the same frames one by one, without graphs."""

    opts = ()

    def __init__(self):
        super().__init__()
        self.tracker, self.plain = make_tracker(*self.opts), make_tracker(*self.opts, "TRACK.GRAPH", "off")
        self.expected = deque()  # boxes, confidences and failures of the frames in flight
        self.stopped = set()  # slots, since there were no frames in flight

    @precondition(lambda self: not self.expected)
    @rule(slot=st.integers(0, SLOTS - 1), box=st.sampled_from(BOXES), image=st.sampled_from(range(2)))
    def start(self, slot, box, image):
        for each in (self.tracker, self.plain):
            each.start([slot], [FRAMES[image]], [box])

    @precondition(lambda self: len(self.expected) < 2)
    @rule(entries=st.lists(st.sampled_from([None, *range(len(FRAMES)), "invalid"]), min_size=SLOTS, max_size=SLOTS))
    def submit(self, entries):
        known = self.tracker.active.copy()
        frames = [
            None if entry is None or not known[slot] else INVALID if entry == "invalid" else FRAMES[entry]
            for slot, entry in enumerate(entries)
        ]
        self.tracker.submit(frames)
        # On a device, a target may get another frame before it is known that it has failed.
        boxes, confidences = self.plain.track(
            [frame if self.plain.active[slot] else None for slot, frame in enumerate(frames)]
        )
        self.expected.append((boxes, confidences, set(self.plain.failures)))

    @precondition(lambda self: self.expected)
    @rule()
    def collect(self):
        boxes, confidences, failures = self.expected.popleft()
        found = self.tracker.collect()
        np.testing.assert_array_equal(found[0], boxes)
        np.testing.assert_array_equal(found[1], confidences)
        assert set(self.tracker.failures) - self.stopped == failures - self.stopped
        if not self.expected:
            self.stopped.clear()

    @precondition(lambda self: not self.expected and self.plain.active.any())
    @rule(slot=st.integers(0, SLOTS - 1))
    def poison(self, slot):
        """Make the network return NaN for a slot."""
        for each in (self.tracker, self.plain):
            for part in each._step.templates.state:
                part[slot] = float("nan")

    @rule(slot=st.integers(0, SLOTS - 1))
    def stop(self, slot):
        for each in (self.tracker, self.plain):
            each.stop([slot])
        for boxes, confidences, _ in self.expected:
            boxes[slot], confidences[slot] = np.nan, np.nan
        self.stopped.add(slot)  # whether it had failed before is not known


LONG_TERM = (
    *("TRACK.TYPE", "SiamRPNLTTracker", "TRACK.LOST_INSTANCE_SIZE", 319),
    *("TRACK.CONFIDENCE_LOW", 0.65, "TRACK.CONFIDENCE_HIGH", 0.7),
)


@pytest.mark.parametrize("opts", [(), DEVICE, (*DEVICE, *LONG_TERM)], ids=["host", "device", "long term"])
def test_any_order_of_calls(opts, monkeypatch):
    use_fake_graphs(monkeypatch)
    machine = type("Machine", (AnyOrder,), {"opts": opts})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
