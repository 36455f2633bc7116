"""Read the newest frame of a camera or a stream, so that slow work never lags behind, and reconnect when it stops.

A thread reads all the time and keeps one frame. Waits of OpenCV, which no signal interrupts, are in threads that end
with the process.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TypeVar

import cv2
import numpy as np

from pysot.utils.frame_format import FrameFormat
from pysot.utils.frames import FrameSource, frame_count, open_frames, playback_rate, recorded
from pysot.utils.live_address import Address, explain_camera, explain_silence, live_address

logger = logging.getLogger(__name__)

_TIMEOUT = 10.0  # seconds to open a stream, and to wait for its next frame
_BLOCKED = 3 * _TIMEOUT  # seconds after which a read that ignores the timeout counts as the end
_POLL = 0.1  # seconds between looks at a request to stop
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds between attempts to reconnect; each pause is twice the last
_CAMERA_WARM_UP = 5  # frames
_T = TypeVar("_T")


@dataclass(frozen=True)
class Arrival:
    """A frame (H, W, 3) uint8 BGR, when it arrived (time.perf_counter) and how many before it were dropped."""

    image: np.ndarray
    time: float
    dropped: int = 0


def open_source(
    source: str, reconnect: float, is_stopped: Callable[[], bool] = lambda: False
) -> "FrameSource | LiveSource":
    """Open a video file or a folder (see `open_frames`), a camera or a stream (see `live_address`).

    An http address of a recorded video, whose number of frames is known, is read like a file. A live source that stops
    is opened again for up to `reconnect` seconds. While it waits for a frame, it ends once `is_stopped` returns true.

    Raises the errors of `open_frames`, and ValueError for a camera or stream that cannot be opened or is already lost.
    """
    address = live_address(source)
    if address is None:
        return open_frames(source)
    if address.is_camera:
        capture = _open(address, _TIMEOUT)
        if capture is None:
            raise ValueError(explain_camera(address))
        return LiveSource(address, capture, reconnect, is_stopped)
    capture = _in_thread(lambda: _open(address, _TIMEOUT))
    if capture is None:
        raise ValueError(
            f"no {address.description} can be opened within {_TIMEOUT:.0f} s; check its address, and that it is being "
            "sent"
        )
    if str(address.target).startswith("http") and frame_count(capture) is not None:
        first = _in_thread(lambda: capture.read()[1])
        if first is None:
            raise ValueError(f"{address.description} is not a video that OpenCV can read")
        return recorded(capture, first, address.name, address.description)
    return LiveSource(address, capture, reconnect, is_stopped)


def arrivals(source: "FrameSource | LiveSource") -> Iterator[Arrival]:
    """Yield the frames of a source; those of a file arrive when they are asked for."""
    if isinstance(source, LiveSource):
        yield from source
    else:
        for image in source.frames:
            yield Arrival(image, time.perf_counter())


class LiveSource:
    """Context and iterator of the frames of a camera or a stream: always the newest one, those in between are dropped.

    Frames have the format of `FrameFormat`. `fps` is the rate that the source states. `dropped` and `reconnections`
    are counted. Iteration ends if the source stops and does not come back, which is logged. It raises ValueError if no
    frame ever comes, and for frames that `FrameFormat` refuses.
    """

    count = None  # there is no known end

    def __init__(
        self, address: Address, capture: cv2.VideoCapture, reconnect: float, is_stopped: Callable[[], bool]
    ) -> None:
        self.name = address.name
        self.fps = playback_rate(capture)
        self.dropped = 0
        self.reconnections = 0
        self._address = address
        self._reconnect = reconnect
        self._is_stopped = is_stopped
        self._format = FrameFormat(address.description)
        self._changed = threading.Condition()  # guards the state below
        self._newest: Arrival | None = None
        self._received = 0  # frames
        self._first: float | None = None  # time of the first frame, None before
        self._last: float | None = None  # time of the last frame
        self._lost_since: float | None = None  # time of the last frame before the source stopped
        self._seconds_lost = 0.0
        self._has_ended = False
        self._error: Exception | None = None
        self._reading_since: float | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(capture,), name=address.name, daemon=True)
        self._thread.start()

    @property
    def seconds_lost(self) -> float:
        """Seconds without a frame, of the times at which the source had stopped."""
        since = self._lost_since
        return self._seconds_lost + (time.perf_counter() - since if since is not None else 0.0)

    @property
    def measured_fps(self) -> float:
        """Frames per second that came while the source had not stopped; NaN before the second frame."""
        if self._first is None or self._last is None or self._received < 2:
            return math.nan
        return (self._received - 1) / (self._last - self._first - self._seconds_lost)

    def __iter__(self) -> Iterator[Arrival]:
        """Yield frames as they arrive, until the source ends."""
        while (arrival := self._wait()) is not None:
            yield replace(arrival, image=self._format.convert(arrival.image))

    def __enter__(self) -> "LiveSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def restart(self) -> None:
        """Forget the frames that came so far, and count anew."""
        with self._changed:
            self._newest = self._first = None
            self._received = self.dropped = 0
            self._seconds_lost = 0.0

    def close(self) -> None:
        """End the thread. One that waits for OpenCV ends when OpenCV returns, or with the process."""
        self._closed.set()
        self._thread.join(1.0)

    def _wait(self) -> Arrival | None:
        """Return the newest frame when there is one, None at the end."""
        with self._changed:
            while self._newest is None and not self._has_ended:
                self._changed.wait(_POLL)
                if self._is_stopped():
                    return None
                since = self._reading_since
                if since is not None and time.monotonic() - since > _BLOCKED:
                    if self._last is None:
                        raise ValueError(explain_silence(self._address))
                    logger.error(
                        "%s gives neither a frame nor an error for %.0f s", self._address.description, _BLOCKED
                    )
                    return None
            arrival, self._newest = self._newest, None
            if arrival is None and self._error is not None:
                raise self._error
            return arrival

    def _run(self, capture: cv2.VideoCapture) -> None:
        """Read until the source is closed or lost for good (the thread)."""
        try:
            for _ in range(_CAMERA_WARM_UP if self._address.is_camera else 0):
                self._read(capture)
            self._read_all(capture)
            if self._last is None:
                self._error = ValueError(explain_silence(self._address))
                return
            while not self._closed.is_set():
                capture.release()
                again = self._open_again()
                if again is None:
                    return
                capture = again
                self._read_all(capture)
        except Exception as error:  # for the thread that waits for frames
            self._error = error
        finally:
            capture.release()
            with self._changed:
                self._has_ended = True
                self._changed.notify()

    def _read_all(self, capture: cv2.VideoCapture) -> None:
        """Read until the source is closed or stops."""
        while not self._closed.is_set() and self._read(capture, keep=True):
            pass

    def _read(self, capture: cv2.VideoCapture, keep: bool = False) -> bool:
        """Read a frame and return whether there was one; with `keep` it becomes the newest."""
        self._reading_since = time.monotonic()
        image = capture.read()[1]
        now = time.perf_counter()
        self._reading_since = None
        if image is not None and keep:
            with self._changed:
                dropped = 0
                if self._newest is not None:
                    self.dropped += 1
                    dropped = self._newest.dropped + 1
                self._newest = Arrival(image, now, dropped)
                self._received += 1
                self._first, self._last = self._first or now, now
                if self._lost_since is not None:
                    self._seconds_lost += now - self._lost_since
                    self._lost_since = None
                self._changed.notify()
        return image is not None

    def _open_again(self) -> cv2.VideoCapture | None:
        """Try to open the source again until it gives a frame; return None if it is closed or time is up."""
        name, stopped, self._lost_since = self._address.description, time.monotonic(), self._last
        logger.warning("%s stopped%s", name, f"; reconnecting for {self._reconnect:g} s" if self._reconnect else "")
        pause = _FIRST_PAUSE
        while (left := stopped + self._reconnect - time.monotonic()) > 0:
            if self._closed.wait(min(pause, left)):
                return None
            capture = _open(self._address, min(_TIMEOUT, max(left - pause, 1.0)))
            if capture is not None and self._read(capture, keep=True):
                self.reconnections += 1
                logger.warning("%s is back after %.1f s", name, time.monotonic() - stopped)
                return capture
            pause = min(2 * pause, _LONGEST_PAUSE)
        if self._reconnect:
            logger.error("%s did not come back within %g s", name, self._reconnect)
        return None


def _open(address: Address, timeout: float) -> cv2.VideoCapture | None:
    """Return an open camera or stream, None if it cannot be opened. `timeout` in seconds applies to a stream."""
    if address.is_camera or cv2.CAP_FFMPEG not in cv2.videoio_registry.getStreamBackends():
        capture = cv2.VideoCapture(address.target)
    else:
        limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout), (cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT)
        parameters = [int(value) for limit, seconds in limits for value in (limit, 1000 * seconds)]
        capture = cv2.VideoCapture(str(address.target), cv2.CAP_FFMPEG, parameters)
    return capture if capture.isOpened() else None


def _in_thread(work: Callable[[], _T]) -> _T:
    """Return work(), which a signal could not interrupt, from a thread for which a signal does not have to wait."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result()
