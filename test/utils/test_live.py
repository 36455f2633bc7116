"""Cameras and streams: stubs of OpenCV's VideoCapture, and a real stream over HTTP."""

import functools
import http.server
import logging
import math
import threading
import time

import cv2
import numpy as np
import pytest

from pysot.utils import live
from pysot.utils.frames import FrameSource
from pysot.utils.live import LiveSource, arrivals, open_source
from pysot.utils.live_address import live_address
from pysot.utils.visualize import FrameWriter
from stream_helpers import MotionJpegServer


class Capture:
    """Stub of OpenCV's VideoCapture.

    It delivers `frames` (arrays, exceptions, functions that are called), then nothing. `count` is the number of frames
    it states.
    """

    def __init__(self, frames=(), opens=True, count=-1.0):
        self.frames, self.opens, self.count, self.released = list(frames), opens, count, False

    def isOpened(self):
        return self.opens

    def get(self, property_id):
        return self.count if property_id == cv2.CAP_PROP_FRAME_COUNT else 30.0

    def read(self):
        frame = self.frames.pop(0) if self.frames else None
        if isinstance(frame, Exception):
            raise frame
        frame = frame() if callable(frame) else frame
        return frame is not None, frame

    def release(self):
        self.released = True


def image(value=7, width=8, height=6):
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def captures(monkeypatch):
    """Function that sets the stubs to open, the last one again and again; it returns the arguments of each opening."""
    monkeypatch.setattr(live, "_FIRST_PAUSE", 0.01)

    def replace(*stubs):
        remaining, opened = list(stubs), []

        def open_next(*arguments):
            opened.append(arguments)
            return remaining.pop(0) if len(remaining) > 1 else remaining[0]

        monkeypatch.setattr(cv2, "VideoCapture", open_next)
        return opened

    return replace


@pytest.fixture
def opened(captures):
    """Function that opens a stream of stubs; all streams are closed at the end of the test."""
    sources = []

    def open_stubs(*stubs, source="rtsp://user:secret@host:554/live.sdp", reconnect=0.0, **options):
        captures(*stubs)
        sources.append(open_source(source, reconnect, **options))
        return sources[-1]

    yield open_stubs
    for source in sources:
        source.close()


def values(source):
    return [int(arrival.image[0, 0, 0]) for arrival in arrivals(source)]


def slowly(*frames, pause=0.03):
    """Return frames that come one by one, so that none is dropped."""

    def later(frame):
        time.sleep(pause)
        return frame

    return [functools.partial(later, frame) for frame in frames]


def blocked_until(event):
    """Return a frame that does not come before the event, and then is none."""
    return lambda: event.wait(20) and None


@pytest.mark.parametrize("source, camera", [("", "camera 0"), ("97", "camera 97"), ("/dev/video97", "camera /dev/vid")])
def test_camera_that_is_not_there(captures, source, camera):
    arguments = captures(Capture(opens=False))
    with pytest.raises(ValueError, match=f"{camera}.* cannot be opened"):
        open_source(source, 30)
    assert arguments == [(int(source or 0) if "/" not in source else source,)]


def test_why_a_camera_cannot_be_opened(captures, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    captures(Capture(opens=False))
    with pytest.raises(ValueError, match="there is no /dev/video97, .*name one, or a video file"):
        open_source("97", 30)
    with pytest.raises(ValueError, match="another program may be using it"):
        open_source("/dev/null", 30)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ValueError, match="you may not read /dev/null; join its group"):
        open_source("/dev/null", 30)


@pytest.mark.parametrize("source", ["rtsp://nobody/live", "http://nobody/x.mp4", "udp://127.0.0.1:9"])
def test_stream_that_cannot_be_opened(captures, source):
    arguments = captures(Capture(opens=False))
    with pytest.raises(ValueError, match=f"no stream {source} can be opened within 10 s; check its address"):
        open_source(source, 30)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 10_000]
    assert arguments == [(source, cv2.CAP_FFMPEG, limits)]


@pytest.mark.parametrize("source, sentence", [("0", "camera 0 gives no frame: another"), ("udp://a", "gives no frame")])
def test_nothing_comes(opened, source, sentence):
    with pytest.raises(ValueError, match=sentence):
        values(opened(Capture(), source=source, reconnect=30))


