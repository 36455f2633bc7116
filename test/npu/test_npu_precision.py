"""Loss scales and optimizers that only an NPU has: the scaler of saturating chips, NpuFusedSGD, apex (by a stand-in that records)."""

import contextlib
import sys
import types

import pytest
import torch

import two_ranks
from helpers import SIMULATED, assert_same_weights, noisy_batches, small_trainer
from npu_helpers import ranks
from pysot.utils.device import choose_device

pytestmark = pytest.mark.npu
TORCH = ["NPU.FUSED_SGD", "False"]  # torch's SGD instead of torch_npu's NpuFusedSGD
FP16 = ["TRAIN.PRECISION", "fp16"]
TOLERANCE = 1e-5 if SIMULATED else 1e-2


def trainer(folder, *opts, **more):
    return small_trainer(folder, choose_device("npu"), *opts, **more)


@pytest.mark.parametrize("opts", [[], TORCH], ids=["NpuFusedSGD", "torch"])
def test_two_ranks_over_hccl_equal_one_process(tmp_path, opts):
    ranks(tmp_path, "sum", "1000", "npu", "-1", *opts)
    got = torch.load(tmp_path / "checkpoint_e3.pth", weights_only=True)["state_dict"]
    assert_same_weights(got, two_ranks.by_hand(str(tmp_path), "sum", "1000"), TOLERANCE)


@pytest.mark.parametrize("scale", ["32", "dynamic"])
@pytest.mark.parametrize("opts", [[], TORCH], ids=["NpuFusedSGD", "torch"])
def test_an_overflow_on_one_rank_is_skipped_by_both(tmp_path, scale, opts):
    found = ranks(tmp_path, "sum", "10", "npu", "1", *FP16, "TRAIN.LOSS_SCALE", scale, *opts)
    assert len(found) == 2 and found[0]["skipped"] == found[1]["skipped"]
    assert (
        found[0]["skipped"] == 3 or scale == "dynamic" and 3 < found[0]["skipped"] <= 6
    )  # it also searches for a scale
    assert found[0]["weights"] == pytest.approx(found[1]["weights"], rel=1e-12) and found[0]["weights"] < float("inf")


def test_fused_sgd_is_rebuilt_at_the_unfreeze_and_equals_torch_s(tmp_path):
    plain, fused = trainer(tmp_path / "plain", *TORCH), trainer(tmp_path / "fused")
    fused.begin(0)
    first = fused.optimizer
    fused.optimizer = None
    plain.run()
    fused.run()
    assert type(fused.optimizer).__name__ == "NpuFusedSGD" and fused.optimizer is not first
    assert [group["name"] for group in fused.optimizer.param_groups] == ["backbone", "rpn_head"]
    assert_same_weights(plain.model.state_dict(), fused.model.state_dict(), TOLERANCE)


@pytest.mark.parametrize("epoch", [1, 2])
def test_fused_sgd_resumes(tmp_path, epoch):
    whole = trainer(tmp_path / "whole")
    whole.run()
    for opts in ([], TORCH):  # torch's optimizer takes its checkpoints as well
        again = trainer(
            tmp_path / f"again{len(opts)}", *opts, "TRAIN.RESUME", str(tmp_path / "whole" / f"checkpoint_e{epoch}.pth")
        )
        again.run()
        assert_same_weights(whole.model.state_dict(), again.model.state_dict(), TOLERANCE)


@pytest.mark.parametrize("opts", [[], TORCH], ids=["NpuFusedSGD", "torch"])
def test_a_bad_step_is_undone(tmp_path, opts):
    loader = noisy_batches(3)
    loader[0]["search"][0, 0, 0, 0] = float("nan")
    run = trainer(tmp_path, *opts, "TRAIN.PRINT_FREQ", 5, loader=loader)
    run.begin(0)
    for step in (0, 1, 0):
        before = {name: value.clone() for name, value in run.model.named_parameters()}
        run.step(loader[step])
        changed = any(not torch.equal(value, before[name]) for name, value in run.model.named_parameters())
        assert changed == (step == 1)
    assert all(torch.isfinite(state["momentum_buffer"]).all() for state in run.optimizer.state.values())


