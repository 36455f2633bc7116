"""Window of training steps to profile, TRAIN.PROFILE."""

import re
from collections.abc import Iterator

MOST_STEPS = 50  # a trace grows by megabytes per step, and lies in memory until it is written


def profile_window(text: str) -> tuple[int, int] | None:
    """Return the first and the last step of a window such as '30-35'; None for ''. The text must be valid."""
    first, _, last = text.partition("-")
    return (int(first), int(last)) if text else None


def profile_problems(value: object, log_dir: str) -> Iterator[str]:
    """Yield what is wrong with a window, which is to be profiled into a folder in `log_dir`."""
    if value == "":
        return
    match = re.fullmatch(r"(\d+)-(\d+)", value) if isinstance(value, str) else None
    first, last = map(int, match.groups()) if match else (0, 0)
    if not 1 <= first <= last:
        yield (
            "TRAIN.PROFILE: expected FIRST-LAST with a hyphen, such as 30-35, two rising steps from 1 on, or '' (off); "
            f"got {value!r}. Steps count from the start of this process"
        )
    elif last - first >= MOST_STEPS:
        yield (
            f"TRAIN.PROFILE: expected at most {MOST_STEPS} steps, since a trace lies in memory until it is written; "
            f"got {last - first + 1} ({value}). A few steps show what all do"
        )
    if not log_dir:
        yield "TRAIN.LOG_DIR: expected a folder, in which TRAIN.PROFILE makes the folder profile; got ''. Set it"
