"""The checks of tools/check_device.py find what is wrong: faults are put into what they look at."""

import itertools
import types

import pytest
import torch
from torch.autograd import DeviceType

from helpers import moving_square
from pysot.benchmarks import correctness, step_speed, tracking, training_checks
from pysot.benchmarks.networks import find_data, network_of
from pysot.benchmarks.record import Record, Setting, Told, read_record
from pysot.core.xcorr import WAYS, grouped_correlation
from pysot.engine import train_loop
from pysot.engine.train_loop import Trainer
from pysot.utils import device as device_layer


@pytest.fixture(autouse=True)
def fp32_only(monkeypatch):
    for module in (correctness, training_checks):
        monkeypatch.setattr(module, "precisions", lambda kind: {"fp32": []})


def told_by(step, folder, kind: str = "cpu") -> Told:
    record = Record(folder / "told.jsonl")
    record.path.unlink(missing_ok=True)
    step(Setting(kind, folder, folder, short=True), record)
    return read_record(record.path)


def wrong(told: Told) -> set[str]:
    return {check.name for check in told.checks if not check.right}


def other_device(monkeypatch, module, fault) -> None:
    """Networks that are made for the device, every second one after that of the CPU, have a fault."""
    count = itertools.count()

    def make(case, name=""):
        model = network_of(case, name)
        if next(count) % 2:
            fault(model)
        return model

    monkeypatch.setattr(module, "network_of", make)


def a_weight_off(model) -> None:
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if name.startswith("rpn_head") and p.dim() == 4).mul_(1.02)


def test_forward_outputs(tmp_path, monkeypatch):
    assert wrong(told_by(correctness.forward, tmp_path)) == set()
    other_device(monkeypatch, correctness, a_weight_off)
    assert wrong(told_by(correctness.forward, tmp_path)) == {"forward, quickstart, fp32"}


def test_ways_to_correlate(tmp_path, monkeypatch):
    monkeypatch.setattr(
        correctness,
        "WAYS",
        WAYS | {"shifted products": lambda search, kernel: grouped_correlation(search, kernel.flip(3))},
    )
    assert wrong(told_by(correctness.correlation, tmp_path)) == {"correlation, shifted products, fp32"}
    monkeypatch.setattr(
        correctness,
        "WAYS",
        WAYS | {"shifted products": lambda search, kernel: grouped_correlation(search, kernel) * float("nan")},
    )
    assert wrong(told_by(correctness.correlation, tmp_path)) == {"correlation, shifted products, fp32"}


def test_gradients(tmp_path, monkeypatch):
    turns, backward = itertools.count(), Trainer.backward

    def forgetful(self, loss):
        result = backward(self, loss)
        if next(turns) % 2:
            next(p for p in self.model.rpn_head.parameters() if p.grad is not None).grad.zero_()
        return result

    monkeypatch.setattr(Trainer, "backward", forgetful)
    names = wrong(told_by(correctness.losses_and_gradients, tmp_path))
    assert len(names) == 3 and all(name.startswith("gradients") for name in names)


def test_bad_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(train_loop, "step_unless", lambda bad, optimizer: optimizer.step())
    names = wrong(told_by(training_checks.bad_batches, tmp_path))
    assert {"NaN in an image, fp32", "a loss that overflows, fp32"} <= names


def test_checkpoints_that_lose_momenta(tmp_path, monkeypatch):
    monkeypatch.setattr(train_loop, "restore_optimizer", lambda *args: None)
    names = wrong(told_by(training_checks.run_and_checkpoints, tmp_path))
    assert names == {"checkpoint made there, resumed on the CPU", "checkpoint made on the CPU, resumed there"}


def test_boxes(tmp_path, monkeypatch):
    moving_square(tmp_path / "vot" / "square", frames=12)
    (tmp_path / "vot" / "list.txt").write_text("square\n")
    assert wrong(told_by(tracking.track, tmp_path)) == set()
    other_device(monkeypatch, tracking, lambda model: [p.data.mul_(1.02) for p in model.rpn_head.loc.parameters()])
    assert wrong(told_by(tracking.track, tmp_path)) == {"boxes of 8 frames, quickstart"}


