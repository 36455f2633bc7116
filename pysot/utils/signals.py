"""SIGTERM and SIGINT as requests: the run finishes its step, saves its state, and ends. It ends in bounded time whatever it waits for.

Python handles a signal in the main thread, between two of its instructions, which a thread that waits in a collective or for a driver never reaches. So a
second thread hears of signals through a pipe (signal.set_wakeup_fd) and ends the process when its time is up.
"""

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator

logger = logging.getLogger(__name__)

END_WITHIN = 60.0  # seconds from the first signal to the end of a process that has a state to save
END_AT_ONCE = 5.0  # seconds from a second signal, or from a first one before there is anything to save
_PR_SET_PDEATHSIG = 1
_ASKED = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """A run that ended because it was asked to; `signum` is the signal. As KeyboardInterrupt, it is no error that anybody may handle in passing."""

    def __init__(self, signum: int, message: str):
        super().__init__(message)
        self.signum = signum


class StopRequest:
    """Whether the run is to end: `signum` is the signal that asked for it, 0 before. While `saves` is true there is a state to save, and a first signal is a
    request; otherwise it ends the process at once.
    """

    signum = 0
    saves = False

    def ask(self, signum: int, _frame=None) -> None:
        """A signal handler. A second signal, of an impatient user, ends the process at once. Raises Interrupted."""
        if self.signum:
            raise Interrupted(signum, "interrupted twice: the step under way is lost")
        self.signum = signum
        if not self.saves:
            raise Interrupted(signum, f"ended by {signal.Signals(signum).name}; there was nothing to save")

    def pass_on(self, signum: int) -> None:
        """A request that came to another process of the run."""
        self.signum = self.signum or signum


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """While it lasts, SIGTERM and SIGINT make the request that it yields. A process that has not ended END_WITHIN seconds after the first one, or END_AT_ONCE
    seconds after the second, is ended with status 128 and the number of the signal.
    """
    request, (heard, told) = StopRequest(), os.pipe()
    os.set_blocking(told, False)
    before = {signum: signal.signal(signum, request.ask) for signum in _ASKED}
    wakeup = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    deadlines: list[threading.Timer] = []
    listener = threading.Thread(target=_listen, args=(heard, request, deadlines), name="signals", daemon=True)
    listener.start()
    try:
        yield request
    finally:
        signal.set_wakeup_fd(wakeup)
        for signum, handler in before.items():
            signal.signal(signum, handler)
        os.close(told)
        listener.join()
        for deadline in deadlines:
            deadline.cancel()


def _listen(pipe: int, request: StopRequest, deadlines: list[threading.Timer]) -> None:
    """Set a deadline for each signal that comes through the pipe, until it is closed."""
    with os.fdopen(pipe, "rb", buffering=0) as stream:
        while received := stream.read(1):
            if received[0] in _ASKED:
                seconds = END_WITHIN if request.saves and not deadlines else END_AT_ONCE
                deadlines.append(
                    threading.Timer(
                        seconds,
                        end_process,
                        (
                            128 + received[0],
                            f"did not end within {seconds:.0f} s of "
                            f"{signal.Signals(received[0]).name}; its last checkpoint stands",
                        ),
                    )
                )
                deadlines[-1].daemon = True
                deadlines[-1].start()


def end_process(status: int, why: str) -> None:
    """End this process and its helper processes without another word of the main thread, which may wait for something that never comes."""
    teller = threading.Thread(target=_tell, args=(why,), daemon=True)
    teller.start()
    teller.join(2.0)  # the stream may be full, or the main thread may hold its lock
    os._exit(status)  # helper processes die with it


def _tell(why: str) -> None:
    logger.error("this process %s", why)
    for handler in logging.getLogger().handlers:
        handler.flush()


@contextlib.contextmanager
def time_limit(seconds: float, words: str) -> Iterator[None]:
    """Raise TimeoutError with `words` where this thread, if it is the main one, still waits in Python's own calls after so many seconds."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(_signum, _frame):
        raise TimeoutError(words)

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def die_with_parent() -> None:
    """In a helper process (elsewhere nothing happens): it ends when its parent does, however that ends, and not before. A signal to the whole group is the
    parent's matter, which may need its helpers to finish a step; `end_helpers` ends them.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    for signum in _ASKED:
        signal.signal(signum, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)  # of the parent, if this is a fork of it
    if sys.platform != "linux":
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
        return
    ctypes.CDLL(None).prctl(
        _PR_SET_PDEATHSIG, signal.SIGKILL
    )  # a thread may never get its turn: an orphan may wait for ever to hand over a batch
    if not parent.is_alive():  # it ended before that call
        os._exit(1)


def _end_after(parent) -> None:
    parent.join()
    os._exit(1)


def end_helpers() -> None:
    """End the helper processes that are left at the end of a run."""
    for helper in multiprocessing.active_children():
        helper.kill()


def keep_steps_whole() -> None:
    """torch's loader raises the death of a loader process wherever the training just is. Without its handler it does so when the next batch is fetched."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
