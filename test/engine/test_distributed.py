"""Two real processes over gloo: they get the weights of one process that adds the gradients of two half batches."""

import json
import os
import re
import socket
import subprocess
import sys
import time

import pytest
import torch

import two_ranks
from helpers import ROOT
from pysot.utils.distributed import Rank, find_rank, mean_over_ranks, process_group

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


def fated(
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


@pytest.mark.parametrize(
    ("fate", "rank", "words"),
    [
        ("killed", 1, "rank 1 has died"),
        ("killed", 0, "rank 0"),
        ("fails", 1, "rank 1 failed: ValueError: no such crop"),
        ("hangs", 1, "rank 1 has died or hangs"),
        ("hangs", 0, "has the store of the run, gives no answer"),
    ],
)
def test_a_rank_that_ends_ends_the_others_and_is_named(fate, rank, words):
    start_time = time.monotonic()
    results = outcome(fated(fate, rank), dead=rank if fate == "hangs" else None)
    assert time.monotonic() - start_time < 60
    status, text = results[1 - rank]
    assert status not in (0, None) and words in text, (status, text)


def test_ranks_that_live_end_in_order():
    assert [status for status, _ in outcome(fated("lives", size=3))] == [0, 0, 0]


def test_a_port_that_is_taken_is_named():
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        processes = fated("lives", port=port)
        _, text = processes[0].communicate(timeout=60)
        processes[1].kill()
        processes[1].communicate()
    assert processes[0].returncode != 0, text
    assert f"port {port} is taken by another program: set another MASTER_PORT" in text, text


def launched(*arguments) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'test'}", "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        str(SCRIPT),
        *arguments,
    ]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(("reduce", "clip"), [("sum", "1000"), ("sum", "2"), ("avg", "1000")])
def test_two_ranks_equal_one_process(tmp_path, reduce, clip):
    done = launched(str(tmp_path), reduce, clip)
    assert done.returncode == 0, done.stderr[-3000:]
    got = torch.load(tmp_path / "checkpoint_e3.pth", weights_only=True)["state_dict"]
    expected = two_ranks.by_hand(str(tmp_path), reduce, clip)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=0, atol=1e-6, msg=name)
    if clip == "1000":  # nothing is clipped: sum and mean give different weights
        other = two_ranks.by_hand(str(tmp_path), "avg" if reduce == "sum" else "sum", clip)
        assert max((got[name] - value).abs().max() for name, value in other.items() if value.is_floating_point()) > 1e-4


def test_a_loss_that_explodes_on_one_rank_is_skipped_by_both(tmp_path):
    done = launched(str(tmp_path), "sum", "10", "cpu", "1")
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = [json.loads(entry) for entry in re.findall(r"\{.*?\}", done.stdout)]
    assert first["skipped"] == second["skipped"] == 3
    assert first["weights"] == pytest.approx(second["weights"], rel=1e-12) and first["weights"] < float("inf")
    assert done.stderr.count("The loss of this process is the cause") == 3, done.stderr
    assert done.stderr.count("The loss of this process was valid") == 3, done.stderr


def test_one_process_needs_nothing(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert find_rank() == Rank(0, 1, 0) and find_rank(local_rank=3).local_rank == 3
    with process_group(Rank(), torch.device("cpu")):
        means, flags = mean_over_ranks({"a": torch.tensor(2.0), "b": torch.tensor(3)}, torch.tensor([0.0, 1]))
        assert means == {"a": 2.0, "b": 3.0} and flags == [0.0, 1.0]


def test_the_size_and_the_local_rank_are_enough_on_one_machine(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")  # so that monkeypatch restores it
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert find_rank(local_rank=3) == Rank(3, 8, 3, 8)
    assert (os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]) == ("127.0.0.1", "29500")
    with pytest.raises(ValueError, match="RANK is 8 and WORLD_SIZE 8"):
        monkeypatch.setenv("RANK", "")
        find_rank(local_rank=8)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK is 2 and WORLD_SIZE 2"),
        ({"WORLD_SIZE": "two"}, "whole numbers"),
        ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, "MASTER_ADDR and MASTER_PORT is not set"),
        ({"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}, "RANK and LOCAL_RANK is not set"),
        (
            {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "99999"},
            "MASTER_PORT is '99999'; expected .* 1 to 65535",
        ),
        (
            {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "http"},
            "MASTER_PORT is 'http'",
        ),
        (
            {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "-1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"},
            "LOCAL_RANK -1",
        ),
    ],
)
def test_environments_that_contradict_themselves(monkeypatch, values, words):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=words):
        find_rank()
