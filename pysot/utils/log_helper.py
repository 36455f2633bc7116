"""Lines that people and Ascend's scripts read from training logs, and running means."""

import statistics
from datetime import timedelta

WARM_UP_STEPS = 5  # not counted in FPS: first kernels are built, caches are cold


class RunningMean:
    """Mean of the last `size` values per name."""

    def __init__(self, size: int = 50):
        self.size = size
        self._values: dict[str, list[float]] = {}

    def add(self, **values: float) -> None:
        """Take in one value per name."""
        for name, value in values.items():
            kept = self._values.setdefault(name, [])
            kept.append(value)
            del kept[: -self.size]

    def mean(self, name: str) -> float:
        """The mean of a name's last values; 0 before any."""
        kept = self._values.get(name, [])
        return sum(kept) / len(kept) if kept else 0.0

    def state_dict(self) -> dict[str, list[float]]:
        """The kept values per name."""
        return {name: list(kept) for name, kept in self._values.items()}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Go on from values of `state_dict`."""
        self._values = {name: list(kept) for name, kept in state.items()}


class SpeedMeter:
    """Pairs per second of a run of steps after its first WARM_UP_STEPS (of all, where there are no more).

    Steps are gathered in windows that end where the device was waited for: the time of a single step says little on a device that works behind the host.
    """

    def __init__(self, pairs_per_step: int):
        self.pairs, self._steps, self._windows, self._open = pairs_per_step, 0, [], [0, 0.0]

    @property
    def warms_up(self) -> bool:
        """Whether the step that is under way is the last of the warm-up, after which the device is to be waited for."""
        return self._steps + 1 == WARM_UP_STEPS

    def add(self, seconds: float, mark: bool) -> None:
        """Take in a step; `mark` ends a window."""
        self._steps += 1
        self._open = [self._open[0] + 1, self._open[1] + seconds]
        if mark or self._steps == WARM_UP_STEPS:
            self._windows.append((self._steps, *self._open))
            self._open = [0, 0.0]

    def _counted(self) -> list[tuple[int, float]]:
        counted = [(steps, seconds) for end, steps, seconds in self._windows if end > WARM_UP_STEPS]
        return counted or [(steps, seconds) for _, steps, seconds in self._windows]

    @property
    def mean(self) -> float:
        """Pairs per second over all windows."""
        counted = self._counted()
        return self.pairs * sum(steps for steps, _ in counted) / sum(seconds for _, seconds in counted)

    @property
    def latest(self) -> float:
        """Pairs per second of the last window; 0 before any."""
        return self.pairs * self._windows[-1][1] / self._windows[-1][2] if self._windows else 0.0

    @property
    def spread(self) -> float:
        """Standard deviation of the windows' pairs per second; 0 for a single window."""
        speeds = [self.pairs * steps / seconds for steps, seconds in self._counted()]
        return statistics.pstdev(speeds)

    def line(self) -> str:
        """`FPS <number>` with what it is made of."""
        counted = self._counted()
        return f"FPS {self.mean:.2f} +- {self.spread:.2f} pairs/s, {sum(steps for steps, _ in counted)} steps in {len(counted)} window(s)"


def epoch_line(epoch: int, step: int, steps: int, lr: float, values: dict[str, float]) -> str:
    """`Epoch: [e][i/n] lr: ...` with the values behind it; epoch and step count from 1."""
    return f"Epoch: [{epoch}][{step}/{steps}] lr: {lr:.6f}  " + "  ".join(
        f"{name}: {value:.5f}" for name, value in values.items()
    )


def speed_line(step: int, seconds: float, steps: int) -> str:
    """`Progress: i / n [p%], Speed: t s/iter, ETA d:hh:mm` for the whole run."""
    left = timedelta(seconds=seconds * max(0, steps - step))
    hours, minutes = left.seconds // 3600, left.seconds // 60 % 60
    return f"Progress: {step} / {steps} [{100 * step // max(1, steps)}%], Speed: {seconds:.3f} s/iter, ETA {left.days}:{hours:02d}:{minutes:02d} (D:H:M)"


def live_line(loss: float, lr: float, speed: float, waiting: float) -> str:
    """What stands behind the bar of an epoch: speed in pairs per second, and the share of the time that goes by in waiting for data."""
    return f"loss {loss:.3f}, lr {lr:.2g}, {speed:.1f} pairs/s, data wait {waiting:.0%}"
