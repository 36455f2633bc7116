"""SIGTERM and SIGINT as requests to stop: the run finishes its step, saves its state, and ends in bounded time.

Python handles a signal in the main thread, between two of its instructions. A thread that waits in a collective or for
a driver never gets there. So a second thread receives signals through a pipe (signal.set_wakeup_fd) and ends the
process when its time is up.
"""

import atexit
import contextlib
import ctypes
import functools
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from types import FrameType

logger = logging.getLogger(__name__)

END_WITHIN = 60.0  # seconds from the first signal to the end of a process that has a state to save
END_AT_ONCE = 5.0  # seconds from a second signal, or from a first one before there is a state to save
_PR_SET_PDEATHSIG = 1
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """Requested end of a run; `signum` is the signal.

    Like KeyboardInterrupt it is no Exception, so that general error handlers do not catch it.
    """

    def __init__(self, signum: int, message: str) -> None:
        super().__init__(message)
        self.signum = signum


class StopRequest:
    """Request to stop the run: `signum` is the signal that made it, 0 without a request.

    While `saves` is true there is a state to save, and a first signal only makes the request. Otherwise it ends the
    process at once.
    """

    signum = 0
    saves = False

    def ask(self, signum: int, _frame: FrameType | None = None) -> None:
        """Handle a signal. A second one ends the process at once by raising Interrupted."""
        if self.signum:
            raise Interrupted(signum, "interrupted twice: the step under way is lost")
        self.signum = signum
        if not self.saves:
            raise Interrupted(signum, f"ended by {signal.Signals(signum).name}; there was nothing to save")

    def pass_on(self, signum: int) -> None:
        """Take over a request that another process of the run received."""
        self.signum = self.signum or signum


@contextlib.contextmanager
def stop_on_signals(remains: str = "its last checkpoint stands") -> Iterator[StopRequest]:
    """Yield the request that SIGTERM and SIGINT make during this context.

    A process that has not ended END_WITHIN seconds after the first signal, or END_AT_ONCE seconds after the second, is
    ended with status 128 + the number of the signal; a log line says so, and what `remains` of its work.
    """
    request = StopRequest()
    read_end, write_end = os.pipe()
    with contextlib.suppress(AttributeError):  # Windows before Python 3.12
        os.set_blocking(write_end, False)
    handlers = {signum: signal.signal(signum, request.ask) for signum in _STOP_SIGNALS}
    wakeup = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    deadlines: list[threading.Timer] = []
    listener = threading.Thread(
        target=_set_deadlines, args=(read_end, request, deadlines, remains), name="signals", daemon=True
    )
    listener.start()
    try:
        yield request
    finally:
        signal.set_wakeup_fd(wakeup)
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
        os.close(write_end)
        listener.join()
        for deadline in deadlines:
            deadline.cancel()


def _set_deadlines(pipe: int, request: StopRequest, deadlines: list[threading.Timer], remains: str) -> None:
    """Set a deadline for each signal that comes through the pipe, until it is closed."""
    with os.fdopen(pipe, "rb", buffering=0) as stream:
        while received := stream.read(1):
            signum = received[0]
            if signum in _STOP_SIGNALS:
                seconds = END_WITHIN if request.saves and not deadlines else END_AT_ONCE
                reason = f"did not end within {seconds:.0f} s of {signal.Signals(signum).name}; {remains}"
                deadline = threading.Timer(seconds, end_process, (128 + signum, reason))
                deadline.daemon = True
                deadlines.append(deadline)
                deadline.start()


def end_process(status: int, reason: str) -> None:
    """End this process and its helpers without the main thread, which may wait for something that never comes."""
    reporter = threading.Thread(target=_log_reason, args=(reason,), daemon=True)
    reporter.start()
    reporter.join(2.0)  # the stream may be full, or the main thread may hold its lock
    os._exit(status)  # helper processes die with it


def _log_reason(reason: str) -> None:
    logger.error("this process %s", reason)
    for handler in logging.getLogger().handlers:
        handler.flush()


@contextlib.contextmanager
def time_limit(seconds: float, message: str) -> Iterator[None]:
    """Raise TimeoutError with `message` if the context is not left within `seconds`.

    Works in the main thread only, and interrupts only waits in Python's own calls.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def raise_timeout(_signum: int, _frame: FrameType | None) -> None:
        raise TimeoutError(message)

    handler = signal.signal(signal.SIGALRM, raise_timeout)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


def die_with_parent() -> None:
    """Make this helper process end when its parent does, however that ends, and not before; do nothing elsewhere.

    The helper ignores signals to the entire process group: its parent may need it to finish a step, and ends it with
    `end_helpers`.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    for signum in _STOP_SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)  # a fork has inherited that of the parent
    if sys.platform != "linux":
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
        return
    # A thread may never be scheduled: an orphan may wait forever to hand over a batch.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if not parent.is_alive():  # it ended before that call
        os._exit(1)


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def end_helpers() -> None:
    """Kill the helper processes that remain at the end of a run."""
    for helper in multiprocessing.active_children():
        helper.kill()


@functools.cache
def end_daemons_at_exit() -> None:
    """Kill the daemonic processes that remain when Python exits; it would send them a signal that helpers ignore."""
    atexit.register(_kill_daemons)


def _kill_daemons() -> None:
    for helper in multiprocessing.active_children():
        if helper.daemon:
            helper.kill()


def defer_loader_errors() -> None:
    """Make torch's loader report a dead loader process when the next batch is fetched, not in the middle of a step.

    The loader's signal handler raises the error wherever the main thread is; this removes the handler.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
