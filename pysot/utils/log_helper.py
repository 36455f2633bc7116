"""Lines that people and Ascend's scripts read from training logs, and running means."""

from datetime import timedelta


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
            del kept[:-self.size]

    def mean(self, name: str) -> float:
        """The mean of a name's last values; 0 before any."""
        kept = self._values.get(name, [])
        return sum(kept) / len(kept) if kept else 0.0


def epoch_line(epoch: int, step: int, steps: int, lr: float, values: dict[str, float]) -> str:
    """`Epoch: [e][i/n] lr: ...` with the values behind it; epoch and step count from 1."""
    return f"Epoch: [{epoch}][{step}/{steps}] lr: {lr:.6f}  " + "  ".join(f"{name}: {value:.5f}" for name, value in values.items())


def speed_line(step: int, seconds: float, steps: int) -> str:
    """`Progress: i / n [p%], Speed: t s/iter, ETA d:hh:mm` for the whole run."""
    left = timedelta(seconds=seconds * max(0, steps - step))
    hours, minutes = left.seconds // 3600, left.seconds // 60 % 60
    return f"Progress: {step} / {steps} [{100 * step // max(1, steps)}%], Speed: {seconds:.3f} s/iter, ETA {left.days}:{hours:02d}:{minutes:02d} (D:H:M)"
