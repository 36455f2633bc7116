"""Readers of what the launch scripts print and log."""

from pathlib import Path

FIELDS = [
    "Network",
    "RankSize",
    "BatchSize",
    "DeviceType",
    "CaseName",
    "ActualFPS",
    "TrainingTime",
    "TrainAccuracy",
    "ActualLoss",
    "E2ETrainingTime",
]


def fields(path: Path) -> dict[str, str]:
    """Return the values of a result log of the launch scripts, and check that it has exactly FIELDS."""
    lines = [line.split(" = ") for line in path.read_text().splitlines()]
    assert [name for name, _ in lines] == FIELDS
    return dict(lines)


def final_lines(stdout: str) -> dict[str, str]:
    """Return the values that a launch script prints after "Final result"."""
    return dict(line.split(" : ", 1) for line in stdout[stdout.index("Final result") :].splitlines()[1:])
