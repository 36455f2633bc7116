"""Two real processes over gloo: their weights are those of one process that adds the gradients of the two half batches."""

import os
import subprocess
import sys

import pytest
import torch

import two_ranks
from helpers import ROOT
from pysot.utils.distributed import Rank, find_rank, mean_over_ranks, process_group

SCRIPT = ROOT / "test" / "engine" / "two_ranks.py"


def launched(*arguments) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'test'}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(SCRIPT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(("reduce", "clip"), [("sum", "1000"), ("sum", "2"), ("avg", "1000")])
def test_two_ranks_equal_one_process(tmp_path, reduce, clip):
    done = launched(str(tmp_path), reduce, clip)
    assert done.returncode == 0, done.stderr[-3000:]
    got = torch.load(tmp_path / "checkpoint_e3.pth", weights_only=True)["state_dict"]
    expected = two_ranks.by_hand(str(tmp_path), reduce, clip)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=0, atol=1e-6, msg=name)
    if clip == "1000":  # nothing is clipped: sum and mean lead elsewhere
        other = two_ranks.by_hand(str(tmp_path), "avg" if reduce == "sum" else "sum", clip)
        assert max((got[name] - value).abs().max() for name, value in other.items() if value.is_floating_point()) > 1e-4


def test_one_process_needs_nothing(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert find_rank() == Rank(0, 1, 0) and find_rank(local_rank=3).local_rank == 3
    with process_group(Rank(), torch.device("cpu")):
        assert mean_over_ranks({"a": torch.tensor(2.0), "b": torch.tensor(3)}, torch.tensor([0.0, 1])) == ({"a": 2.0, "b": 3.0}, [0.0, 1.0])


@pytest.mark.parametrize(("values", "words"), [
    ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK is 2 and WORLD_SIZE 2"), ({"WORLD_SIZE": "two"}, "whole numbers"),
    ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR and MASTER_PORT is not set"),
])
def test_environments_that_contradict_themselves(monkeypatch, values, words):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=words):
        find_rank()
