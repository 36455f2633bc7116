"""Simulated Ascend 910A, a saturating chip.

An overflow gives the largest number, NaN becomes 0, float32 convolutions run in fp16, and bf16 is missing.
"""

import json

import pytest
import torch

from helpers import ROOT, SIMULATED, tiny_config
from npu_helpers import record
from pysot.core.config import load_config
from pysot.engine.engine_builder import build_amp
from pysot.utils.device import choose_device, set_npu_switches
from rank_helpers import train_two_ranks

pytestmark = [pytest.mark.npu, pytest.mark.skipif(not SIMULATED, reason="the chip is simulated")]


def on_910a(*opts: str):
    done = record(str(ROOT / "test" / "npu" / "saturating.py"), *opts, NPU_SIM_SOC="Ascend910A")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.parametrize("sgd", ["True", "False"], ids=["NpuFusedSGD", "torch"])
def test_bad_steps_change_nothing(sgd):
    first, overflow, explosion, last = on_910a("NPU.FUSED_SGD", sgd)[0]
    assert first > 0 and last > 0 and overflow == explosion == 0


def test_an_explosion_changes_nothing_in_fp16():
    first, _, explosion, last = on_910a("TRAIN.PRECISION", "fp16")[0]
    assert first > 0 and last > 0 and explosion == 0


def test_both_ranks_skip_a_step_that_is_bad_on_one(tmp_path, monkeypatch):
    monkeypatch.setenv("NPU_SIM_SOC", "Ascend910A")
    cases = [
        {"folder": str(tmp_path / precision), "bad_rank": 1, "opts": ["TRAIN.PRECISION", precision]}
        for precision in ("fp32", "fp16")
    ]
    for first, second in train_two_ranks("npu", *cases)[0]:
        assert first["skipped"] == second["skipped"] == 3
        assert first["weights"] == pytest.approx(second["weights"], rel=1e-12)


def test_bf16_is_refused_in_words():
    message, _ = on_910a("TRAIN.PRECISION", "bf16")
    assert message.startswith("TRAIN.PRECISION is bf16, which Ascend910A does not support")
    assert "set it to fp16 or fp32" in message


def test_float32_computed_in_fp16_is_reported(monkeypatch, caplog):
    device = choose_device("npu")
    build_amp(tiny_config(), device)
    assert caplog.text == ""
    monkeypatch.setattr(torch.npu, "is_bf16_supported", lambda: False)  # as on 910A and older
    build_amp(tiny_config(), device)
    assert "computes convolutions and matrix products of float32 in fp16" in caplog.text
    assert "NPU.PRECISION_MODE" in caplog.text
    caplog.clear()
    build_amp(tiny_config("NPU.PRECISION_MODE", "must_keep_origin_dtype"), device)
    build_amp(tiny_config("TRAIN.PRECISION", "fp16"), device)
    assert caplog.text == ""


def test_the_precision_mode_reaches_cann(monkeypatch):
    options = {}
    monkeypatch.setattr(torch.npu, "set_option", options.update)
    switches = {"jit_compile": False, "conv_hf32": False, "matmul_hf32": False, "internal_format": False}
    set_npu_switches(choose_device("npu"), **switches, precision_mode="")
    assert options == {}
    set_npu_switches(choose_device("npu"), **switches, precision_mode="must_keep_origin_dtype")
    assert options == {"ACL_PRECISION_MODE": "must_keep_origin_dtype"}
    with pytest.raises(ValueError, match="NPU.PRECISION_MODE: expected one of"):
        load_config(None, ["NPU.PRECISION_MODE", "force_fp16"])