def test_read_that_never_returns(opened, monkeypatch):
    monkeypatch.setattr(live, "_BLOCKED", 0.2)
    release = threading.Event()
    source = opened(Capture([blocked_until(release)]))
    with pytest.raises(ValueError, match="gives no frame"):
        values(source)
    start = time.monotonic()
    source.close()
    assert time.monotonic() - start < 1.5 and source._thread.is_alive() and source._thread.daemon
    release.set()
    source._thread.join(5)
    assert not source._thread.is_alive()


def test_read_that_blocks_later_ends_the_source(opened, monkeypatch, caplog):
    monkeypatch.setattr(live, "_BLOCKED", 0.2)
    release = threading.Event()
    assert (
        values(opened(Capture([image(1), blocked_until(release)]))) == [1]
        and "neither a frame nor an error" in caplog.text
    )
    release.set()


def test_error_of_the_thread_is_raised_where_frames_are_awaited(opened):
    with pytest.raises(MemoryError, match="of a frame"):
        values(opened(Capture([MemoryError("of a frame")])))


def test_error_while_opening(captures, monkeypatch):
    def fail(*_):
        raise OSError("no sockets")

    monkeypatch.setattr(cv2, "VideoCapture", fail)
    with pytest.raises(OSError, match="no sockets"):
        open_source("udp://a", 30)


def test_other_sizes(opened, caplog):
    source = opened(Capture(slowly(image(1), image(2, 16, 12), image(3, 6, 8))))
    frames = arrivals(source)
    assert [next(frames).image.shape for _ in range(2)] == [(6, 8, 3)] * 2 and "scaled to 8x6" in caplog.text
    with pytest.raises(ValueError, match="stream rtsp://host:554/live.sdp: frames were 8x6 and are now 6x8"):
        next(frames)


def test_grey_frames_of_16_bits(opened):
    frame = np.full((6, 8), 1023, np.uint16)
    assert [arrival.image.shape for arrival in opened(Capture([frame]))] == [(6, 8, 3)]


def test_only_the_newest_frame_is_kept(opened):
    steps = [threading.Event() for _ in range(2)]

    def later(event, value):
        event.wait(5)
        return image(value)

    # Frames 2 to 5 come while frame 1 is at work.
    source = opened(
        Capture([image(1), functools.partial(later, steps[0], 2), *map(image, (3, 4, 5)), blocked_until(steps[1])])
    )
    frames = iter(source)
    assert next(frames).dropped == 0
    steps[0].set()
    deadline = time.monotonic() + 5
    while source.dropped < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    arrival = next(frames)
    assert arrival.image[0, 0, 0] == 5 and arrival.dropped == 3 and source.dropped == 3
    assert 0 <= time.perf_counter() - arrival.time < 5
    assert source.measured_fps > 0
    source.restart()
    assert source.dropped == 0 and math.isnan(source.measured_fps)
    steps[1].set()


def test_reconnection(opened, caplog):
    """The second attempt opens nothing, the third a stream without frames."""
    stubs = Capture(slowly(image(1))), Capture(opens=False), Capture(), Capture(slowly(image(2), image(3))), Capture()
    with caplog.at_level(logging.INFO):
        source = opened(*stubs, reconnect=0.5)
        assert values(source) == [1, 2, 3]
    assert source.reconnections == 1 and stubs[0].released and source.dropped == 0
    assert 0.5 < source.seconds_lost < 2
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == "stream rtsp://host:554/live.sdp stopped; reconnecting for 0.5 s"
    assert "is back after" in messages[1] and messages[-1].endswith("did not come back within 0.5 s")
    assert len(messages) == 4 and "secret" not in caplog.text


def test_no_reconnection(opened, caplog):
    source = opened(Capture(slowly(image(1), image(2))), reconnect=0)
    assert values(source) == [1, 2] and caplog.text.count("stopped") == 1 and source.reconnections == 0


def test_pauses_grow(opened, monkeypatch):
    pauses = []
    monkeypatch.setattr(live, "_LONGEST_PAUSE", 0.05)
    source = opened(Capture([image(1)]), Capture(opens=False), reconnect=0.4)
    wait = source._closed.wait
    monkeypatch.setattr(source._closed, "wait", lambda seconds: pauses.append(seconds) or wait(seconds))
    assert values(source) == [1]
    assert pauses[:-1] == sorted(pauses[:-1]) and max(pauses) == 0.05 and 0 < pauses[-1] <= 0.05


