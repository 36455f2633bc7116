"""Training step against the ceilings of its device."""

import time
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from helpers import small_trainer, synthetic_batch
from pysot.benchmarks import ceilings
from pysot.benchmarks.ceilings import Ceilings, Work, count_work, measure_ceilings
from pysot.benchmarks.train_step import PARTS
from pysot.core import xcorr, xcorr_choice
from pysot.models.packed_convolution import PackedConv2d

CPU, META = torch.device("cpu"), torch.device("meta")


def counted_work(forward) -> tuple[Work, list[torch.Tensor]]:
    """Return the work of a trainer that computes `forward`, and its calls of `update`."""
    updates = []
    step = SimpleNamespace(
        forward=lambda batch: {"total_loss": forward(batch)},
        backward=lambda loss: loss.backward(),
        update=updates.append,
    )
    trainer = SimpleNamespace(device=CPU, to_device=lambda batch: batch, train_step=step)
    return count_work(trainer, {}), updates


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_operations_of_convolutions_and_their_gradients(groups):
    images, weight = torch.ones(3, 6, 8, 8, requires_grad=True), torch.ones(6, 6 // groups, 3, 3, requires_grad=True)
    forward = 2 * 3 * 6 * 6 * 6 * (6 // groups) * 9  # images, cells, channels of the result and of a group, taps

    def convolve(images, weight):
        return F.conv2d(images, weight, groups=groups).sum()

    work, updates = counted_work(lambda batch: convolve(images, weight))
    assert work.operations == 3 * forward and [bad.item() for bad in updates] == [True]
    assert counted_work(lambda batch: convolve(images.detach(), weight))[0].operations == 2 * forward


@pytest.mark.parametrize("bias", [True, False])
def test_operations_of_packed_convolutions(bias):
    layer = torch.nn.Conv2d(6, 6, 3, groups=2, bias=bias).requires_grad_(False)
    packed, scale = PackedConv2d(layer, [3, 6, 8, 8]), torch.ones((), requires_grad=True)
    forward = 2 * 3 * 6 * 6 * 6 * 3 * 9  # images, cells, channels of the result and of a group, taps

    def convolve(others):
        return lambda batch: (packed(torch.ones(3, 6, 8, 8), *others) * scale).sum()

    for others in ([], [torch.ones(3, 6, 6, 6)]):
        assert counted_work(convolve(others))[0].operations == forward


def test_bytes_of_operators():
    a, b = torch.ones(100), torch.ones(100)

    def forward(batch):
        out = torch.empty(100).copy_(a.view(10, 10).t().flatten())  # flatten copies, 2; copy_ as torch sees it, 3
        return out.add_(b.expand(100)).detach()[:1].clone()  # 3, and two numbers

    with ceilings._Traffic(CPU) as traffic:
        forward({})
    assert traffic.bytes == 4 * (100 * 8 + 2)
    with ceilings._Traffic(META) as traffic:
        forward({})
    assert traffic.bytes == 0


def test_a_step_that_is_counted_changes_no_weights(tmp_path):
    trainer, batch = small_trainer(tmp_path, CPU, "TRAIN.COMPILE", True), synthetic_batch(2, 255, 17)
    trainer.begin(0)
    before = [parameter.clone() for parameter in trainer.model.parameters()]
    frozen = count_work(trainer, batch)
    assert all(map(torch.equal, before, trainer.model.parameters()))
    assert count_work(trainer, batch) == frozen
    trainer.begin(1)
    unfrozen = count_work(trainer, batch)
    assert unfrozen.operations > frozen.operations > 0 and unfrozen.bytes > frozen.bytes > 0


def test_the_ways_to_correlate_that_a_gpu_times_do_not_count(tmp_path, monkeypatch):
    state = SimpleNamespace(is_current_stream_capturing=lambda: False)
    for name, value in {"_GPU": "cpu", "_HAS_TRITON": False}.items():
        monkeypatch.setattr(xcorr, name, value)
    for name, value in {"_chosen": {}, "device_module": lambda device: state}.items():
        monkeypatch.setattr(xcorr_choice, name, value)
    trainer, batch = small_trainer(tmp_path, CPU), synthetic_batch(2, 255, 17)
    trainer.begin(0)
    first = count_work(trainer, batch)
    assert xcorr_choice._chosen and count_work(trainer, batch) == first


def test_the_host_and_the_device_are_timed_on_a_card(monkeypatch):
    """Tensors without content stand for those of a card: products take no time, so there are many of them."""
    products, mm = [], torch.mm
    monkeypatch.setattr(torch, "mm", lambda a, b: products.append(a.shape) or mm(a, b))
    monkeypatch.setattr(ceilings, "synchronize", lambda device: None)
    batches, steps = [{"number": 1}, {"number": 2}], []

    def step(batch):
        steps.append((batch["number"], len(products)))
        time.sleep(0.01)

    work = Work(10**12, 10**9)
    found = measure_ceilings(SimpleNamespace(device=META, step=step), batches, "bf16", work, 3)
    assert 0.01 <= found.host < 0.1 and 0.01 <= found.device < 0.1 and found.work is work
    assert [number for number, _ in steps] == [1, 2, 1, 1, 2, 1] and set(products) == {(8192, 8192)}
    before = [count for _, count in steps]
    seconds = 2 * 8192**3 / found.operation_rate
    assert before[0] == before[2] == 7 and (before[5] - before[4]) * seconds >= 2 * found.host
    assert [row.name for row in found.rows(0.01)][-2:] == ["host, calls of a step", "device, a step"]


@pytest.mark.parametrize(
    ("host", "device", "wait", "words"),
    [
        (None, None, 0.0, "compute-bound: 100% of the time is spent in forward and backward. "),
        (
            0.018,
            0.0123,
            0.0,
            "host-bound: the host needs 18.0 ms for the calls of a step, the device 12.3 ms; use TRAIN",
        ),
        (0.0123, 0.018, 0.0, "compute-bound: the host needs 12.3 ms for the calls of a step, the device 18.0 ms. "),
        (0.0123, 0.018, 9.0, "data-bound: "),
    ],
)
def test_bottlenecks_and_ceilings(host, device, wait, words):
    parts = dict.fromkeys(("data wait", *PARTS, "rest"), 0.0) | {"forward": 1.0, "backward": 2.0, "data wait": wait}
    found = Ceilings(Work(4 * 10**12, 9 * 10**9), 8e14, 3e12, host, device)
    sentence = found.describe(0.02, parts)
    assert sentence.startswith(words) and sentence.endswith(
        "The arithmetic has 25% of the speed of a matrix product. At that speed it takes 5.0 ms; the tensors of all "
        "operators, at the speed of a copy, 3.0 ms"
    )
    assert "The arithmetic is 1.25 times as fast as a matrix product of torch, no ce" in found.describe(0.004, parts)
    values = {row.name: (round(row.value, 9), row.unit) for row in found.rows(0.02)}
    assert values | {"copy on the device": None} == {
        "arithmetic of a step": (4, "TFLOP"),
        "speed of arithmetic": (200, "TFLOP/s"),
        "matrix product": (800, "TFLOP/s"),
        "part of a matrix product": (25, "%"),
        "least time by arithmetic": (5, "ms"),
        "copy on the device": None,
        "least time by copies": (3, "ms"),
    } | ({"host, calls of a step": (1000 * host, "ms"), "device, a step": (1000 * device, "ms")} if host else {})
