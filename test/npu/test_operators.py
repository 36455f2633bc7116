"""The operators of a training step and of a tracking step: none that waits for the host, has a result of unknown size, or runs on the CPU instead."""

import json
import os
import subprocess
import sys

import pytest

from helpers import ROOT

pytestmark = pytest.mark.npu

SLOW = ("nonzero", "masked_select", "_local_scalar_dense", "item", "unique", "index_with_bool", "bincount", "repeat_interleave.Tensor")
R50 = "siamrpn_r50_l234_dwxcorr_8gpu"


def record(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    path = os.pathsep.join([str(ROOT), str(ROOT / "test"), str(ROOT / "test" / "npu"), os.environ.get("PYTHONPATH", "")])
    # torch_npu then refuses an operator that it has no kernel for, which it would send to the CPU
    environment = {**os.environ, "PYTHONPATH": path, "TORCH_NPU_FALLBACK_CPU_DISABLE": "1", **environment}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=600)


def slow(operators: dict[str, int]) -> list[str]:
    return [name for name in operators if name.endswith(" with bool") or name.removeprefix("aten.").split(".")[0] in SLOW]


@pytest.mark.parametrize(("config", "opts"), [
    (R50, []), (R50, ["TRAIN.PRECISION", "fp16"]), ("quickstart", ["TRAIN.PRECISION", "fp16", "TRAIN.LOSS_SCALE", "dynamic"]),
    ("quickstart", ["TRAIN.PRECISION", "bf16"]), ("quickstart", ["NPU.FUSED_SGD", "True"]), ("siamrpn_mobilev2_small", []),
], ids=["r50-fp32", "r50-fp16", "alex-fp16-dynamic", "alex-bf16", "alex-NpuFusedSGD", "mobilev2"])
def test_operators(capsys, config, opts):
    done = record(str(ROOT / "test" / "npu" / "operators.py"), config, *opts)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    with capsys.disabled():
        for step, result in found.items():
            names = ", ".join(f"{name.removeprefix('aten.')} x{count}" for name, count in sorted(result["operators"].items()))
            print(f"\n{config} {' '.join(opts)}: a {step} step sends {sum(result['operators'].values())} operators to the NPU: {names}")
    for step, result in found.items():
        assert result["operators"] and result["refused"] == [] and slow(result["operators"]) == [], step


def test_the_recorder_sees_what_is_slow_or_refused():
    code = """
import torch, json
from operators import Recorder
x = torch.ones(2, 3, 4, 4).to("npu")
with Recorder() as seen:
    x[x > 2]; x.nonzero(); x.sum().item(); x.masked_select(x > 0)
    try: x.to(torch.float64)
    except RuntimeError: seen.refused.add("_to_copy: float64")
print(json.dumps([seen.operators, sorted(seen.refused)]))
"""
    done = record("-c", code)
    assert done.returncode == 0, done.stderr
    operators, refused = json.loads(done.stdout.splitlines()[-1])
    assert len(slow(operators)) >= 4 and any("float64" in text for text in refused), (operators, refused)


def test_a_fall_back_to_the_cpu_is_an_error():
    done = record("-c", "import torch; torch.lgamma(torch.ones(2).to('npu'))")
    assert done.returncode != 0 and "would execute its main computation on CPU" in done.stderr, done.stderr[-500:]
