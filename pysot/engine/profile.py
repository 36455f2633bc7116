"""Profile of a window of training steps, TRAIN.PROFILE: where a step spends its time.

A profiler reads and times only: the results of training are the same. Its failures are warnings.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from pysot.utils.device import synchronize
from pysot.utils.profilers import start_recording, write_recording
from pysot.utils.watchdog import FIRST_STEP, Heartbeat

logger = logging.getLogger(__name__)
_VIEWERS = {
    "npu": "open {profile} in MindStudio Insight",
    "other": "tensorboard --logdir '{folder}' (package torch-tb-profiler), or open the trace in Perfetto or chrome://tracing",
}


@dataclass(frozen=True)
class ProfileWindow:
    """Steps to profile, `first` to `last`, counted from 1 at the start of this process, and the folder of the files."""

    first: int
    last: int
    folder: Path


class StepProfiler:
    """Context around the steps of a training run, in which a window of them is profiled; none without a window."""

    def __init__(self, window: ProfileWindow | None, device: torch.device, rank: int, heartbeat: Heartbeat) -> None:
        self.window = window
        self.device = device
        self.worker = f"rank{rank}"
        self.heartbeat = heartbeat
        self.count = 0  # steps that have ended
        self._profiler: Any = None

    def __enter__(self) -> "StepProfiler":
        if self.window is not None:
            first, last = self.window.first, self.window.last
            logger.info(
                "steps %d to %d of this process will be profiled (TRAIN.PROFILE). They are slower: FPS leaves them out "
                "if there are others, the times in the lines of the steps contain them",
                first,
                last,
            )
            self._profiler = start_recording(self.device, first, last, self.window.folder, self.worker)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end("the run")

    def step(self) -> bool:
        """End a step. Returns whether its time is not that of others, since it is profiled or prepares that."""
        self.count += 1
        if self._profiler is None or self.window is None:
            return False
        first, last = self.window.first, self.window.last
        if self.count == first - 1:
            synchronize(self.device)  # the work of this step ends before the window
        if self.count == last:
            self.heartbeat.beat("ends a profile", FIRST_STEP)
        if self._call(self._profiler.step) and self.count == last:
            self._stop()
        return self.count >= first - 2

    def end(self, what: str) -> None:
        """End the profile if its window is open, because `what` ends; at the end of the run in any case."""
        if self._profiler is None or self.window is None or (what != "the run" and self._recorded() < 0):
            return
        if not self._stop():
            return
        recorded, asked = max(0, self._recorded()), self.window.last - self.window.first + 1
        logger.warning(
            "TRAIN.PROFILE %d-%d: %s ended after step %d of this process: %s; choose steps before that",
            self.window.first,
            self.window.last,
            what,
            self.count,
            f"only {recorded} of {asked} steps are profiled" if recorded else "nothing is profiled",
        )

    def _recorded(self) -> int:
        """Return the number of profiled steps; it is negative before the window."""
        assert self.window is not None
        return min(self.count, self.window.last) - self.window.first + 1

    def _stop(self) -> bool:
        """Stop the profiler and write what it has recorded. Returns whether that succeeded."""
        profiler, self._profiler = self._profiler, None
        self.heartbeat.beat("writes a profile", FIRST_STEP)
        return self._call(profiler.stop) and (self._recorded() <= 0 or self._call(lambda: self._write(profiler)))

    def _call(self, action: Callable[[], object]) -> bool:
        """Call an action of the profiler. Returns whether it succeeded."""
        try:
            action()
            return True
        except Exception as error:  # whatever a profiler raises, it must not end the training run
            self._profiler = None
            logger.warning("TRAIN.PROFILE: the profile is lost, training goes on: %s", error)
            return False

    def _write(self, profiler: Any) -> None:
        assert self.window is not None
        folder = self.window.folder
        trace, problem = write_recording(profiler, self.device, folder, self.worker)
        viewer = _VIEWERS.get(self.device.type, _VIEWERS["other"])
        logger.info(
            "profile of %d steps: %s; operators by time: %s",
            self._recorded(),
            trace,
            folder / f"summary_{self.worker}.txt",
        )
        logger.info("to view it: %s", viewer.format(folder=folder, profile=trace.parents[1]))
        if problem:
            logger.warning("the profile is incomplete: %s", problem)
