"""Runs the steps of a device check, each in a process group of its own that is killed at its limit: a hang, a crash or an error that ruins the device's
context stops one step and no other, and what it had found until then is kept.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pysot.benchmarks.record import Setting, Told, read_record
from pysot.utils.files import REPO_ROOT

OK, WRONG, FAILED, LATE, SKIPPED, NO_TIME = "ok", "WRONG", "FAILED", "OVER TIME", "skipped", "no time left"
_TOO_SHORT = 4.0  # seconds in which a process cannot even import torch and open a device
_SHOWN = 300  # characters of an error
_TAIL = 15  # lines of a log


@dataclass(frozen=True)
class Step:
    """A piece of the check: `function` is 'module:function', called with a Setting and a Record in a process that is killed after `seconds` (`seconds_short` in
    the short form, where 0 leaves it out). `kinds` are the devices that it is for; `otherwise` says why not others. `decides`: without its checks nobody knows
    whether the device computes right.
    """

    name: str
    function: str
    seconds: float
    seconds_short: float
    kinds: tuple[str, ...] = ("cpu", "cuda", "npu")
    otherwise: str = ""
    decides: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a step ended, after how many seconds, what it told, and the error or the reason where there is one."""

    step: Step
    state: str
    seconds: float = 0.0
    told: Told = field(default_factory=Told)
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the device: a step that measures speed may be left out for lack of time, one that decides may not."""
        return self.state in (OK, SKIPPED) or (
            self.state == NO_TIME and not self.step.decides and all(check.right for check in self.told.checks)
        )


def run_steps(
    steps: Sequence[Step], kind: str, setting: Setting, seconds: float, tell: Callable[[list[Outcome]], None]
) -> list[Outcome]:
    """Run the steps one after the other on a device of `kind`, in `seconds` in all: each has its limit or what is left. `tell` gets the outcomes so far after
    each step. Logs and records go to `setting.work`.
    """
    deadline, outcomes = time.monotonic() + seconds, []
    for number, step in enumerate(steps):
        limit = step.seconds_short if setting.short else step.seconds
        left = deadline - time.monotonic()
        if kind not in step.kinds:
            outcomes.append(Outcome(step, SKIPPED, reason=step.otherwise))
        elif not limit:
            outcomes.append(Outcome(step, SKIPPED, reason="not in the short form"))
        elif left < _TOO_SHORT:
            outcomes.append(Outcome(step, NO_TIME))
        else:
            outcomes.append(run_step(step, replace(setting, seconds=min(limit, left)), number, cut=left < limit))
        tell(outcomes)
    return outcomes


def run_step(step: Step, setting: Setting, number: int, cut: bool = False) -> Outcome:
    """Run one step within `setting.seconds`; with `cut` these are fewer than it should have."""
    results, log = setting.work / f"{number:02d}.jsonl", setting.work / f"{number:02d}.log"
    paths = [str(REPO_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "pysot.benchmarks.child", step.function, setting.to_json(), str(results)]
    began = time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout=setting.seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:  # also where this process is told to end; helpers of the step that are left end with it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    told, seconds = read_record(results), time.monotonic() - began
    lines = [line.rstrip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    if status != 0 and lines:
        told.notes += ["the end of its log:", *lines[-_TAIL:]]
    if status is None:
        reason = f"ended after {seconds:.0f} s" + (
            ", all that was left" if cut else "; what it had found until then is kept"
        )
        return Outcome(step, NO_TIME if cut else LATE, seconds, told, reason)
    if status:
        return Outcome(step, FAILED, seconds, told, _why(status, lines))
    return Outcome(step, OK if all(check.right for check in told.checks) else WRONG, seconds, told)


def _why(status: int, lines: list[str]) -> str:
    """Why a process ended: its signal, or the last error of its log; what a device's library says after that is in the log."""
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Exit|Interrupt|Interrupted)\b", line)]
    last = (errors or lines or ["it said nothing"])[-1].strip()[:_SHOWN]
    return f"died of {signal.Signals(-status).name}; its last words: {last}" if status < 0 else last
