"""tools/train.py with short time limits and a fault, for test_faults.py.

The environment names the fault: FAULT is "kind@step", counted from this start, FAULT_RANK the rank that has it.
"""

import errno
import multiprocessing
import os
import runpy
import signal
import sys
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path[:0] = [str(TOOLS.parent), str(TOOLS)]


def shorten_time_limits() -> None:
    from pysot.utils import signals, watchdog

    watchdog.PATIENCE = 6.0
    watchdog.STEP = 8.0
    watchdog.STEP_FACTOR = 2.0
    watchdog.FIRST_STEP = 15.0
    watchdog.START = 60.0
    watchdog.GRACE = 1.0
    from pysot.engine import fetch, run_folder  # imports the limits above

    signals.END_WITHIN = 5.0
    signals.END_AT_ONCE = 2.0
    fetch.BATCH_TIMEOUT = 4.0
    run_folder._SHUTDOWN_SECONDS = 1.0


def full_disk(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def strike(kind: str, trainer) -> None:
    if kind == "hang":
        time.sleep(10**6)
    elif kind == "freeze":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif kind == "loader":
        for helper in multiprocessing.active_children():
            os.kill(helper.pid, signal.SIGSTOP)
    elif kind == "disk":
        os.fsync = full_disk
    elif kind == "nan":
        next(parameter for parameter in trainer.model.rpn_head.parameters()).data.fill_(float("nan"))
    elif kind == "lost":
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    shorten_time_limits()
    from pysot.engine.train_loop import Trainer

    kind, _, when = os.environ.get("FAULT", "").partition("@")
    if kind and os.environ.get("FAULT_RANK", "0") == os.environ.get("RANK", "0"):
        count, real = [0], Trainer.step

        def step(trainer, batch):
            count[0] += 1
            if count[0] == int(when):
                strike(kind, trainer)
            return real(trainer, batch)

        Trainer.step = step
    runpy.run_path(str(TOOLS / "train.py"), run_name="__main__")


if __name__ == "__main__":
    main()
