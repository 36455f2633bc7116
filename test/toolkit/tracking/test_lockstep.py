"""Tracking in lockstep: each sequence has the trajectory of a run of its own, whatever happens in the other slots."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toolkit_data import TrackerOfSlots, WanderingTracker, make_sequence

from pysot.toolkit.protocol import Task
from pysot.toolkit.results.trajectory import Trajectory
from pysot.toolkit.tracking import frames
from pysot.toolkit.tracking.lockstep import track_in_lockstep
from pysot.toolkit.tracking.one_pass import one_pass_steps, run_one_pass
from pysot.toolkit.tracking.supervised import run_supervised, supervised_steps


def image_of(path):
    """Return a frame that holds its number, from 0; the frames of a folder `bad` from 3 on cannot be read."""
    number = int(Path(path).stem) - 1
    if Path(path).parent.name == "bad" and number >= 3:
        raise ValueError("damaged")
    return np.full((150, 200, 3), number, np.uint8)


@pytest.fixture(scope="module", autouse=True)
def images_in_memory():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "read_image", image_of)
        yield


def boxes_of(name, length, width=40.0, offset=0):
    return make_sequence(name, truth=[np.array([20.0 + offset, 30, width, 30])] * length)


def task_of(sequence, steps=supervised_steps):
    return Task(sequence, Path(sequence.name), steps, print, print)


def outcomes_of(tracker, tasks, on_frame=lambda task, step: None):
    ended = {}
    track_in_lockstep(tracker, tasks, on_frame, lambda task, outcome: ended.setdefault(task.sequence.name, outcome))
    return ended


def assert_same(outcome, expected):
    assert isinstance(outcome, Trajectory)
    np.testing.assert_array_equal(outcome.codes, expected.codes)
    np.testing.assert_array_equal(outcome.regions, expected.regions)
    if expected.confidence is not None:
        np.testing.assert_array_equal(outcome.confidence, expected.confidence)


@settings(max_examples=60, deadline=None)
@given(
    slots=st.integers(1, 5),
    videos=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 30), st.booleans()), min_size=1, max_size=9),
)
def test_any_interleaving_gives_the_trajectories_of_single_runs(slots, videos):
    """M sequences of any length, with losses at different frames, in N slots; some run in one pass."""
    tasks, expected = [], {}
    for number, (length, offset, supervised) in enumerate(videos):
        sequence = boxes_of(f"v{number}", length, offset=offset)
        tasks.append(task_of(sequence, supervised_steps if supervised else one_pass_steps))
        expected[sequence.name] = (run_supervised if supervised else run_one_pass)(WanderingTracker(), sequence)
    tracker = TrackerOfSlots(slots)
    ended = outcomes_of(tracker, tasks)
    assert ended.keys() == expected.keys() and not tracker.trackers
    for name, trajectory in expected.items():
        assert_same(ended[name], trajectory)
        assert (ended[name].batch is None) == (slots == 1)


def test_slots_are_filled_and_starts_are_one_call():
    tracker = TrackerOfSlots(2)
    outcomes_of(tracker, [task_of(boxes_of(f"v{number}", 3), one_pass_steps) for number in range(4)])
    assert tracker.starts == [[0, 1], [0, 1]] and tracker.steps == [2, 2, 2, 2]


def test_losses_happen_in_the_property_test():
    lost = [run_supervised(WanderingTracker(), boxes_of("v", 40, offset=offset)).failures for offset in range(30)]
    assert sum(map(len, lost)) > 30 and sum(len(failures) > 1 for failures in lost) > 5


def others():
    sequences = [boxes_of("a", 20), boxes_of("b", 9, offset=5)]
    return sequences, {sequence.name: run_supervised(WanderingTracker(), sequence) for sequence in sequences}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (boxes_of("bad", 9), "sequence bad, frame 4: damaged"),
        (boxes_of("huge", 9, width=5000.0), "a box is too large"),
        (make_sequence("empty", truth=[np.full(4, np.nan)] * 3), "empty has no frame with ground truth"),
    ],
)
@pytest.mark.parametrize("slots", [1, 2, 3])
def test_an_error_of_one_slot_ends_its_task_only(bad, reason, slots):
    sequences, expected = others()
    tracker = TrackerOfSlots(slots)
    ended = outcomes_of(tracker, map(task_of, [sequences[0], bad, sequences[1]]))
    assert isinstance(ended[bad.name], ValueError) and reason in str(ended[bad.name])
    for name, trajectory in expected.items():
        assert_same(ended[name], trajectory)
    assert not tracker.trackers


def test_nan_in_one_slot():
    class NanOnTheFifth(WanderingTracker):
        def track(self, image):
            outputs = super().track(image)
            if self.start[1][3] > 35 and image[0, 0, 0] == 5:
                outputs["bbox"] = outputs["bbox"] * np.nan
            return outputs

    sequences, expected = others()
    nan = make_sequence("nan", truth=[np.array([20.0, 30, 40, 45])] * 20)
    ended = outcomes_of(TrackerOfSlots(3, NanOnTheFifth), map(task_of, [nan, *sequences]))
    assert str(ended.pop("nan")) == "NaN from the network"
    for name, trajectory in expected.items():
        assert_same(ended[name], trajectory)


def test_an_error_of_the_whole_batch_is_raised():
    class Broken(TrackerOfSlots):
        def track(self, frames):
            raise MemoryError("out of memory")

    tracker = Broken(2)
    with pytest.raises(MemoryError):
        outcomes_of(tracker, map(task_of, others()[0]))
    assert not tracker.trackers and not [t for t in threading.enumerate() if t.name.startswith("frames")]


def test_a_stop_keeps_what_ends_in_the_same_step():
    """The sequence in the first slot ends in the step in which a stop is requested on a frame of the second."""

    def on_frame(task, step):
        if (task.sequence.name, step.index) == ("long", 4):
            raise KeyboardInterrupt

    tracker, ended = TrackerOfSlots(2), []
    tasks = [task_of(boxes_of(name, length), one_pass_steps) for name, length in (("short", 5), ("long", 9))]
    with pytest.raises(KeyboardInterrupt):
        track_in_lockstep(tracker, tasks, on_frame, lambda task, outcome: ended.append(task.sequence.name))
    assert ended == ["short"] and not tracker.trackers


def test_seconds_are_shared(monkeypatch):
    """Targets of a step have equal parts of its time; skipped frames have none."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    class SixSecondsPerStep(TrackerOfSlots):
        def track(self, frames):
            now[0] += 6
            return super().track(frames)

    tracker = SixSecondsPerStep(2)
    ended = outcomes_of(tracker, [task_of(boxes_of("long", 6), one_pass_steps), task_of(boxes_of("short", 3))])
    assert ended["long"].batch.tolist() == [2, 2, 2, 1, 1, 1]
    assert ended["long"].seconds.tolist() == [0, 3, 3, 6, 6, 6] and ended["short"].seconds.tolist() == [0, 3, 3]
    lossy = outcomes_of(TrackerOfSlots(2), [task_of(boxes_of("v", 40))])["v"]
    skipped = lossy.codes == 0
    assert skipped.any() and (lossy.batch[skipped] == 0).all() and (lossy.batch[~skipped] == 1).all()
