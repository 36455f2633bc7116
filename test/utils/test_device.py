"""The device layer on a machine with nothing but a CPU."""

import types

import pytest
import torch

from pysot.utils import device as layer
from pysot.utils.device import autocast, choose_device, distributed_backend, make_scaler, peak_memory_mib, seed_everything, synchronize

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cpu3", "npu:x", "auto:1", ""])
def test_unknown_names(name):
    with pytest.raises(ValueError, match="expected auto, npu, cuda, cpu"):
        choose_device(name)


@pytest.mark.parametrize("kind", ["npu", "cuda"])
def test_absent_devices_are_errors_not_the_cpu(monkeypatch, kind):
    monkeypatch.setattr(layer, "_count", lambda kind: 0)
    with pytest.raises(RuntimeError, match=f"device {kind} was asked for"):
        choose_device(kind)


class Cards(types.SimpleNamespace):
    """Stands in for torch.npu or torch.cuda."""

    def __init__(self, count):
        super().__init__(chosen=[], is_available=lambda: count > 0, device_count=lambda: count)
        self.set_device = self.chosen.append


def test_auto_prefers_npu_and_takes_the_rank_s_card(monkeypatch):
    cards = {"npu": Cards(2), "cuda": Cards(4)}
    monkeypatch.setattr(layer, "_module", cards.get)
    monkeypatch.setattr(layer.torch, "device", lambda kind, index=0: (kind, index))
    assert choose_device("auto") == ("npu", 0) and choose_device("auto", local_rank=1) == ("npu", 1)
    assert choose_device("cuda:3") == ("cuda", 3) and choose_device("auto", use_accelerator=False) == ("cpu", 0)
    assert cards["npu"].chosen == [("npu", 0), ("npu", 1)]
    with pytest.raises(RuntimeError, match="npu:2.*sees 2 npu.*ASCEND_RT_VISIBLE_DEVICES"):
        choose_device("npu", local_rank=2)


def test_cpu():
    assert choose_device("cpu", local_rank=3) == CPU and distributed_backend(CPU) == "gloo"
    synchronize(CPU)
    assert peak_memory_mib(CPU) > 10


def test_seed():
    seed_everything(3)
    first = torch.rand(2)
    seed_everything(3)
    assert torch.equal(first, torch.rand(2))


def test_precisions():
    layers = torch.nn.Linear(2, 2)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        with autocast(CPU, precision):
            assert layers(torch.zeros(1, 2)).dtype == dtype
    assert not make_scaler(CPU, "bf16", 32).is_enabled() and make_scaler(CPU, "fp16", 32).get_scale() == 32
