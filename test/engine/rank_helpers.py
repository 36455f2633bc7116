"""Processes that form a process group, for tests of several ranks."""

import json
import os
import re
import socket
import subprocess
import sys

from helpers import ROOT

SCRIPT = ROOT / "test" / "engine" / "two_ranks.py"


FATE = """
import os, signal, sys, time, torch
import torch.distributed as dist
sys.path.insert(0, {root!r})
from pysot.utils import watchdog
from pysot.utils.device import choose_device
from pysot.utils.distributed import find_rank, process_group
watchdog.PATIENCE = 10.0
rank = find_rank(local_rank=int(os.environ["RANK"]))
device = choose_device(sys.argv[2], local_rank=rank.local_rank)
with process_group(rank, device):
    x = torch.ones(1, device=device)
    dist.all_reduce(x)
    print("met", flush=True)
    time.sleep(4)
    if rank.index == int(sys.argv[3]):
        if sys.argv[1] == "fails":
            raise ValueError("no such crop")
        if sys.argv[1] != "lives":
            os.kill(os.getpid(), {{"killed": signal.SIGKILL, "hangs": signal.SIGSTOP}}[sys.argv[1]])
    for _ in range(5 if sys.argv[1] == "lives" else 100000):
        dist.all_reduce(x)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_fated_ranks(
    fate: str, rank: int = 1, device: str = "cpu", port: int | None = None, size: int = 2
) -> list[subprocess.Popen]:
    """Start processes one by one, as the old launch scripts do; `fate` happens to the process `rank`."""
    variables = {
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port or free_port()),
        "OMP_NUM_THREADS": "1",
    }
    code = FATE.format(root=str(ROOT))
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, fate, device, str(rank)],
            env={**os.environ, **variables, "RANK": str(i)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(size)
    ]


def outcome(processes, dead: int | None = None, limit: float = 90) -> list[tuple[int, str]]:
    """Return exit status and stderr of each process; the process `dead` is killed after the others have ended."""
    results = {}
    for i in sorted(range(len(processes)), key=lambda i: i == dead):
        if i == dead:
            processes[i].kill()
        _, text = processes[i].communicate(timeout=limit)
        results[i] = (processes[i].returncode, text)
    return [results[i] for i in range(len(processes))]


def train_two_ranks(device: str, *cases: dict) -> tuple[list[list[dict]], str]:
    """Train cases, see two_ranks.train, one after the other in two processes of one process group.

    Returns, for each case, what the ranks report, and the output on stderr.
    """
    path = [str(ROOT), str(ROOT / "test"), str(ROOT / "test" / "tracker"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
    environment["PYTHONFAULTHANDLER"] = "1"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*launcher, str(SCRIPT), device, *map(json.dumps, cases)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    reports = [json.loads(entry) for entry in re.findall(r"\{.*?\}", done.stdout)]  # both print to the same pipe
    reports.sort(key=lambda report: (report["case"], report["rank"]))
    assert len(reports) == 2 * len(cases), done.stdout
    return [reports[i : i + 2] for i in range(0, len(reports), 2)], done.stderr
