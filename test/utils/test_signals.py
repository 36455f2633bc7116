"""Requests to stop, and the time until a process has ended, for any wait of its main thread."""

import os
import signal
import subprocess
import sys
import time

import pytest

from helpers import ROOT
from pysot.utils.signals import Interrupted, StopRequest, stop_on_signals, time_limit

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


def test_a_first_signal_is_a_request_where_there_is_a_state_to_save():
    with stop_on_signals() as request:
        request.saves = True
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)
        assert request.signum == signal.SIGTERM
        with pytest.raises(Interrupted, match="interrupted twice"):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_first_signal_ends_at_once_where_there_is_none():
    with stop_on_signals(), pytest.raises(Interrupted, match="ended by SIGINT; there was nothing to save"):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)


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
