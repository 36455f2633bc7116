"""Two real processes over gloo: they get the weights of one process that adds the gradients of two half batches."""

import os
import socket
import time

import pytest
import torch

import two_ranks
from pysot.utils.distributed import Rank, find_rank, mean_over_ranks, process_group
from rank_helpers import outcome, start_fated_ranks, train_two_ranks


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
    results = outcome(start_fated_ranks(fate, rank), dead=rank if fate == "hangs" else None)
    assert time.monotonic() - start_time < 60
    status, text = results[1 - rank]
    assert status not in (0, None) and words in text, (status, text)


def test_ranks_that_live_end_in_order():
    assert [status for status, _ in outcome(start_fated_ranks("lives", size=3))] == [0, 0, 0]


def test_a_port_that_is_taken_is_named():
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        processes = start_fated_ranks("lives", port=port)
        _, text = processes[0].communicate(timeout=60)
        processes[1].kill()
        processes[1].communicate()
    assert processes[0].returncode != 0, text
    assert f"port {port} is taken by another program: set another MASTER_PORT" in text, text


def test_two_ranks_equal_one_process(tmp_path):
    arithmetics = [("sum", "1000"), ("sum", "2"), ("avg", "1000")]
    folders = [str(tmp_path / f"{reduce}{clip}") for reduce, clip in arithmetics]
    cases = [
        {"folder": folder, "reduce": reduce, "clip": clip}
        for folder, (reduce, clip) in zip(folders, arithmetics, strict=True)
    ]
    train_two_ranks("cpu", *cases)
    for folder, (reduce, clip) in zip(folders, arithmetics, strict=True):
        got = torch.load(f"{folder}/checkpoint_e3.pth", weights_only=True)["state_dict"]
        for name, value in two_ranks.train_one_process(folder, reduce, clip).items():
            torch.testing.assert_close(got[name], value, rtol=0, atol=1e-6, msg=f"{reduce} {clip} {name}")
        if clip == "1000":  # nothing is clipped: sum and mean give different weights
            other = two_ranks.train_one_process(folder, "avg" if reduce == "sum" else "sum", clip)
            change = max((got[name] - value).abs().max() for name, value in other.items() if value.is_floating_point())
            assert change > 1e-4, (reduce, clip)


def test_a_step_that_is_bad_on_one_rank_is_skipped_by_both(tmp_path):
    """An exploding loss, and a NaN on a saturating chip, which turns the gradients into 0."""
    (exploding, saturating), text = train_two_ranks(
        "cpu",
        {"folder": str(tmp_path / "exploding"), "bad_rank": 1},
        {
            "folder": str(tmp_path / "saturating"),
            "bad_rank": 1,
            "saturating": True,
            "opts": ["TRAIN.PRECISION", "bf16"],
        },
    )
    for first, second in (exploding, saturating):
        assert first["skipped"] == second["skipped"] == 3
        assert first["weights"] == pytest.approx(second["weights"], rel=1e-12) and first["weights"] < float("inf")
    assert text.count("The loss of this process is the cause") == 6, text
    assert text.count("The loss of this process was valid") == 6, text


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
