"""Run the steps of a plan: each a process with a log, finished ones are left out."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pysot.reproduction.folder import RunRecord, now, write_record
from pysot.reproduction.steps import Step

logger = logging.getLogger(__name__)
_GRACE = 90.0  # seconds in which an interrupted step saves its state
_TAIL = 15  # lines of a failed step in the error


def run_steps(
    steps: Sequence[Step], record: RunRecord, folder: Path, repository: Path, say: Callable[[str], None]
) -> None:
    """Run the steps that are not finished, and write each finished one into the record.

    `say` is called with each line that they print, and with a line before each step. Raises RuntimeError with the end
    of the log of a step that failed.
    """
    started = time.monotonic()
    for number, step in enumerate(steps, 1):
        heading = f"== {number}/{len(steps)} {step.name} ({time.monotonic() - started:.0f} s)"
        if record.is_done(step.name, step.command):
            say(f"{heading}: finished before")
            continue
        say(f"{heading}: {folder / step.log}")
        begun = time.monotonic()
        _run(step, folder, repository, say)
        entry = {"name": step.name, "command": list(step.command), "seconds": round(time.monotonic() - begun, 1)}
        record.steps.append({**entry, "ended": now()})
        write_record(folder, record)


def _run(step: Step, folder: Path, repository: Path, say: Callable[[str], None]) -> None:
    """Run one step as a process group of its own, which is interrupted as a whole."""
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONUNBUFFERED": "1"}
    log = folder / step.log
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8", errors="replace") as stream:
        stream.write(f"$ {' '.join(step.command)}\n")
        process = subprocess.Popen(
            step.command, cwd=repository, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                stream.write(line)
                stream.flush()
                say(line.rstrip("\n"))
            process.wait()
        except BaseException:
            stream.write(_interrupt(process))
            raise
    if process.returncode:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
        raise RuntimeError(
            f"step {step.name} ended with status {process.returncode}; the same command goes on from it. The end of "
            f"{log}:\n" + "\n".join(tail)
        )


def _interrupt(process: subprocess.Popen) -> str:
    """Ask a step to save its state and end, and kill what has not ended in time. Return what it still printed.

    Only one process of each training run is asked: torchrun passes the signal on, and a second one would end its ranks
    at once.
    """
    output = ""
    try:
        for pid in _python_children(process.pid) or [process.pid]:
            os.kill(pid, signal.SIGTERM)
        output = process.communicate(timeout=_GRACE)[0]
    except ProcessLookupError:
        pass
    except subprocess.TimeoutExpired:
        logger.warning("the step did not end within %.0f s of the interrupt and is killed", _GRACE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return output


def _python_children(pid: int) -> list[int]:
    """Return the Python processes that a script has started; none of a Python process, and where there is no /proc."""
    children, python = [], os.path.realpath(sys.executable)
    if os.path.realpath(f"/proc/{pid}/exe") == python:
        return []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == pid and os.path.realpath(path / "exe") == python:
                children.append(int(path.name))
    return children
