"""SIGTERM and SIGINT as requests: the run finishes its step, saves its state, and ends."""

import contextlib
import ctypes
import multiprocessing
import signal
import sys
import threading
from collections.abc import Iterator

_PR_SET_PDEATHSIG = 1


class Interrupted(BaseException):
    """A run that ended because it was asked to; `signum` is the signal. As KeyboardInterrupt, it is no error that anybody may handle in passing."""

    def __init__(self, signum: int, message: str):
        super().__init__(message)
        self.signum = signum


class StopRequest:
    """Whether the run is to end: `signum` is the signal that asked for it, 0 before."""

    signum = 0

    def ask(self, signum: int, _frame=None) -> None:
        """A signal handler. A second signal, of an impatient user, ends the process at once."""
        if self.signum:
            raise Interrupted(signum, "interrupted twice: the step under way is lost")
        self.signum = signum


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """While it lasts, SIGTERM and SIGINT make the request that it yields."""
    request = StopRequest()
    before = {signum: signal.signal(signum, request.ask) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def die_with_parent() -> None:
    """In a helper process (elsewhere nothing happens): it ends when its parent does, however that ends, and not before. A signal to the whole group is the
    parent's matter, which may need its helpers to finish a step; `end_helpers` ends them.
    """
    if multiprocessing.parent_process() is None:
        return
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
    if sys.platform == "linux":  # else an orphan may wait for ever to hand over a batch that nobody takes
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_helpers() -> None:
    """End the helper processes that are left at the end of a run."""
    for helper in multiprocessing.active_children():
        helper.kill()


def keep_steps_whole() -> None:
    """torch's loader raises the death of a loader process wherever the training just is. Without its handler it does so when the next batch is fetched."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
