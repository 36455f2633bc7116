"""Device functions on a machine that has only a CPU."""

import types

import pytest
import torch

from pysot.utils import device as layer
from pysot.utils.device import (
    accelerators,
    autocast,
    binds_cores,
    choose_device,
    distributed_backend,
    make_deterministic,
    make_scaler,
    one_thread,
    peak_memory_mib,
    seed_everything,
    synchronize,
)
from pysot.utils.distributed import collective_timeout

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cpu3", "npu:x", "auto:1", ""])
def test_unknown_names(name):
    with pytest.raises(ValueError, match="expected auto, npu, cuda, cpu"):
        choose_device(name)


def test_one_thread_meanwhile(monkeypatch):
    threads = [4]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    with one_thread(CPU):
        assert threads == [4, 1]
    assert threads == [4, 1, 4]
    with pytest.raises(KeyError), one_thread(torch.device("cuda")):
        assert threads[-1] == 4
        raise KeyError
    assert threads[-1] == 4


@pytest.mark.parametrize("kind", ["npu", "cuda"])
def test_absent_devices_are_errors_not_the_cpu(monkeypatch, kind):
    monkeypatch.setattr(layer, "_count", lambda kind: 0)
    with pytest.raises(RuntimeError, match=f"device {kind} was asked for"):
        choose_device(kind)


class Cards(types.SimpleNamespace):
    """Stub of torch.npu or torch.cuda."""

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


def test_a_card_that_cannot_be_opened_is_named(monkeypatch):
    cards = Cards(2)

    def busy(device):
        raise RuntimeError("error code is 507033\nstack")

    cards.set_device = busy
    monkeypatch.setattr(layer, "_module", {"npu": cards}.get)
    monkeypatch.setattr(layer.torch, "device", lambda kind, index=0: f"{kind}:{index}")
    with pytest.raises(RuntimeError, match=r"npu:1 exists but cannot be opened \(error code is 507033\).*npu-smi info"):
        choose_device("npu:1")


def test_collectives_wait_longer_than_hccl(monkeypatch):
    npu = types.SimpleNamespace(type="npu")
    for name in ("HCCL_CONNECT_TIMEOUT", "HCCL_EXEC_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    assert collective_timeout(npu).total_seconds() > 1836 and collective_timeout(CPU).total_seconds() == 2400
    monkeypatch.setenv("HCCL_EXEC_TIMEOUT", "7200")
    assert collective_timeout(npu).total_seconds() > 7200 and collective_timeout(CPU).total_seconds() == 2400
    monkeypatch.setenv("HCCL_CONNECT_TIMEOUT", "2m")
    with pytest.raises(ValueError, match="HCCL_CONNECT_TIMEOUT is '2m'; expected a whole number of seconds"):
        collective_timeout(npu)


@pytest.mark.parametrize(
    ("value", "binds", "with_half"),
    [
        (None, False, False),
        ("", False, False),
        ("0", False, False),
        ("mode:0", False, False),
        ("0,npu0:0-1", False, False),
        ("1", True, False),
        ("2", True, False),
        ("mode:2", True, False),
        ("1,npu_affine:1", True, False),
        ("2,npu0:0-1", True, False),
        ("2,npu0:0-1,npu1:2-3", True, True),
        ("2,npu0:0,npu0:1,npu1:3", True, True),
        ("2,force:1", True, True),
        ("2,force:0", True, False),
        ("3", False, False),
        ("fast", False, False),
    ],
)
def test_only_one_binds_cores(monkeypatch, value, binds, with_half):
    """Two cards and eight cores; either all cores are usable or the first half."""
    monkeypatch.delenv("CPU_AFFINITY_CONF", raising=False)
    if value is not None:
        monkeypatch.setenv("CPU_AFFINITY_CONF", value)
    monkeypatch.setattr(layer, "_module", {"npu": Cards(2)}.get)
    monkeypatch.setattr(layer.os, "cpu_count", lambda: 8)
    for usable, expected in ((range(8), binds), (range(4), with_half)):
        monkeypatch.setattr(layer, "usable_cores", lambda usable=usable: list(usable))
        assert binds_cores(types.SimpleNamespace(type="npu")) == expected and not binds_cores(CPU)
    monkeypatch.setattr(layer, "_module", {}.get)
    assert not binds_cores(types.SimpleNamespace(type="npu"))


def test_cpu():
    assert choose_device("cpu", local_rank=3) == CPU and distributed_backend(CPU) == "gloo"
    synchronize(CPU)
    assert peak_memory_mib(CPU) > 10


def test_accelerators(monkeypatch):
    monkeypatch.setattr(layer, "_module", {"npu": Cards(0), "cuda": Cards(2)}.get)
    assert [str(card) for card in accelerators()] == ["cuda:0", "cuda:1"]


def test_seed():
    seed_everything(3)
    first = torch.rand(2)
    seed_everything(3)
    assert torch.equal(first, torch.rand(2))


@pytest.fixture
def switches(monkeypatch):
    """Restore torch's switches at the end."""
    for name in ("CUBLAS_WORKSPACE_CONFIG", "HCCL_DETERMINISTIC"):
        monkeypatch.setenv(name, "false")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True


def test_deterministic(monkeypatch, switches):
    levels = []
    monkeypatch.setattr(layer, "_module", {"npu": types.SimpleNamespace(set_deterministic_level=levels.append)}.get)
    make_deterministic(CPU)
    assert torch.are_deterministic_algorithms_enabled() and levels == []
    assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
    assert layer.os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8" and layer.os.environ["HCCL_DETERMINISTIC"] == "true"
    monkeypatch.setenv("HCCL_DETERMINISTIC", "strict")
    make_deterministic(types.SimpleNamespace(type="npu"))
    assert levels == [1] and layer.os.environ["HCCL_DETERMINISTIC"] == "strict"
    # An older torch_npu has torch's switch only.
    monkeypatch.setattr(layer, "_module", {"npu": types.SimpleNamespace()}.get)
    make_deterministic(types.SimpleNamespace(type="npu"))


def test_an_operator_that_is_not_deterministic_is_an_error(switches):
    make_deterministic(CPU)
    with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
        torch.zeros(4).put_(torch.tensor([0, 0]), torch.ones(2), accumulate=False)


def test_precisions():
    layers = torch.nn.Linear(2, 2)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        with autocast(CPU, precision):
            assert layers(torch.zeros(1, 2)).dtype == dtype
    assert not make_scaler(CPU, "bf16", 32).is_enabled() and make_scaler(CPU, "fp16", 32).get_scale() == 32