def test_a_request_to_stop_ends_the_wait(opened):
    stop, release = threading.Event(), threading.Event()
    source = opened(Capture([image(1), blocked_until(release)]), is_stopped=stop.is_set)
    frames = iter(source)
    next(frames)
    stop.set()
    assert next(frames, None) is None
    release.set()


def test_close_ends_the_thread(opened):
    with opened(Capture([lambda: image(1)] * 10**6)) as source:
        next(iter(source))
    assert not source._thread.is_alive()


@pytest.mark.parametrize(
    "source, name, description",
    [
        ("rtsp://good:554/live.sdp", "good_554_live_sdp", "stream rtsp://good:554/live.sdp"),
        ("RTSP://user:pa@ss@good/live", "good_live", "stream rtsp://good/live"),
        ("http://good:80/feed?user=admin&pwd=secret", "good_80_feed", "stream http://good:80/feed"),
        ("udp://@239.0.0.1:1234", "239_0_0_1_1234", "stream udp://@239.0.0.1:1234"),
        ("http://?", "stream", "stream http://"),
        ("/dev/video3", "video3", "camera /dev/video3"),
        ("/dev/null", "null", "camera /dev/null"),
        ("2", "camera2", "camera 2"),
        ("", "camera0", "camera 0"),
    ],
)
def test_addresses(source, name, description):
    address = live_address(source)
    assert address.name == name and address.description == description and address.is_camera == ("cam" in description)


def test_files_are_no_addresses(tmp_path, monkeypatch):
    (tmp_path / "0001").mkdir()
    cv2.imwrite(str(tmp_path / "0001" / "1.jpg"), image())
    monkeypatch.chdir(tmp_path)
    assert live_address("clip.mp4") is None and live_address("0001") is None
    assert [arrival.dropped for arrival in arrivals(open_source("0001", 30))] == [0]
    with pytest.raises(FileNotFoundError, match="no video or folder .*nowhere"):
        open_source("nowhere", 30)


def test_camera(opened):
    """The first frames of a camera are left out: it adapts to the light."""
    source = opened(Capture([image(value) for value in range(5)] + slowly(image(5), image(6))), source="0")
    assert isinstance(source, LiveSource) and source.fps == 30 and source.count is None and values(source) == [5, 6]


def test_recorded_video_over_http_is_read_like_a_file(captures):
    captures(Capture([image(value) for value in range(5)], count=5.0))
    source = open_source("https://host/clip.mp4", 30)
    assert isinstance(source, FrameSource) and source.count == 5 and source.name == "host_clip_mp4"
    assert values(source) == [0, 1, 2, 3, 4]
    captures(Capture([], count=5.0))
    with pytest.raises(ValueError, match="is not a video"):
        open_source("https://host/clip.mp4", 30)


def test_recorded_video_from_a_real_server(tmp_path):
    with FrameWriter(tmp_path / "clip.avi") as writer:
        for value in range(30):
            writer.write(image(8 * value, 64, 48))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = open_source(f"http://127.0.0.1:{server.server_address[1]}/clip.avi", 30)
        assert isinstance(source, FrameSource) and len(values(source)) == source.count == 30
        server.shutdown()


def test_real_stream_that_stops_and_comes_back(monkeypatch, caplog):
    monkeypatch.setattr(live, "_FIRST_PAUSE", 0.05)
    with MotionJpegServer(lambda index: image(min(250, index), 64, 48)) as server:
        with open_source(server.address, 10) as source:
            frames = iter(source)
            for _ in range(5):
                last = next(frames)
            time.sleep(0.2)  # slow work
            arrival = next(frames)
            # On a busy machine, more frames may have been dropped before and since.
            assert 0 < arrival.dropped <= source.dropped and 1 < source.measured_fps < 100
            assert time.perf_counter() - arrival.time < 1 and arrival.time - last.time > 0.1
            server.stop()
            restart = threading.Timer(0.5, server.start)
            restart.start()
            while not source.reconnections:
                next(frames)
            next(frames)
            assert 0.4 < source.seconds_lost < 5
            assert "stopped; reconnecting" in caplog.text and "is back after" in caplog.text
        assert not source._thread.is_alive()
