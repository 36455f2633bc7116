"""Checks of a card by the doctor, executed on the CPU; checks that fail, hang or end their process."""

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
    findings = {finding.name: finding for finding in run_on("cpu")}
    assert list(findings) == list(CHECKS) and all(finding.problem == "" for finding in findings.values()), findings
    pattern = r"error \d\.\de[-+]\d+ of at most \de[-+]\d+, \d+\.\d\d s"
    assert all(re.fullmatch(pattern, finding.value) for finding in findings.values()), findings
    assert findings["copy"].value.startswith("error 0.0e+00 of at most 0e+00")


def test_a_check_that_fails_or_hangs_stops_no_other():
    start = time.monotonic()
    problem = {finding.name: finding.problem for finding in run_on("cpu", step_seconds=10, code=FAULTY)}
    assert time.monotonic() - start < 120
    assert list(problem) == list(CHECKS) and problem["optimizer step"] == ""
    assert problem["copy"] == problem["backward"] == "computes wrongly"
    assert problem["convolution"] == "no answer within 10 s"
    assert problem["grouped convolution"] == "its process ended with status 1: out of luck"
    assert problem["batch-norm"] == "aclnnConvolution or aclnnConvolutionGetWorkspaceSize not in libopapi.so"


def test_a_device_that_cannot_be_opened_is_one_finding():
    (finding,) = run_on("cuda:77")
    assert finding.name == "start"
    assert "RuntimeError: device cuda" in finding.problem and "was asked for" in finding.problem


def test_a_sum_that_fails_names_the_rank():
    if not torch.cuda.is_available():
        finding = check_collective("cuda", 2)
        assert finding.value == "sum over two devices fails", finding
        assert finding.problem.startswith("rank 0: RuntimeError: device cuda"), finding
    assert check_collective("cpu", 1).value == "one card: nothing to sum over"
