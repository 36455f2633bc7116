"""Run the steps of a device check, each in a process group that is killed at its time limit.

A hang, a crash or an error that corrupts the context of the device stops only its own step. Findings made until then
are kept.
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

from pysot.benchmarks.record import Findings, Setting, read_record
from pysot.utils.files import REPO_ROOT

OK, WRONG, FAILED, LATE, SKIPPED, NO_TIME = "ok", "WRONG", "FAILED", "OVER TIME", "skipped", "no time left"
_MIN_SECONDS = 4.0  # seconds; importing torch and opening a device takes longer
_MAX_REASON_CHARACTERS = 300
_LOG_TAIL_LINES = 15


@dataclass(frozen=True)
class Step:
    """Step of a device check.

    `function` is 'module:function'; it is called with a Setting and a Record in a process that is killed after
    `seconds`, or after `seconds_short` in the short form, which skips a step of 0 seconds. `kinds` are the kinds of
    device that the step supports; `skip_reason` is the reason for skipping it on others. `required` is true for a step
    that is needed to judge whether the device computes correctly.
    """

    name: str
    function: str
    seconds: float
    seconds_short: float
    kinds: tuple[str, ...] = ("cpu", "cuda", "npu")
    skip_reason: str = ""
    required: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a step ended: its state, duration, findings, and the error or the reason if there is one."""

    step: Step
    state: str
    seconds: float = 0.0
    findings: Findings = field(default_factory=Findings)
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Return whether nothing indicates a faulty device.

        A step without time left passes if its checks so far passed and the device can be judged without it.
        """
        if self.state == NO_TIME:
            return not self.step.required and all(check.right for check in self.findings.checks)
        return self.state in (OK, SKIPPED)


def run_steps(
    steps: Sequence[Step], kind: str, setting: Setting, seconds: float, report: Callable[[list[Outcome]], None]
) -> list[Outcome]:
    """Run the steps one after the other on a device of `kind`, in `seconds` altogether.

    A step gets its own time limit, or what is left if that is less. After each step, `report` is called with all
    outcomes so far. Logs and records are written to `setting.work`.
    """
    deadline = time.monotonic() + seconds
    outcomes: list[Outcome] = []
    for number, step in enumerate(steps):
        limit = step.seconds_short if setting.short else step.seconds
        left = deadline - time.monotonic()
        if kind not in step.kinds:
            outcomes.append(Outcome(step, SKIPPED, reason=step.skip_reason))
        elif not limit:
            outcomes.append(Outcome(step, SKIPPED, reason="not in the short form"))
        elif left < _MIN_SECONDS:
            outcomes.append(Outcome(step, NO_TIME))
        else:
            step_setting = replace(setting, seconds=min(limit, left))
            outcomes.append(run_step(step, step_setting, number, shortened=left < limit))
        report(outcomes)
    return outcomes


def run_step(step: Step, setting: Setting, number: int, shortened: bool = False) -> Outcome:
    """Run one step within `setting.seconds`; `shortened` means that this is less than its own time limit."""
    results, log = setting.work / f"{number:02d}.jsonl", setting.work / f"{number:02d}.log"
    began = time.monotonic()
    command = [sys.executable, "-m", "pysot.benchmarks.step_process", step.function, setting.to_json(), str(results)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        status: int | None = None
        try:
            status = process.wait(timeout=setting.seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also when this process is asked to end; kills helper processes of the step as well
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    findings, seconds = read_record(results), time.monotonic() - began
    lines = [line.rstrip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    if status != 0 and lines:
        findings.notes += ["the end of its log:", *lines[-_LOG_TAIL_LINES:]]
    if status is None:
        rest = ", all that was left" if shortened else "; what it had found until then is kept"
        return Outcome(step, NO_TIME if shortened else LATE, seconds, findings, f"ended after {seconds:.0f} s{rest}")
    if status:
        return Outcome(step, FAILED, seconds, findings, _failure_reason(status, lines))
    return Outcome(step, OK if all(check.right for check in findings.checks) else WRONG, seconds, findings)


def _environment() -> dict[str, str]:
    """Return the environment of a step: this repository is importable, output is unbuffered."""
    paths = [str(REPO_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def _failure_reason(status: int, lines: list[str]) -> str:
    """Return why a process failed: its signal and the last error in its log.

    Lines that a device library prints after the error are not errors, so they are skipped. Without an error, the last
    line is taken.
    """
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Exit|Interrupt|Interrupted)\b", line)]
    last = (errors or lines or ["no output"])[-1].strip()[:_MAX_REASON_CHARACTERS]
    return f"died of {signal.Signals(-status).name}; last error: {last}" if status < 0 else last
