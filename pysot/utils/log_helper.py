"""Lines of training logs, read by people and by Ascend's scripts, and the means and speeds in them."""

import statistics
from datetime import timedelta

WARM_UP_STEPS = 5  # not counted in FPS: first kernels are built, caches are cold


class RunningMean:
    """Mean of the last `size` values per name."""

    def __init__(self, size: int = 50) -> None:
        self.size = size
        self._values: dict[str, list[float]] = {}

    def add(self, **values: float) -> None:
        """Add one value per name."""
        for name, value in values.items():
            recent = self._values.setdefault(name, [])
            recent.append(value)
            del recent[: -self.size]

    def mean(self, name: str) -> float:
        """Return the mean of the last values of a name; 0 without values."""
        recent = self._values.get(name, [])
        return sum(recent) / len(recent) if recent else 0.0

    def state_dict(self) -> dict[str, list[float]]:
        """Return the last values per name."""
        return {name: list(recent) for name, recent in self._values.items()}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Continue from the values of `state_dict`."""
        self._values = {name: list(recent) for name, recent in state.items()}


class SpeedMeter:
    """Training speed in pairs per second after the first WARM_UP_STEPS steps (over all steps if there are no more).

    Steps are grouped into windows that end when the host has waited for the device: the time of a single step says
    little on a device that works asynchronously.
    """

    def __init__(self, pairs_per_step: int) -> None:
        self.pairs = pairs_per_step
        self._steps = 0
        # number of the last step, count of steps, seconds, whether all of them count
        self._windows: list[tuple[int, int, float, bool]] = []
        self._open_steps = 0  # of the window that has not ended
        self._open_seconds = 0.0
        self._open_counts = True

    @property
    def ends_warm_up(self) -> bool:
        """True if the current step is the last one of the warm-up, after which the caller waits for the device."""
        return self._steps + 1 == WARM_UP_STEPS

    def add(self, seconds: float, mark: bool, counts: bool = True) -> None:
        """Add a step; `mark` ends a window. That of a step that does not count is left out if there are others."""
        self._steps += 1
        self._open_steps += 1
        self._open_seconds += seconds
        self._open_counts = self._open_counts and counts
        if mark or self._steps == WARM_UP_STEPS:
            self._windows.append((self._steps, self._open_steps, self._open_seconds, self._open_counts))
            self._open_steps, self._open_seconds, self._open_counts = 0, 0.0, True

    def _counted(self) -> list[tuple[int, float]]:
        """Return steps and seconds of the windows after the warm-up; of all if there are none."""
        valid = [window for window in self._windows if window[3]] or self._windows
        counted = [window for window in valid if window[0] > WARM_UP_STEPS] or valid
        return [(steps, seconds) for _, steps, seconds, _ in counted]

    @property
    def mean(self) -> float:
        """Pairs per second over all counted windows."""
        counted = self._counted()
        return self.pairs * sum(steps for steps, _ in counted) / sum(seconds for _, seconds in counted)

    @property
    def latest(self) -> float:
        """Pairs per second of the last window; 0 without one."""
        return self.pairs * self._windows[-1][1] / self._windows[-1][2] if self._windows else 0.0

    @property
    def spread(self) -> float:
        """Standard deviation of the windows' pairs per second; 0 for a single window."""
        speeds = [self.pairs * steps / seconds for steps, seconds in self._counted()]
        return statistics.pstdev(speeds)

    def line(self) -> str:
        """Return `FPS <number>` with its spread and the number of steps and windows."""
        counted = self._counted()
        steps = sum(steps for steps, _ in counted)
        return f"FPS {self.mean:.2f} +- {self.spread:.2f} pairs/s, {steps} steps in {len(counted)} window(s)"


def epoch_line(epoch: int, step: int, steps: int, lr: float, values: dict[str, float]) -> str:
    """Return `Epoch: [e][i/n] lr: ...` followed by `values`; epoch and step count from 1."""
    listed = "  ".join(f"{name}: {value:.5f}" for name, value in values.items())
    return f"Epoch: [{epoch}][{step}/{steps}] lr: {lr:.6f}  {listed}"


def speed_line(step: int, seconds: float, steps: int) -> str:
    """Return `Progress: i / n [p%], Speed: t s/iter, ETA d:hh:mm` for the entire training run."""
    remaining = timedelta(seconds=seconds * max(0, steps - step))
    hours, minutes = remaining.seconds // 3600, remaining.seconds // 60 % 60
    eta = f"{remaining.days}:{hours:02d}:{minutes:02d} (D:H:M)"
    percent = 100 * step // max(1, steps)
    return f"Progress: {step} / {steps} [{percent}%], Speed: {seconds:.3f} s/iter, ETA {eta}"


def live_line(loss: float, lr: float, speed: float, waiting: float) -> str:
    """Return the text behind the progress bar of an epoch.

    `speed` is in pairs per second, `waiting` the share of time spent waiting for data.
    """
    return f"loss {loss:.3f}, lr {lr:.2g}, {speed:.1f} pairs/s, data wait {waiting:.0%}"
