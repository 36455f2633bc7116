"""Parts of demo.py: the files and the window of a recording, and the loop that tracks."""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from pysot.tracker.batch_tracker import BatchTracker
from pysot.tracker.target_mask import TargetMask
from pysot.utils.box_files import BoxWriter
from pysot.utils.frames import FrameSource
from pysot.utils.latency import LatencyMeter
from pysot.utils.live import Arrival, LiveSource
from pysot.utils.progress import progress_bar
from pysot.utils.visualize import FrameWriter, annotate_targets
from pysot.utils.window import FrameWindow

logger = logging.getLogger("demo")


class Recording:
    """Context of the annotated video, the boxes and, with `window`, a window.

    The files are complete when it ends, also with an error.
    """

    def __init__(self, folder: Path, fps: float, names: list[str], window: str = "") -> None:
        self.video = FrameWriter(folder / "annotated.mp4", fps)
        self.boxes = BoxWriter(folder, names)
        self.has_viewer = True  # false once the person has ended the window
        self.is_complete = False  # true once the files have their names
        self._names = names
        self._window = FrameWindow(window) if window else None
        self._stack = contextlib.ExitStack()
        self._last: np.ndarray | None = None

    def __enter__(self) -> "Recording":
        with contextlib.ExitStack() as stack:
            if self._window:
                stack.enter_context(self._window)
            stack.enter_context(self.boxes)
            stack.enter_context(self.video)
            self._stack = stack.pop_all()
        return self

    def write(
        self,
        arrival: Arrival,
        boxes: np.ndarray,
        confidences: np.ndarray,
        masks: Mapping[int, TargetMask] | None = None,
    ) -> None:
        """Add a frame with the boxes (N, 4) and confidences (N,) of all targets, and the masks of some.

        The frame before is repeated for each dropped one, so that the video keeps its duration. The boxes have the
        numbers that frames have in the video.
        """
        if self._last is not None:
            for _ in range(arrival.dropped):
                self.video.write(self._last)
        regions = {index: mask.region() for index, mask in (masks or {}).items()}
        self._last = annotate_targets(arrival.image, self._names, boxes, confidences, regions)
        self.video.write(self._last)
        self.boxes.write(self.video.count - 1, boxes, confidences)
        if self._window:
            self.has_viewer = self._window.show(self._last)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)
        self.is_complete = True


def follow(
    tracker: BatchTracker,
    source: FrameSource | LiveSource,
    boxes: Mapping[str, Sequence[float]],
    first: Arrival,
    frames: Iterator[Arrival],
    recording: Recording,
    latency: LatencyMeter,
    is_stopped: Callable[[], bool],
) -> None:
    """Track targets that were started on `first`, until the frames end, a person ends it or no target is left.

    Raises ValueError if no target is left.
    """
    names, active = [name or "the target" for name in boxes], set(range(len(boxes)))
    recording.write(first, np.array(list(boxes.values())), np.ones(len(boxes)))
    # The frames of a file may wait for each other; those of a live source may not.
    ahead = 1 if tracker.overlaps and isinstance(source, FrameSource) else 0
    with progress_bar(None, total=source.count, description=source.name, initial=1) as bar:
        for arrival, found, confidences in _track(tracker, frames, active, ahead):
            latency.add(time.perf_counter() - arrival.time)
            recording.write(arrival, found, confidences, tracker.masks)
            for slot, error in tracker.failures.items():
                active.discard(slot)
                logger.warning("%s ended at frame %d: %s", names[slot], recording.video.count - 1, error)
            bar.update()
            if not active:
                raise ValueError(f"no target is left after frame {recording.video.count - 1}; the reasons are above")
            if is_stopped() or not recording.has_viewer:
                return


def _track(
    tracker: BatchTracker, frames: Iterator[Arrival], active: Collection[int], ahead: int
) -> Iterator[tuple[Arrival, np.ndarray, np.ndarray]]:
    """Yield frames with boxes (N, 4) and confidences (N,); the next `ahead` frames are on their way already."""
    waiting: deque[Arrival] = deque()
    for arrival in frames:
        tracker.submit([arrival.image if slot in active else None for slot in range(tracker.slots)])
        waiting.append(arrival)
        if len(waiting) > ahead:
            yield waiting.popleft(), *tracker.collect()
    while waiting:
        yield waiting.popleft(), *tracker.collect()


def summary(recording: Recording, latency: LatencyMeter, seconds: float, source: FrameSource | LiveSource) -> str:
    """Return lines with the files and the figures of a recording that took `seconds`."""
    files = recording.video.path, recording.boxes.json_path, recording.boxes.text_path
    frames = f"{recording.video.count} frame{'' if recording.video.count == 1 else 's'}"
    lines = [f"{frames}: {', '.join(map(str, files))}"] if recording.is_complete else []
    lost = source.seconds_lost if isinstance(source, LiveSource) else 0.0
    if latency.count and seconds > lost:
        median, most = (1000 * latency.quantile(part) for part in (0.5, 0.95))
        rate = latency.count / (seconds - lost)
        lines.append(f"{rate:.1f} frames/s, latency {median:.1f} ms (median), {most:.1f} ms (95 %)")
    if isinstance(source, LiveSource):
        counts = f"dropped frames: {source.dropped}, reconnections: {source.reconnections}"
        lines.append(f"{counts}, seconds without the source: {lost:.1f}")
        if recording.video.count > 50 and not 0.8 < source.measured_fps / source.fps < 1.25:
            lines.append(
                f"the source states {source.fps:.4g} frames/s and sent {source.measured_fps:.4g}: the video runs at "
                f"{source.fps / source.measured_fps:.2g} times the speed"
            )
    return "\n".join(lines)