@pytest.fixture
def saturating(monkeypatch):
    """A chip on which an overflow gives the largest number, and raises a flag that torch_npu's scaler reads; the flag is raised by the test."""
    flag = types.SimpleNamespace(raised=False)
    real = torch._amp_foreach_non_finite_check_and_unscale_

    def check(gradients, found, inverse):
        real(gradients, found, inverse)
        found.fill_(float(flag.raised))

    monkeypatch.setattr(torch.npu.utils, "is_support_inf_nan", lambda: False)
    monkeypatch.setattr(torch.npu.amp.GradScaler, "clear_npu_overflow_flag", staticmethod(lambda: None))
    monkeypatch.setattr(torch, "_amp_foreach_non_finite_check_and_unscale_", check)
    return flag


@pytest.mark.parametrize("scale", [32, "dynamic"])
@pytest.mark.parametrize("opts", [[], TORCH], ids=["NpuFusedSGD", "torch"])
def test_saturating_chips_get_torch_npu_s_scaler(tmp_path, saturating, scale, opts):
    run = trainer(tmp_path, *FP16, "TRAIN.LOSS_SCALE", scale, *opts)
    assert isinstance(run.amp.scaler, torch.npu.amp.GradScaler)
    run.begin(0)
    run.step(run.loader[0])
    for raised in (True, False):
        saturating.raised = raised
        before = {name: value.clone() for name, value in run.model.named_parameters()}
        start = run.amp.scaler.get_scale()
        run.step(run.loader[1])
        assert all(torch.equal(value, before[name]) for name, value in run.model.named_parameters()) == raised
        assert run.amp.scaler.get_scale() == (start / 2 if raised and scale == "dynamic" else start)


class Apex(types.ModuleType):
    """Stands in for apex.amp: the same calls, recorded, with a static scale."""

    def __init__(self):
        super().__init__("apex.amp")
        self.calls = []

    def initialize(self, model, optimizer, **options):
        self.calls.append(("initialize", [group["name"] for group in optimizer.param_groups], options))
        self.scale = options["loss_scale"]
        return model, optimizer

    @contextlib.contextmanager
    def scale_loss(self, loss, optimizer):
        self.calls.append("scale_loss")
        yield loss * self.scale
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad.div_(self.scale)

    def state_dict(self):
        return {"loss_scaler0": {"loss_scale": self.scale, "unskipped": 7}}

    def load_state_dict(self, state):
        self.calls.append(("load", state))


@pytest.fixture
def apex(monkeypatch):
    amp = Apex()
    package = types.ModuleType("apex")
    package.amp = amp
    monkeypatch.setitem(sys.modules, "apex", package)
    monkeypatch.setitem(sys.modules, "apex.amp", amp)
    return amp


@pytest.mark.parametrize("opts", [[], TORCH], ids=["NpuFusedSGD", "torch"])
def test_apex_is_called_as_published_and_anew_at_the_unfreeze(tmp_path, apex, opts):
    plain = trainer(tmp_path / "plain")
    run = trainer(tmp_path / "apex", *FP16, "NPU.APEX", "True", *opts)
    plain.run()
    run.run()
    options = {"opt_level": "O1", "loss_scale": 32, "combine_grad": True}
    step = ["scale_loss"] * 2
    assert apex.calls == [
        ("initialize", ["rpn_head"], options),
        *step,
        ("initialize", ["backbone", "rpn_head"], options),
        *step,
        *step,
    ]
    assert_same_weights(plain.model.state_dict(), run.model.state_dict(), TOLERANCE)  # the stand-in computes in float32

    apex.calls.clear()
    trainer(
        tmp_path / "again",
        *FP16,
        "NPU.APEX",
        "True",
        *opts,
        "TRAIN.RESUME",
        str(tmp_path / "apex" / "checkpoint_e2.pth"),
    ).run()
    assert [call[0] for call in apex.calls[:2]] == ["initialize", "load"] and apex.calls[1][1] == apex.state_dict()


def test_apex_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ImportError, match="NPU.APEX is true, but apex cannot be imported.*set NPU.APEX to false"):
        trainer(tmp_path, *FP16, "NPU.APEX", "True")
