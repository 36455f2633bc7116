"""Realtime: the clock, a tracker that misses frames, and runs simulated from recorded times."""

import time

import numpy as np
import pytest
from toolkit_data import ShakingTracker, box_sequence, make_sequence, write_frames

from pysot.toolkit.datasets.sequence import Dataset, Sequence, VotSettings
from pysot.toolkit.experiments.runner import run_dataset
from pysot.toolkit.experiments.scoring import score_trackers
from pysot.toolkit.report.summary import full_text
from pysot.toolkit.results.files import LOST, SKIPPED, START, TRACKED, Trajectory, save_vot
from pysot.toolkit.results.paths import vot_file
from pysot.toolkit.tracking.realtime import FrameClock, RealtimeTracker, simulate_realtime

BOX = [20.0, 20, 20, 20]
SETTINGS = VotSettings(low=20, high=60, peak=20)


def run(*entries, confidence=None, seconds=None) -> Trajectory:
    return Trajectory.from_frames([1, *entries], seconds, confidence)


def test_the_clock():
    """At 10 frames per second, a start and one frame of 0.35 s are forgiven; the next 0.35 s misses two frames."""
    clock = FrameClock(0.1, 2)
    clock.start(0.35)
    seen = []
    for seconds in (0.35, 0.35, 0.05, 0.05, 0.05):
        missed = clock.misses_frame()
        seen.append(missed)
        if not missed:
            clock.spend(seconds)
    assert seen == [False, False, True, True, False]


def test_a_tracker_in_realtime_answers_with_its_last_region(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    class Slow:
        calls = 0

        def init(self, image, box):
            now[0] += 0.2

        def track(self, image):
            self.calls += 1
            now[0] += 0.25
            return {"bbox": [self.calls] * 4, "best_score": 1}

    tracker = RealtimeTracker(Slow(), FrameClock(0.1, 0))
    tracker.init(None, [0, 0, 0, 0])
    assert [tracker.track(None)["bbox"][0] for _ in range(5)] == [1, 1, 2, 2, 3]


def test_a_realtime_run_misses_frames(tmp_path):
    """A tracker that needs the time of two frames: after the forgiven frames every second one repeats a region."""

    class Slow(ShakingTracker):
        def track(self, image):
            time.sleep(0.11)
            return super().track(image)

    truth = [np.array([20.0 + index, 30, 60, 50]) for index in range(12)]
    write_frames(tmp_path / "a", 12)
    paths = [str(path) for path in sorted((tmp_path / "a").iterdir())]
    dataset = Dataset("SET", [Sequence("a", paths, truth, 200, 150)], ("all",), VotSettings(2, 9, 5))
    tracker = Slow(truth)
    run_dataset(tracker, dataset, tmp_path / "out", experiment="realtime")
    lines = (tmp_path / "out" / "realtime" / "a" / "a_001.txt").read_text().splitlines()
    assert tracker.calls < 9 and len(lines) == 12 and len(set(lines[1:])) == tracker.calls


def test_realtime_simulated_from_recorded_times(tmp_path):
    """The target moves two pixels per frame: a tracker that needs 30 frames for each loses it, a fast one does not."""
    truth = [np.array([20.0 + 2 * index, 20, 19, 19]) for index in range(60)]
    sequence = make_sequence("clip", truth=truth)
    dataset = Dataset("VOT2018", [sequence], ("all",), VotSettings(2, 9, 5))
    for name, seconds in (("fast", 0.01), ("slow", 1.5)):
        save_vot(vot_file(tmp_path / name, "clip"), run(*truth[1:], seconds=[seconds] * 60))
    save_vot(vot_file(tmp_path / "silent", "clip"), run(*truth[1:]))
    scores = score_trackers(dataset, [tmp_path / name for name in ("fast", "slow", "silent")], experiment="realtime")
    fast, slow, silent = (
        next(score for score in scores.trackers if score.name == name) for name in ("fast", "slow", "silent")
    )
    assert fast.lost == 0 and fast.accuracy == 1
    assert slow.lost >= 1 and slow.accuracy < 1
    assert "no seconds per frame" in silent.problems[0]
    assert "simulated at 20 frames per second" in full_text(scores, "pysot", False)
    save_vot(vot_file(tmp_path / "slow", "clip", experiment="realtime"), run(*truth[1:]))
    own = score_trackers(dataset, [tmp_path / "slow"], experiment="realtime").trackers[0]
    assert own.lost == 0 and own.notes == ()


def test_simulated_codes_are_those_of_a_supervised_run():
    sequence = box_sequence(40)
    entries = [1, *[[20, 20, 19, 19]] * 5, 2, 0, 0, 0, 0, 1, *[[20, 20, 19, 19]] * 28]
    recorded = Trajectory.from_frames(entries, seconds=[0.01] * 40)
    again = simulate_realtime(sequence, recorded, FrameClock())
    assert again.codes.tolist() == recorded.codes.tolist()
    assert again.codes[[0, 5, 6, 7, 11]].tolist() == [START, TRACKED, LOST, SKIPPED, START]


@pytest.mark.parametrize("invalid", [-1, np.nan])
def test_invalid_seconds(invalid):
    seconds = np.full(5, 0.01)
    seconds[2] = invalid
    recorded = Trajectory.from_frames([1, *[[20, 20, 19, 19]] * 4], seconds)
    with pytest.raises(ValueError, match="frame 3 of the results of clip has"):
        simulate_realtime(box_sequence(5), recorded, FrameClock())
