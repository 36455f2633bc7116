"""Requests to stop, and the time until a process has ended, for any wait of its main thread."""

import signal
import subprocess
import sys
import time

import pytest

from helpers import ROOT
from pysot.utils.signals import StopRequest, time_limit

WAITING = """
import sys
sys.path.insert(0, sys.argv[1])
import ctypes, logging
from pysot.utils import signals
logging.basicConfig(format="%(message)s")
signals.END_WITHIN, signals.END_AT_ONCE = 3.0, 1.0
with signals.stop_on_signals() as request:
    request.saves = sys.argv[2] == "saves"
    print("waits", flush=True)
    lock, own = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(64)
    lock(own)
    lock(own)  # forever: no signal ends it
"""

SIGNALLED = """
import signal, sys
sys.path.insert(0, {root!r})
from pysot.utils.signals import Interrupted, stop_on_signals
"""


@pytest.mark.parametrize(
    ("saves", "count", "least", "most"),
    [("saves", 1, 2.5, 8), ("saves", 2, 0.5, 2.5), ("nothing", 1, 0.5, 2.5)],
)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_never_returns_to_python_is_ended(saves, count, least, most, signum):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(ROOT), saves], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "waits\n"
    time.sleep(0.3)
    began = time.monotonic()
    for _ in range(count):
        process.send_signal(signum)
        time.sleep(0.1)
    _, text = process.communicate(timeout=30)
    assert process.returncode == 128 + signum and least <= time.monotonic() - began < most, text
    assert f"did not end within {3 if least > 2 else 1} s of {signal.Signals(signum).name}" in text, text


def _run(lines: str) -> subprocess.CompletedProcess:
    """Run `lines` in a process of their own: a signal that comes too late would end the tests with it."""
    return subprocess.run(
        [sys.executable, "-c", SIGNALLED.format(root=str(ROOT)) + lines], capture_output=True, text=True
    )


def test_a_first_signal_is_a_request_where_there_is_a_state_to_save():
    ended = _run("""
with stop_on_signals() as request:
    request.saves = True
    signal.raise_signal(signal.SIGTERM)
    print(request.signum)
    try:
        signal.raise_signal(signal.SIGINT)
    except Interrupted as error:
        print(error)
print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
""")
    assert ended.stdout == "15\ninterrupted twice: the step under way is lost\nTrue\n" and not ended.returncode, ended


def test_a_first_signal_ends_at_once_where_there_is_none():
    ended = _run("""
with stop_on_signals():
    signal.raise_signal(signal.SIGINT)
""")
    assert "Interrupted: ended by SIGINT; there was nothing to save" in ended.stderr and ended.returncode == 1, ended


def test_a_request_to_another_process_is_no_signal_here():
    request = StopRequest()
    request.pass_on(15)
    request.pass_on(2)
    assert request.signum == 15


def test_a_time_limit_ends_what_waits_in_python_and_nothing_else():
    with pytest.raises(TimeoutError, match="too long"), time_limit(0.1, "too long"):
        time.sleep(10)
    with time_limit(0.1, "too long"):
        pass
    time.sleep(0.2)
