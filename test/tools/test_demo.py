"""The command tools/demo.py with a small untrained network, and its parts with stubs."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import _demo
from helpers import ROOT
from pysot.tracker.target_mask import TargetMask
from pysot.utils.frames import FrameSource, open_frames
from pysot.utils.latency import LatencyMeter
from pysot.utils.live import Arrival, LiveSource, arrivals
from pysot.utils.visualize import FrameWriter
from stream_helpers import MotionJpegServer
from track_helpers import ENVIRONMENT, run_tool, save_snapshot, tool_command

BOX = "50,40,40,30"


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    return save_snapshot(tmp_path_factory.mktemp("weights"))


def frame_of(index, size=(160, 120)):
    """Return frame `index` of a video of a grey box that moves over noise."""
    frame = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    left = 50 + index % 40
    frame[40:70, left : left + 40] = 200
    return frame


@pytest.fixture
def clip(tmp_path):
    with FrameWriter(tmp_path / "clip.mp4") as writer:
        for index in range(4):
            writer.write(frame_of(index))
    return writer.path


def check_files(folder):
    """Check that the files of a recording are complete and agree; return (entries of boxes.json, video frames)."""
    assert sorted(path.name for path in folder.iterdir()) == ["annotated.mp4", "boxes.json", "boxes.txt"]
    entries = json.loads((folder / "boxes.json").read_text())
    lines = [line.split(",") for line in (folder / "boxes.txt").read_text().splitlines()]
    assert [int(line[0]) for line in lines] == [entry["frame"] + 1 for entry in entries]
    source = open_frames(folder / "annotated.mp4")
    frames = list(source.frames)
    assert len(frames) == source.count == entries[-1]["frame"] + 1
    return entries, frames


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--init", "1,2,3"), "--init 120,80,60,90"),
        (("--init", f"a={BOX}", "--init", "a=1,2,30,40"), "two targets have the name a"),
        (("--init", BOX, "--init", "far=900,0,9,9"), "of far lies outside the frame of 160x120"),
        (("--video_name", "gone.mp4"), "no video or folder gone.mp4"),
        (("--video_name", "97"), "camera 97 cannot be opened"),
        (("--reconnect", "-1"), "expected a whole number, 0 or more, got '-1'"),
        ((), "no display to draw the start boxes: give each box as --init"),
        (("--init", BOX, "--show"), "no display to show frames: leave out --show"),
    ],
)
def test_mistakes_are_sentences(tmp_path, snapshot, clip, args, sentence):
    done = run_tool("demo.py", "--snapshot", snapshot, "--video_name", clip, "--output", "out", *args, cwd=tmp_path)
    assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_more_targets_than_memory_takes(tmp_path, snapshot, clip):
    code = (
        "import runpy, sys; from pysot.tracker import torch_network; torch_network.free_memory = lambda device: 2**26; "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    targets = [f"--init={x},{y},20,20" for x in range(0, 140, 20) for y in range(0, 100, 20)]
    command = tool_command("demo.py", "--snapshot", snapshot, "--video_name", clip, "--output", "out", *targets)
    done = subprocess.run(
        [sys.executable, "-c", code, *command[1:]],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**ENVIRONMENT, "PYTHONPATH": f"{ROOT}:{ROOT / 'tools'}"},
    )
    assert done.returncode == 2 and "error: 35 targets with crops" in done.stderr and "track at most" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()


def test_one_target(tmp_path, snapshot, clip):
    args = ("--snapshot", snapshot, "--video_name", "clip.mp4", "--output", "out", "--init")
    done = run_tool("demo.py", *args, BOX, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 frames: out/annotated.mp4, out/boxes.json, out/boxes.txt" in done.stdout
    assert "frames/s, latency" in done.stdout and "dropped" not in done.stdout
    boxes, _ = check_files(tmp_path / "out")
    assert [entry["frame"] for entry in boxes] == [0, 1, 2, 3]
    assert boxes[0] == {"frame": 0, "bbox": [50, 40, 40, 30], "score": 1.0}
    assert all(len(entry["bbox"]) == 4 and 0 <= entry["score"] <= 1 for entry in boxes)
    done = run_tool("demo.py", *args, "-5,40,40,30", cwd=tmp_path)
    assert done.returncode == 0 and check_files(tmp_path / "out")[0][0]["bbox"] == [-5, 40, 40, 30], done.stderr


def test_several_targets(tmp_path, snapshot, clip):
    """Their boxes are those of each target alone, to rounding."""
    args = ("--snapshot", snapshot, "--video_name", clip, "--output")
    done = run_tool("demo.py", *args, "two", "--init", f"box={BOX}", "--init", "-5,10,40,30", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    entries, _ = check_files(tmp_path / "two")
    assert [(entry["frame"], entry["target"]) for entry in entries] == [
        (n, name) for n in range(4) for name in ("box", "2")
    ]
    assert run_tool("demo.py", *args, "one", "--init", BOX, cwd=tmp_path).returncode == 0
    alone, _ = check_files(tmp_path / "one")
    boxes = [[entry["bbox"] for entry in part] for part in (entries[::2], alone)]
    np.testing.assert_allclose(*boxes, atol=1e-3)
    # With crops on the device, two frames are in flight.
    done = run_tool("demo.py", *args, "ahead", "--init", BOX, "--opts", "TRACK.CROPS", "device", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ahead, _ = check_files(tmp_path / "ahead")
    boxes = [[entry["bbox"] for entry in part] for part in (ahead, alone)]
    np.testing.assert_allclose(*boxes, atol=1e-3)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_complete_files(tmp_path, snapshot, signum):
    """A stream is tracked that stops; the signal comes while the demo waits for it."""
    with MotionJpegServer(frame_of) as server:
        command = tool_command("demo.py", "--snapshot", snapshot, "--output", "out", "--init", BOX)
        demo = subprocess.Popen(
            [*command, "--video_name", server.address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=ENVIRONMENT,
        )
        try:
            parts = wait_for(lambda: list((tmp_path / "out").glob(".boxes.txt.*")))
            wait_for(lambda: server.index > 100)
            assert not (tmp_path / "out" / "boxes.txt").exists() and parts[0].exists()
            server.stop()
            time.sleep(0.3)
            demo.send_signal(signum)
            output, errors = demo.communicate(timeout=30)
        finally:
            demo.kill()
    assert demo.returncode == 128 + signum, errors
    assert f"ended by {signum.name}; the files are complete" in errors and "dropped frames: " in output
    assert "stopped; reconnecting for 30 s" in errors and "Traceback" not in errors
    check_files(tmp_path / "out")


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return result


class StubTracker:
    """Tracker of targets that stay; target `slot` fails at step `fails[slot]`."""

    def __init__(self, slots, fails=(), overlaps=False):
        self.slots, self.fails, self.step, self.failures, self.frames = slots, dict(fails), 0, {}, []
        self.overlaps, self.in_flight = overlaps, []
        self.masks = {}

    def submit(self, frames):
        self.frames.append([frame is not None for frame in frames])
        self.in_flight.append(frames)
        assert len(self.in_flight) <= 1 + self.overlaps

    def collect(self):
        self.step += 1
        frames = self.in_flight.pop(0)
        self.failures = {slot: ValueError("NaN") for slot, step in self.fails.items() if step == self.step}
        boxes = np.tile([10.0, 10, 20, 20], (self.slots, 1))
        gone = [slot for slot, frame in enumerate(frames) if frame is None or self.fails.get(slot, 99) <= self.step]
        boxes[gone] = np.nan
        return boxes, np.where(np.isnan(boxes[:, 0]), np.nan, 0.5)


def follow(folder, tracker, frames, is_stopped=lambda: False, names=("cup", "bag"), window=""):
    boxes = {name: [10, 10, 20, 20] for name in names}
    latency = LatencyMeter()
    with _demo.Recording(folder, 25.0, list(boxes), window) as recording:
        source = FrameSource("clip", iter(()), None, 25.0)
        _demo.follow(tracker, source, boxes, next(frames), frames, recording, latency, is_stopped)
    return latency


@pytest.mark.parametrize("overlaps", [False, True])
def test_a_target_that_fails_ends_and_the_others_go_on(tmp_path, caplog, overlaps):
    tracker = StubTracker(2, {0: 2}, overlaps)
    frames = arrivals(FrameSource("clip", iter([frame_of(index) for index in range(5)]), None, 25.0))
    assert follow(tmp_path, tracker, frames).count == 4
    entries, _ = check_files(tmp_path)
    assert [entry["frame"] for entry in entries if entry["target"] == "cup"] == [0, 1]
    assert [entry["frame"] for entry in entries if entry["target"] == "bag"] == [0, 1, 2, 3, 4]
    known_after = 2 + overlaps  # frames
    assert tracker.frames == [[True, True]] * known_after + [[False, True]] * (4 - known_after)
    assert "cup ended at frame 2: NaN" in caplog.text


def test_masks_are_drawn(tmp_path, monkeypatch):
    """The outline of each frame is that of its own mask, with a frame in flight."""
    drawn = []

    class MaskTracker(StubTracker):
        def collect(self):
            found = super().collect()
            square = np.array([10.0 + self.step, 10, 20, 20])
            self.masks = {1: TargetMask(np.ones((9, 9), np.float32), square, (160, 120), 0.5, square)}
            return found

    monkeypatch.setattr("_demo.annotate_targets", lambda image, *rest: drawn.append(rest[-1]) or image)
    frames = arrivals(FrameSource("clip", iter([frame_of(index) for index in range(5)]), None, 25.0))
    follow(tmp_path, MaskTracker(2, overlaps=True), frames)
    assert drawn[0] == {} and [masks[1].box[0] for masks in drawn[1:]] == [10, 11, 12, 13]


def test_no_target_is_left(tmp_path):
    tracker = StubTracker(2, {0: 1, 1: 2})
    frames = arrivals(FrameSource("clip", iter([frame_of(index) for index in range(5)]), None, 25.0))
    with pytest.raises(ValueError, match="no target is left after frame 2"):
        follow(tmp_path, tracker, frames)
    assert len(open_frames(tmp_path / "annotated.mp4").frames.__next__()) == 120
    assert len(json.loads((tmp_path / "boxes.json").read_text())) == 3


def test_an_error_of_the_source_leaves_complete_files(tmp_path):
    def frames():
        yield Arrival(frame_of(0), 0.0)
        yield Arrival(frame_of(1), 0.0)
        raise ValueError("another aspect ratio")

    with pytest.raises(ValueError, match="aspect"):
        follow(tmp_path, StubTracker(2), frames())
    assert len(check_files(tmp_path)[0]) == 4


def test_a_dropped_frame_repeats_the_last_one(tmp_path):
    """Frames in the boxes are those of the video; those dropped before the first one do not count."""
    frames = (Arrival(np.full((120, 160, 3), 40 * drop, np.uint8), 0.0, drop) for drop in (5, 0, 3, 1))
    follow(tmp_path, StubTracker(1), frames, names=("",))
    entries, video = check_files(tmp_path)
    assert [entry["frame"] for entry in entries] == [0, 1, 5, 7]
    shades = [int(frame[100:, 100:].mean() / 40 + 0.5) for frame in video]
    assert shades == [5, 0, 0, 0, 0, 3, 3, 1]


def test_the_viewer_ends_the_recording(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("pysot.utils.window.FrameWindow.__enter__", lambda window: window)
    monkeypatch.setattr("pysot.utils.window.FrameWindow.show", lambda _, frame: shown.append(frame) or len(shown) < 3)
    frames = arrivals(FrameSource("clip", iter([frame_of(index) for index in range(5)]), None, 25.0))
    follow(tmp_path, StubTracker(1), frames, names=("cup",), window="clip")
    assert len(shown) == len(check_files(tmp_path)[0]) == 3


class Source(LiveSource):
    """Camera that was tracked for 10 seconds, and lost for 2 of them."""

    fps, measured_fps, seconds_lost, dropped, reconnections = 25.0, 50.0, 2.0, 3, 1

    def __init__(self):
        pass


def test_summary(tmp_path):
    latency = LatencyMeter()
    recording = _demo.Recording(tmp_path, 25.0, [""])
    assert _demo.summary(recording, latency, 0.0, FrameSource("clip", iter(()), None, 25.0)) == ""
    for milliseconds in [10] * 80 + [20] * 80:
        latency.add(milliseconds / 1000)
    recording.video.count = 160
    assert _demo.summary(recording, latency, 10.0, Source()).splitlines() == [
        "20.0 frames/s, latency 10.0 ms (median), 19.9 ms (95 %)",
        "dropped frames: 3, reconnections: 1, seconds without the source: 2.0",
        "the source states 25 frames/s and sent 50: the video runs at 0.5 times the speed",
    ]


def test_a_request_to_stop_ends_the_recording(tmp_path):
    tracker = StubTracker(1)
    frames = arrivals(FrameSource("clip", iter([frame_of(index) for index in range(5)]), None, 25.0))
    follow(tmp_path, tracker, frames, is_stopped=lambda: tracker.step == 2, names=("cup",))
    assert len(check_files(tmp_path)[0]) == 3
