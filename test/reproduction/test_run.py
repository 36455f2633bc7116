"""Steps as processes: logs, failures, finished steps, interrupts."""

import os
import signal
import sys
import threading
import time

import pytest

from helpers import is_alive
from pysot.reproduction.claims import CLAIMS
from pysot.reproduction.folder import read_record
from pysot.reproduction.run import run_steps
from pysot.reproduction.steps import Step
from reproduction_helpers import record_of


def step(name: str, code: str) -> Step:
    return Step(name, (sys.executable, "-c", code))


def run(folder, *steps, record=None):
    record = record_of(CLAIMS["quickstart"]) if record is None else record
    lines = []
    run_steps(steps, record, folder, folder, lines.append)
    return record, lines


def test_a_failing_step_says_how_it_ended(tmp_path):
    record = record_of(CLAIMS["quickstart"])
    steps = [step("one", "print('done')"), step("two", "print('no data'); raise SystemExit(3)"), step("three", "")]
    with pytest.raises(RuntimeError, match=r"(?s)step two ended with status 3; the same command goes on.*no data"):
        run(tmp_path, *steps, record=record)
    assert [entry["name"] for entry in read_record(tmp_path).steps] == ["one"]
    assert not (tmp_path / "logs" / "three.log").exists()


def test_finished_steps_are_left_out(tmp_path):
    first = step("one", "print('first')")
    record, lines = run(tmp_path, first)
    assert "first" in lines and lines[0].startswith("== 1/1 one (0 s): ")
    record, lines = run(tmp_path, first, step("two", "print('second')"), record=record)
    assert "first" not in lines and "second" in lines
    _, lines = run(tmp_path, step("one", "print('another')"), record=record)
    assert "another" in lines  # another command is another step
    log = (tmp_path / "logs" / "one.log").read_text()
    assert log.count("$ ") == 2 and log.endswith("another\n")


@pytest.mark.parametrize("stubborn", [False, True])
def test_an_interrupt_ends_the_step_and_its_processes(tmp_path, monkeypatch, stubborn):
    monkeypatch.setattr("pysot.reproduction.run._GRACE", 1.0)
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if stubborn else "pass"
    code = (
        f"import os, signal, subprocess, sys, time; {ignore}; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        "print(os.getpid(), child.pid, flush=True); time.sleep(60)"
    )
    found = []

    def say(line):
        if line[0].isdecimal():
            found.extend(map(int, line.split()))
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        run_steps([step("one", code)], record_of(CLAIMS["quickstart"]), tmp_path, tmp_path, say)
    end = time.monotonic() + 10
    while any(map(is_alive, found)) and time.monotonic() < end:
        time.sleep(0.05)
    assert len(found) == 2 and not any(map(is_alive, found))
    assert not (tmp_path / "run.json").exists()


def test_an_interrupt_is_given_once_to_the_python_processes_of_a_script(tmp_path):
    """Their own processes, as the ranks of torchrun, and other programs of the script do not get it."""
    child = (
        "import signal, time; signal.signal(signal.SIGTERM, lambda *_: print('twice')); time.sleep(1); print('saved')"
    )
    parent = (
        f"import signal, subprocess, sys; signal.signal(signal.SIGTERM, lambda *_: print('once', flush=True)); "
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}]); print('0', flush=True); child.wait()"
    )

    def say(line):
        if line == "0":
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()

    script = Step("script", ("bash", "-c", '"$0" -c "$1" | cat; echo ended', sys.executable, parent))
    with pytest.raises(KeyboardInterrupt):
        run_steps([script], record_of(CLAIMS["quickstart"]), tmp_path, tmp_path, say)
    assert (tmp_path / "logs" / "script.log").read_text().splitlines()[-3:] == ["once", "saved", "ended"]
