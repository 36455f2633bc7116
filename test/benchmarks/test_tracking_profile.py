"""The sentence about what limits a tracking step, and the profile behind it."""

import time
import types

import pytest
import torch

from pysot.benchmarks import tracking_profile
from pysot.benchmarks.tracking_profile import StepProfile, describe_tracking, profile_steps

NETWORK = {"crop": 0.5, "network": 9.0, "decode": 0.5}
KERNELS = [("conv", 8.0, 50.0), ("relu", 1.0, 40.0), ("add", 0.5, 20.0), ("copy", 0.5, 2.0)]


@pytest.mark.parametrize(
    ("profile", "reading", "tracking", "sentence"),
    [
        (StepProfile(NETWORK), 30, 10, "read-bound: 75% of the time is spent reading frames"),
        (
            StepProfile(NETWORK, KERNELS, True),
            1,
            25,
            "launch-bound: the device computes in 40% of the step, with 112 k",
        ),
        (StepProfile({"crop": 5.0, "network": 9.0, "decode": 1.0}), 1, 15, "crop-bound: 33% of the step is spent"),
        (StepProfile({"crop": 1.0, "network": 9.0, "decode": 5.0}), 1, 15, "decode-bound: 33% of the step is spent"),
        (
            StepProfile(NETWORK, KERNELS),
            1,
            25,
            "network-bound: 90% of the step is spent in the network; the longest op",
        ),
        (StepProfile(NETWORK, KERNELS, True), 0, 11, "operators: conv 80%, relu 10%, add 5%"),
        (StepProfile(NETWORK), 0, 11, "spent in the network"),
    ],
)
def test_sentences(profile, reading, tracking, sentence):
    text = describe_tracking(profile, reading, tracking)
    assert sentence in text and (profile.operators or "operators" not in text)


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize("kind", ["cpu", "npu", "cuda"])
def test_parts_and_operators(kind):
    """Parts are measured with waits around them on an NPU, and on a GPU that the profiler does not see, as here."""
    timers = []

    def step():
        with timers[-1]("crop"):
            time.sleep(0.01)
        with timers[-1]("network"):
            torch.ones(400, 400) @ torch.ones(400, 400)
            time.sleep(0.03)
        with timers[-1]("decode"):
            torch.ones(3).exp()

    device = torch.device("cpu") if kind == "cpu" else types.SimpleNamespace(type=kind)
    if kind != "cpu":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tracking_profile, "synchronize", lambda device: None)
            profile = profile_steps(device, timers.append, step)
    else:
        profile = profile_steps(device, timers.append, step)
    assert timers[-1] is None and list(profile.parts) == ["crop", "network", "decode"]
    assert 8 < profile.parts["crop"] < profile.parts["network"] and 0.05 < profile.small_share < 0.5
    names = [name for name, _, _ in profile.operators]
    assert ("aten::mm" in names) == (kind == "cpu") and not profile.is_of_device and "crop" not in names


def test_crops_on_the_host_are_timed_by_the_host(monkeypatch):
    """The clock of a card does not see them."""
    card = StepProfile({"crop": 0.0, "network": 5.0, "decode": 1.0}, KERNELS, True)
    monkeypatch.setattr(tracking_profile, "_profiled_parts", lambda *args: card)
    monkeypatch.setattr(tracking_profile, "_timed_parts", lambda *args: NETWORK)
    for on_host in (False, True):
        profile = profile_steps(torch.device("cpu"), lambda timer: None, lambda: None, crops_on_host=on_host)
        assert profile == StepProfile(NETWORK if on_host else card.parts, KERNELS, True)


def test_a_step_that_fails_ends_the_timer():
    timers = []

    def step():
        raise ValueError("a bad frame")

    with pytest.raises(ValueError, match="a bad frame"):
        profile_steps(torch.device("cpu"), timers.append, step)
    assert timers[-1] is None
