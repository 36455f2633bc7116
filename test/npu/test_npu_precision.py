"""Loss scalers and optimizers that only NPUs have: scaler of saturating chips, NpuFusedSGD, apex (a recording fake)."""

import contextlib
import sys
import types

import pytest
import torch

import two_ranks
from helpers import SIMULATED, assert_same_weights, noisy_batches, small_trainer
from pysot.utils.device import choose_device
from rank_helpers import train_two_ranks

pytestmark = pytest.mark.npu
TORCH = ["NPU.FUSED_SGD", "False"]  # torch's SGD instead of torch_npu's NpuFusedSGD
FP16 = ["TRAIN.PRECISION", "fp16"]
TOLERANCE = 1e-5 if SIMULATED else 1e-2


def make_trainer(folder, *opts, **more):
    return small_trainer(folder, choose_device("npu"), *opts, **more)


def test_two_ranks_over_hccl_equal_one_process(tmp_path):
    cases = [
        {"folder": str(tmp_path / name), "clip": "1000", "opts": opts}
        for name, opts in (("NpuFusedSGD", []), ("torch", TORCH))
    ]
    train_two_ranks("npu", *cases)
    for case in cases:
        got = torch.load(f"{case['folder']}/checkpoint_e3.pth", weights_only=True)["state_dict"]
        assert_same_weights(got, two_ranks.train_one_process(case["folder"], "sum", "1000"), TOLERANCE)


def test_an_overflow_on_one_rank_is_skipped_by_both(tmp_path):
    """With either optimizer, and with a static and a dynamic loss scale."""
    variants = [(scale, opts) for scale in ("32", "dynamic") for opts in ([], TORCH)]
    cases = [
        {"folder": str(tmp_path / str(i)), "bad_rank": 1, "opts": [*FP16, "TRAIN.LOSS_SCALE", scale, *opts]}
        for i, (scale, opts) in enumerate(variants)
    ]
    reports, _ = train_two_ranks("npu", *cases)
    for (first, second), (scale, opts) in zip(reports, variants, strict=True):
        assert first["skipped"] == second["skipped"], (scale, opts)
        # A dynamic scale is also searched for.
        assert first["skipped"] == 3 or scale == "dynamic" and 3 < first["skipped"] <= 6, (scale, opts)
        assert first["weights"] == pytest.approx(second["weights"], rel=1e-12), (scale, opts)
        assert first["weights"] < float("inf"), (scale, opts)


def test_fused_sgd_is_rebuilt_at_the_unfreeze_and_equals_torch_s(tmp_path):
    plain, fused = make_trainer(tmp_path / "plain", *TORCH), make_trainer(tmp_path / "fused")
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
    complete = make_trainer(tmp_path / "complete")
    complete.run()
    checkpoint = str(tmp_path / "complete" / f"checkpoint_e{epoch}.pth")
    for opts in ([], TORCH):  # torch's optimizer reads these checkpoints as well
        resumed = make_trainer(tmp_path / f"resumed{len(opts)}", *opts, "TRAIN.RESUME", checkpoint)
        resumed.run()
        assert_same_weights(complete.model.state_dict(), resumed.model.state_dict(), TOLERANCE)


@pytest.mark.parametrize("opts", [[], TORCH], ids=["NpuFusedSGD", "torch"])
def test_a_bad_step_is_undone(tmp_path, opts):
    loader = noisy_batches(3)
    loader[0]["search"][0, 0, 0, 0] = float("nan")
    trainer = make_trainer(tmp_path, *opts, "TRAIN.PRINT_FREQ", 5, loader=loader)
    trainer.begin(0)
    for step in (0, 1, 0):
        before = {name: value.clone() for name, value in trainer.model.named_parameters()}
        trainer.step(loader[step])
        changed = any(not torch.equal(value, before[name]) for name, value in trainer.model.named_parameters())
        assert changed == (step == 1)
    assert all(torch.isfinite(state["momentum_buffer"]).all() for state in trainer.optimizer.state.values())


@pytest.fixture
def saturating(monkeypatch):
    """Simulate a chip on which an overflow gives the largest number and raises a flag that torch_npu's scaler reads.

    The test raises the flag itself.
    """
    flag = types.SimpleNamespace(raised=False)
    real = torch._amp_foreach_non_finite_check_and_unscale_

    def check_by_flag(gradients, found_inf, inverse_scale):
        real(gradients, found_inf, inverse_scale)
        found_inf.fill_(float(flag.raised))

    monkeypatch.setattr(torch.npu.utils, "is_support_inf_nan", lambda: False)
    monkeypatch.setattr(torch.npu.amp.GradScaler, "clear_npu_overflow_flag", staticmethod(lambda: None))
    monkeypatch.setattr(torch, "_amp_foreach_non_finite_check_and_unscale_", check_by_flag)
    return flag


@pytest.mark.parametrize("scale", [32, "dynamic"])
@pytest.mark.parametrize("opts", [[], TORCH], ids=["NpuFusedSGD", "torch"])
def test_saturating_chips_get_torch_npu_s_scaler(tmp_path, saturating, scale, opts):
    trainer = make_trainer(tmp_path, *FP16, "TRAIN.LOSS_SCALE", scale, *opts)
    assert isinstance(trainer.amp.scaler, torch.npu.amp.GradScaler)
    trainer.begin(0)
    trainer.step(trainer.loader[0])
    for raised in (True, False):
        saturating.raised = raised
        before = {name: value.clone() for name, value in trainer.model.named_parameters()}
        start = trainer.amp.scaler.get_scale()
        trainer.step(trainer.loader[1])
        assert all(torch.equal(value, before[name]) for name, value in trainer.model.named_parameters()) == raised
        assert trainer.amp.scaler.get_scale() == (start / 2 if raised and scale == "dynamic" else start)


class Apex(types.ModuleType):
    """Fake of apex.amp: records its calls and uses a static scale."""

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
def test_apex_is_called_as_published_and_again_at_the_unfreeze(tmp_path, apex, opts):
    plain = make_trainer(tmp_path / "plain")
    trainer = make_trainer(tmp_path / "apex", *FP16, "NPU.APEX", "True", *opts)
    plain.run()
    trainer.run()
    options = {"opt_level": "O1", "loss_scale": 32, "combine_grad": True}
    step = ["scale_loss"] * 2
    assert apex.calls == [
        ("initialize", ["rpn_head"], options),
        *step,
        ("initialize", ["backbone", "rpn_head"], options),
        *step,
        *step,
    ]
    assert_same_weights(plain.model.state_dict(), trainer.model.state_dict(), TOLERANCE)  # the fake computes in float32

    apex.calls.clear()
    checkpoint = str(tmp_path / "apex" / "checkpoint_e2.pth")
    make_trainer(tmp_path / "again", *FP16, "NPU.APEX", "True", *opts, "TRAIN.RESUME", checkpoint).run()
    assert [call[0] for call in apex.calls[:2]] == ["initialize", "load"] and apex.calls[1][1] == apex.state_dict()


def test_missing_apex_is_an_error(tmp_path):
    with pytest.raises(ImportError, match="NPU.APEX is true, but apex cannot be imported.*set NPU.APEX to false"):
        make_trainer(tmp_path, *FP16, "NPU.APEX", "True")
