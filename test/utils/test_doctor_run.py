"""The doctor's checks of a card, executed on the CPU; checks that fail, hang or end their process."""

import re
import time

import torch

from pysot.utils.doctor_run import CHECKS, check_collective, run_on

FAULTY = """
import os, sys, time
import torch
from pysot.utils import doctor_run

def wrong(device, dtype):
    return [torch.ones(3) if dtype == torch.float32 else torch.ones(3) * 1.1]

def fails(device, dtype):
    if dtype == torch.float32:
        raise RuntimeError("aclnnConvolution or aclnnConvolutionGetWorkspaceSize not in libopapi.so\\nand more")
    return [torch.ones(3)]

def nothing(device, dtype):
    return [torch.full((3,), float("nan") if dtype == torch.float32 else 1.0)]

print("a library says hello")
doctor_run.CHECKS.update({
    "copy": wrong,
    "convolution": lambda *_: time.sleep(60),
    "grouped convolution": lambda *_: sys.exit("out of luck"),
    "batch-norm": fails,
    "backward": nothing,
})
doctor_run.run_checks(sys.argv[1], sys.argv[2:])
"""


def test_the_cpu_computes_right():
    found = {finding.name: finding for finding in run_on("cpu")}
    assert list(found) == list(CHECKS) and all(finding.problem == "" for finding in found.values()), found
    assert all(
        re.fullmatch(r"error \d\.\de[-+]\d+ of at most \de[-+]\d+, \d+\.\d\d s", finding.value)
        for finding in found.values()
    ), found
    assert found["copy"].value.startswith("error 0.0e+00 of at most 0e+00")


def test_a_check_that_fails_or_hangs_stops_no_other():
    start = time.monotonic()
    found = {finding.name: finding.problem for finding in run_on("cpu", step_seconds=4, code=FAULTY)}
    assert time.monotonic() - start < 60
    assert list(found) == list(CHECKS) and found["optimizer step"] == ""
    assert found["copy"] == found["backward"] == "computes wrongly" and found["convolution"] == "no answer within 4 s"
    assert found["grouped convolution"] == "its process ended with status 1: out of luck"
    assert found["batch-norm"] == "aclnnConvolution or aclnnConvolutionGetWorkspaceSize not in libopapi.so"


def test_a_device_that_cannot_be_opened_is_one_finding():
    found = list(run_on("cuda:77"))
    assert (
        len(found) == 1
        and found[0].name == "start"
        and "RuntimeError: device cuda" in found[0].problem
        and "was asked for" in found[0].problem
    )


def test_a_sum_that_fails_names_the_rank():
    found = check_collective("cuda", 2) if not torch.cuda.is_available() else None
    assert (
        found is None
        or found.value == "sum over two devices fails"
        and found.problem.startswith("rank 0: RuntimeError: device cuda")
    ), found
    assert check_collective("cpu", 1).value == "one card: nothing to sum over"
