"""Run by test_faults.py: tools/train.py with little patience and, in the rank FAULT_RANK, the fault FAULT ("kind@step" of this start) of the environment."""

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


def be_impatient() -> None:
    from pysot.utils import signals, watchdog

    watchdog.PATIENCE, watchdog.STEP, watchdog.STEP_FACTOR, watchdog.FIRST_STEP, watchdog.START, watchdog.GRACE = (
        6.0,
        8.0,
        2.0,
        15.0,
        60.0,
        1.0,
    )
    from pysot.engine import fetch, run_folder  # which take the numbers above

    signals.END_WITHIN, signals.END_AT_ONCE, fetch.BATCH, run_folder._DYING = 5.0, 2.0, 4.0, 1.0


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
    be_impatient()
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
