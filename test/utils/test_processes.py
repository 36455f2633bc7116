"""Worker processes: order of results, errors, and their end with the parent."""

import os
import signal
import sys
import time
from concurrent.futures.process import BrokenProcessPool

import pytest

from helpers import check_processes_end
from pysot.utils.processes import map_in_processes, worker_pool
from worker_functions import dies, fail_to_start, make_sleeper, pid_and_square, return_number


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers):
    results = list(map_in_processes(pid_and_square, range(6), workers))
    assert [square for _, square in results] == [0, 1, 4, 9, 16, 25]
    assert (os.getpid() in {pid for pid, _ in results}) == (workers == 1)


def test_each_process_has_its_number():
    with worker_pool(2, return_number) as submit:
        assert {future.result() for future in [submit() for _ in range(30)]} == {0, 1}


def test_what_cannot_begin_is_said_by_each_call():
    with pytest.raises(FileNotFoundError, match="no such snapshot"), worker_pool(1, fail_to_start) as submit:
        submit(1).result()


def test_a_process_that_dies_breaks_the_pool():
    with pytest.raises(BrokenProcessPool):
        list(map_in_processes(dies, [1], 2))


def test_an_exception_ends_the_processes_at_once():
    began = time.monotonic()
    with pytest.raises(KeyError, match="stop"), worker_pool(1, make_sleeper) as submit:
        submit(60)
        raise KeyError("stop")
    assert time.monotonic() - began < 20


SCRIPT = """
import sys
from worker_functions import announce
from pysot.utils.processes import map_in_processes

if __name__ == "__main__":
    list(map_in_processes(announce, [sys.argv[1]] * 2, 2))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="is_alive reads /proc")
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_their_parent(tmp_path, signum):
    check_processes_end(tmp_path, SCRIPT, signum)
