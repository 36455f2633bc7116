"""Where a tracking step spends its time: parts and operators by torch's profiler, and a sentence about them."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch.autograd import DeviceType

from pysot.tracker.network import Timer
from pysot.utils.device import synchronize

PARTS = ("crop", "network", "decode")
STEPS = 5
_LARGE_SHARE = 0.25  # of a step, of a part that should be small
_BUSY_SHARE = 0.6  # of a step, below which the device waits for the host
_NAMED_OPERATORS = 3


@dataclass(frozen=True)
class StepProfile:
    """Milliseconds of a step: by part, and by operator (on a card by kernel) with the number of calls, longest first.

    On a card, they are those of the device, and `is_of_device` is true. Without a profiler, as on an NPU, the parts are
    measured with waits for the device around them, and there are no operators.
    """

    parts: dict[str, float]
    operators: Sequence[tuple[str, float, float]] = ()
    is_of_device: bool = False

    @property
    def small_share(self) -> float:
        """Share of crops and decoding in the parts."""
        return 1 - self.parts["network"] / sum(self.parts.values())


def profile_steps(
    device: torch.device,
    set_timer: Callable[[Timer | None], None],
    step: Callable[[], Any],
    crops_on_host: bool = False,
) -> StepProfile:
    """Profile some calls of `step`, whose parts are timed by the timer that it is given.

    With `crops_on_host`, of which the clock of a card sees nothing, the parts are measured with waits.
    """
    try:
        profile = None if device.type == "npu" else _profiled_parts(device, set_timer, step)
        if profile is not None and not (crops_on_host and profile.is_of_device):
            return profile
        parts = _timed_parts(device, set_timer, step)
        return StepProfile(parts) if profile is None else replace(profile, parts=parts)
    finally:
        set_timer(None)


def _profiled_parts(
    device: torch.device, set_timer: Callable[[Timer | None], None], step: Callable[[], Any]
) -> StepProfile | None:
    """Return what torch's profiler sees; None if it sees no work of a card, as where its counters are forbidden."""
    set_timer(torch.profiler.record_function)
    activities = torch.profiler.ProfilerActivity
    on_card = device.type != "cpu"
    with torch.profiler.profile(activities=[activities.CPU, *([activities.CUDA] if on_card else [])]) as profiler:
        for _ in range(STEPS):
            step()
        synchronize(device)
    rows = profiler.key_averages()
    parts = {
        row.key: (row.device_time_total if on_card else row.cpu_time_total) / 1000 / STEPS
        for row in rows
        if row.key in PARTS and row.device_type == DeviceType.CPU
    }
    kind = DeviceType.CUDA if on_card else DeviceType.CPU
    operators = [
        (
            row.key,
            (row.self_device_time_total if on_card else row.self_cpu_time_total) / 1000 / STEPS,
            row.count / STEPS,
        )
        for row in rows
        if row.device_type == kind and row.key not in PARTS and not getattr(row, "is_user_annotation", False)
    ]
    return StepProfile(parts, sorted(operators, key=lambda row: -row[1]), on_card) if sum(parts.values()) else None


def _timed_parts(
    device: torch.device, set_timer: Callable[[Timer | None], None], step: Callable[[], Any]
) -> dict[str, float]:
    parts = dict.fromkeys(PARTS, 0.0)
    set_timer(partial(timed_part, lambda: synchronize(device), lambda part, seconds: _add(parts, part, seconds)))
    for _ in range(STEPS):
        step()
    return parts


def _add(parts: dict[str, float], part: str, seconds: float) -> None:
    parts[part] += 1000 * seconds / STEPS


@contextlib.contextmanager
def timed_part(wait: Callable[[], None], note: Callable[[str, float], None], part: str) -> Iterator[None]:
    """Note the seconds of a part, with waits for the device around it."""
    wait()
    began = time.perf_counter()
    yield
    wait()
    note(part, time.perf_counter() - began)


def describe_tracking(profile: StepProfile, reading_ms: float, tracking_ms: float) -> str:
    """Return a sentence that names the bottleneck of a step, of which reading and tracking take these milliseconds."""
    parts, total = profile.parts, sum(profile.parts.values())
    if reading_ms > tracking_ms:
        share = reading_ms / (reading_ms + tracking_ms)
        return f"read-bound: {share:.0%} of the time is spent reading frames; read them ahead, in other threads"
    busy = sum(ms for _, ms, _ in profile.operators)
    if profile.is_of_device and busy < _BUSY_SHARE * tracking_ms:
        kernels = sum(count for _, _, count in profile.operators)
        return (
            f"launch-bound: the device computes in {busy / tracking_ms:.0%} of the step, with {kernels:.0f} kernels; "
            "larger batches, two frames in flight and TRACK.GRAPH auto, unless it is on, help"
        )
    for part, remedy in (
        ("crop", "TRACK.CROPS host and device are the choices"),
        ("decode", "it grows with the number of anchors"),
    ):
        if parts[part] > _LARGE_SHARE * total:
            return f"{part}-bound: {parts[part] / total:.0%} of the step is spent in the part {part}; {remedy}"
    longest = ", ".join(
        f"{name} {ms / total:.0%}" for name, ms, _ in itertools.islice(profile.operators, _NAMED_OPERATORS)
    )
    operators = f"; the longest operators: {longest}" if longest else ""
    return f"network-bound: {parts['network'] / total:.0%} of the step is spent in the network{operators}"
