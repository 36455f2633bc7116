"""Cores of a process, its share of them, and its limit of open files."""

import os
import subprocess
import sys

import pytest

from helpers import ROOT
from pysot.utils.cores import core_quota, loader_workers, share_of_cores, usable_cores


@pytest.mark.parametrize(
    ("cores", "ranks", "shares"),
    [
        ([0, 1, 2, 3, 8, 9, 10, 11], 2, [[0, 1, 2, 3], [8, 9, 10, 11]]),
        ([0, 1, 2], 2, [[0], [1]]),
        ([5], 2, [[5], [5]]),
        ([], 1, [[]]),
    ],
)
def test_shares(cores, ranks, shares):
    assert [share_of_cores(cores, rank, ranks) for rank in range(ranks)] == shares


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, float("inf")),
        ({"cpu.max": "max 100000"}, float("inf")),
        ({"cpu.max": "250000 100000\n"}, 2.5),
        ({"cpu.max": "odd"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
    ],
)
def test_quota_of_a_container(tmp_path, files, quota):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert core_quota(tmp_path) == quota


@pytest.mark.parametrize(
    ("cores", "ranks", "quota", "workers"),
    [
        (1, 1, float("inf"), 1),
        (2, 1, float("inf"), 1),
        (4, 1, float("inf"), 2),
        (24, 8, float("inf"), 22),
        (24, 8, 32.0, 3),
        (24, 8, 2.0, 1),
        (16, 1, 8.0, 7),
    ],
)
def test_loader_workers(cores, ranks, quota, workers):
    assert loader_workers(cores, ranks, quota) == workers


LIMITED = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from pysot.utils.cores import raise_open_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[3])))
try:
    workers = raise_open_file_limit(abs(int(sys.argv[4])), may_reduce=int(sys.argv[4]) < 0)
except ValueError as error:
    sys.exit(str(error))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], workers)
"""


@pytest.mark.parametrize(
    ("soft", "hard", "workers", "outcome"),
    [
        (32, 32, 1, "may open 32 files (ulimit -n), and 1 loader process(es) need 112"),
        (32, 32, 0, "32 0\n"),
        (32, 4096, 8, "4096 8\n"),
        (32, 4096, -94, "4096 84\n"),
        (32, 32, -4, "4 loader process(es) need 256"),
        (100, 100, 2, "ulimit -n 4096, or set TRAIN.NUM_WORKERS 0"),
        (1024, 1024, 8, "1024 8\n"),
    ],
)
def test_open_files(soft, hard, workers, outcome):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(ROOT), str(soft), str(hard), str(workers)], capture_output=True, text=True
    )
    assert outcome in (done.stdout or done.stderr), done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or len(usable_cores()) < 2, reason="needs two cores and Linux")
def test_taskset_and_binding_count():
    one = usable_cores()[1]
    code = (
        "from pysot.utils.cores import *; print(usable_cores()); "
        "bind_to_cores(usable_cores()[:1]); print(usable_cores())"
    )
    done = subprocess.run(
        ["taskset", "-c", str(one), sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == [f"[{one}]"] * 2
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[1] == str(usable_cores()[:1])