@pytest.mark.parametrize("waits", [False, True])
def test_a_step_that_waits(tmp_path, monkeypatch, waits):
    modes, step = ["default"], Trainer.step

    def watched(self, batch):
        if waits and modes[-1] == "error":
            raise RuntimeError("called a synchronizing CUDA operation\nand more")
        return step(self, batch)

    monkeypatch.setattr(
        correctness, "device_module", lambda device: types.SimpleNamespace(set_sync_debug_mode=modes.append)
    )
    monkeypatch.setattr(Trainer, "step", watched)
    told = told_by(correctness.no_waits, tmp_path)
    assert len(told.checks) == 1 and told.checks[0].right != waits and modes == ["default", "error", "default"]
    assert told.notes == (["a step in fp32 waits: called a synchronizing CUDA operation"] if waits else [])


def test_the_profile_of_a_card(tmp_path, monkeypatch):
    def row(key, micro, count, kind=DeviceType.CUDA, **more):
        return types.SimpleNamespace(
            key=key, self_device_time_total=micro, self_cpu_time_total=9e9, count=count, device_type=kind, **more
        )

    rows = [
        row("gemm", 3000.0, 6),
        row("copy", 1500.0, 3),
        row("aten::mm", 0, 9, DeviceType.CPU),
        row("Optimizer.step#SGD.step", 5e6, 3),
        row("range", 5e6, 3, is_user_annotation=True),
    ]

    class Profile:
        def __init__(self, activities):
            assert len(activities) == 2

        def __enter__(self):
            return types.SimpleNamespace(key_averages=lambda: rows)

        def __exit__(self, *error):
            return None

    steps = []
    monkeypatch.setattr(torch.profiler, "profile", Profile)
    monkeypatch.setattr(step_speed, "synchronize", lambda device: None)
    trainer = types.SimpleNamespace(device=types.SimpleNamespace(type="cuda"), loader=["batch"], step=steps.append)
    record = Record(tmp_path / "told.jsonl")
    step_speed.profile(trainer, record, step_ms=3.0)
    told = read_record(record.path)
    assert len(steps) == 3 and {figure.name: figure.value for figure in told.figures} == {
        "kernels in a step": 3,
        "the device computes": pytest.approx(50),
    }
    assert [note.split()[-1] for note in told.notes] == ["kernel", "gemm", "copy"] and told.notes[1].split()[:2] == [
        "1.000",
        "2.0",
    ]


def test_variants_of_a_card_come_fastest_first_and_end_in_time(tmp_path, monkeypatch):
    names = [name for name, _ in step_speed._variants(Setting("cuda:0", tmp_path, tmp_path, short=False))]
    assert (
        len(names) == len(set(names)) == 16
        and names[0].startswith("fp16, channels last")
        and names[-1] == "fp32, contiguous, cudnn.benchmark"
    )
    assert len(list(step_speed._variants(Setting("npu", tmp_path, tmp_path, short=False)))) == 4
    clock = itertools.count(step=2.0)
    monkeypatch.setattr(step_speed.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(
        step_speed,
        "begun",
        lambda setting, *opts: types.SimpleNamespace(
            step=None, loader=None, device=None, settings=types.SimpleNamespace(batch_size=2)
        ),
    )
    monkeypatch.setattr(step_speed, "seconds_per_step", lambda *args, **more: [0.5])
    record = Record(tmp_path / "told.jsonl")
    step_speed.variants(Setting("cuda", tmp_path, tmp_path, short=False, seconds=24.0), record)
    told = read_record(record.path)
    assert (
        0 < len(told.figures) < 16
        and told.notes[-1].startswith("left out for lack of time: ")
        and told.figures[0].value == 4
    )


def test_data_that_is_not_there_is_named(tmp_path):
    assert len(find_data(tmp_path)) == 3
    (tmp_path / "training_dataset/COCO/crop511").mkdir(parents=True)
    (tmp_path / "training_dataset/COCO/train2017.json").touch()
    assert find_data(tmp_path) == [f"sequences: no {tmp_path / 'vot' / 'list.txt'}"]


def test_versions_of_a_cuda_build(monkeypatch):
    assert device_layer.library_versions(torch.device("cpu")) == {}
    assert set(device_layer.library_versions(types.SimpleNamespace(type="cuda"))) == {"CUDA", "cuDNN"}
