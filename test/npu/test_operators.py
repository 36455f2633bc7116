"""Operators of a training step and of a tracking step on an NPU.

No operator makes the host wait, has a result of unknown size, or falls back to the CPU.
"""

import json

import pytest

from helpers import ROOT, SIMULATED
from npu_helpers import record

pytestmark = pytest.mark.npu

SLOW = (
    "nonzero",
    "masked_select",
    "_local_scalar_dense",
    "item",
    "unique",
    "index_with_bool",
    "bincount",
    "repeat_interleave.Tensor",
)
R50 = "siamrpn_r50_l234_dwxcorr_8gpu"


def slow_operators(operators: dict[str, int]) -> list[str]:
    return [
        name for name in operators if name.endswith(" with bool") or name.removeprefix("aten.").split(".")[0] in SLOW
    ]


@pytest.mark.parametrize(
    ("config", "opts"),
    [
        (R50, []),
        (R50, ["TRAIN.PRECISION", "fp16"]),
        (R50, ["TRAIN.PRECISION", "fp16", "BACKBONE.TRAIN_EPOCH", "10"]),
        ("quickstart", ["TRAIN.PRECISION", "fp16", "TRAIN.LOSS_SCALE", "dynamic"]),
        ("quickstart", ["TRAIN.PRECISION", "bf16", "TRACK.PRECISION", "bf16"]),
        ("quickstart", ["NPU.FUSED_SGD", "False"]),
        ("siamrpn_mobilev2_small", []),
        ("siammask_mobilev2_small_base", []),
        ("siammask_mobilev2_small", ["TRAIN.PRECISION", "fp16"]),
        ("nanotrackv3", []),
        ("siamban_r50_l234", ["TRAIN.PRECISION", "fp16"]),
        (
            "quickstart",
            [
                "NPU.JIT_COMPILE",
                "True",
                "NPU.INTERNAL_FORMAT",
                "True",
                "NPU.CONV_HF32",
                "True",
                "NPU.MATMUL_HF32",
                "True",
            ],
        ),
    ],
    ids=[
        "r50-fp32",
        "r50-fp16",
        "r50-frozen",
        "alex-fp16-dynamic",
        "alex-bf16",
        "alex-torch-sgd",
        "mobilev2",
        "mask-base",
        "mask-refinement-fp16",
        "nano",
        "ban-fp16",
        "alex-all-switches",
    ],
)
def test_operators(capsys, config, opts):
    done = record(str(ROOT / "test" / "npu" / "operators.py"), config, *opts)
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout.splitlines()[-1])
    with capsys.disabled():
        for step, result in results.items():
            names = ", ".join(
                f"{name.removeprefix('aten.')} x{count}" for name, count in sorted(result["operators"].items())
            )
            copies, waits = result["reads"]
            count = sum(result["operators"].values())
            print(
                f"\n{config} {' '.join(opts)}: a {step} step sends {count} operators to the NPU, copies to the host "
                f"{copies} times, waits {waits} times: {names}"
            )
    for step, result in results.items():
        assert result["operators"] and result["refused"] == [] and slow_operators(result["operators"]) == [], step
        assert "_foreach_mul_.Tensor" not in " ".join(result["operators"]), step  # an NPU has no kernel for it
    assert results["training"]["reads"] == [0, 0], results
    # One copy brings the boxes and confidences of all targets, one more their masks. An idle slot changes no shape and
    # no operator.
    copies = [2, 2] if config == "siammask_mobilev2_small" else [1, 1]
    tracking, idle = results["tracking"], results["tracking of two in three slots"]
    assert tracking["reads"] == idle["reads"] == copies or not SIMULATED, results
    assert tracking["operators"] == idle["operators"]


def test_two_ranks_wait_for_nothing_either():
    done = record(
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        str(ROOT / "test" / "npu" / "operators.py"),
        "quickstart",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])["training"]
    assert result["operators"]["c10d.allreduce_"] >= 2 and result["refused"] == [] and result["reads"] == [0, 0], result


def test_the_recorder_sees_what_is_slow_or_refused():
    code = """
import torch, json
from operators import Recorder
x = torch.ones(2, 3, 4, 4).to("npu")
with Recorder() as recorder:
    x[x > 2]; x.nonzero(); x.sum().item(); x.masked_select(x > 0)
    try: x.to(torch.float64)
    except RuntimeError: recorder.refused.add("_to_copy: float64")
print(json.dumps([recorder.operators, sorted(recorder.refused)]))
"""
    done = record("-c", code)
    assert done.returncode == 0, done.stderr
    operators, refused = json.loads(done.stdout.splitlines()[-1])
    assert len(slow_operators(operators)) >= 4 and any("float64" in text for text in refused), (operators, refused)


# Copies to the host and waits of a line of code. `x` is a tensor on the NPU, `optimizer` is torch's fused SGD over it.
READS = {
    "optimizer.step()": [0, 0],
    "optimizer.found_inf = x.sum(); optimizer.step()": [1, 1],
    "x.sum().item()": [1, 1],
    "bool(x.sum() > 1)": [1, 1],
    "x.nonzero()": [1, 1],
    "torch.equal(x, x)": [1, 1],
    "x[x > 0]": [1, 1],
    "x.cpu()": [1, 1],
    "x.to('cpu', non_blocking=True)": [1, 0],
    "torch.ones(2).to('npu')": [0, 1],
    "torch.ones(2).pin_memory().to('npu', non_blocking=True)": [0, 0],
    "torch.npu.synchronize()": [0, 1],
}
COUNT = """
import torch, json, sys
from operators import Recorder
reads = {}
for line in json.loads(sys.argv[1]):
    x = torch.zeros(2, 3).to("npu").requires_grad_()
    optimizer = torch.optim.SGD([x], lr=1, momentum=0.9, fused=True)
    x.sum().backward()
    with Recorder() as recorder, torch.no_grad():
        exec(line)
    reads[line] = recorder.reads
print(json.dumps(reads))
"""


@pytest.fixture(scope="module")
def reads():
    done = record("-c", COUNT, json.dumps(list(READS)))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not SIMULATED, reason="only the simulator counts")
@pytest.mark.parametrize("line", READS)
def test_what_the_host_waits_for_is_counted(line, reads):
    assert reads[line] == READS[line]


def test_a_fall_back_to_the_cpu_is_an_error():
    done = record("-c", "import torch; torch.lgamma(torch.ones(2).to('npu'))")
    assert done.returncode != 0 and "would execute its main computation on CPU" in done.stderr, done.stderr[-500:]
