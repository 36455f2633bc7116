"""Checks of tools/check_device.py: faults are injected into what they examine, and they find them."""

import itertools
import types

import pytest
import torch
from torch.autograd import DeviceType

from fake_graphs import use_fake_graphs
from helpers import moving_square
from pysot.benchmarks import (
    correctness,
    mask_tracking,
    step_speed,
    tracking,
    tracking_forms,
    training_checks,
    without_anchors,
)
from pysot.benchmarks.networks import make_network, missing_data
from pysot.benchmarks.record import Findings, Record, Setting, read_record
from pysot.core.xcorr import XCORR_METHODS, grouped_correlation
from pysot.engine import step_graph, train_loop, train_step
from pysot.engine.train_loop import Trainer
from pysot.engine.train_step import TrainStep
from pysot.tracker import device_step
from pysot.tracker.device_crops import crop_squares
from pysot.tracker.templates import Templates
from pysot.utils import device as device_layer


@pytest.fixture(autouse=True)
def fp32_only(monkeypatch):
    for module in (correctness, training_checks, without_anchors):
        monkeypatch.setattr(module, "precisions", lambda kind: {"fp32": []})


def run_step(step, folder, kind: str = "cpu") -> Findings:
    record = Record(folder / "record.jsonl")
    record.path.unlink(missing_ok=True)
    step(Setting(kind, folder, folder, short=True), record)
    return read_record(record.path)


def failed_checks(findings: Findings) -> set[str]:
    return {check.name for check in findings.checks if not check.right}


def break_device_networks(monkeypatch, module, fault) -> None:
    """Inject a fault into networks of the device: every second one, since that of the CPU is made first."""
    count = itertools.count()

    def make(case, name=""):
        model = make_network(case, name)
        if next(count) % 2:
            fault(model)
        return model

    monkeypatch.setattr(module, "make_network", make)


def scale_one_weight(model) -> None:
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if name.startswith("rpn_head") and p.dim() == 4).mul_(1.02)


def test_forward_outputs(tmp_path, monkeypatch):
    assert failed_checks(run_step(correctness.forward, tmp_path)) == set()
    break_device_networks(monkeypatch, correctness, scale_one_weight)
    assert failed_checks(run_step(correctness.forward, tmp_path)) == {"forward, quickstart, fp32"}


def test_ways_to_correlate(tmp_path, monkeypatch):
    def mirrored(search, kernel):
        return grouped_correlation(search, kernel.flip(3))

    def not_a_number(search, kernel):
        return grouped_correlation(search, kernel) * float("nan")

    for faulty in (mirrored, not_a_number):
        monkeypatch.setattr(
            correctness, "methods_on", lambda device, way=faulty: XCORR_METHODS | {"shifted products": way}
        )
        assert failed_checks(run_step(correctness.correlation, tmp_path)) == {"correlation, shifted products, fp32"}


def test_gradients(tmp_path, monkeypatch):
    turns, backward = itertools.count(), TrainStep.backward

    def backward_without_a_gradient(self, loss):
        result = backward(self, loss)
        if next(turns) % 2:
            next(p for p in self.model.rpn_head.parameters() if p.grad is not None).grad.zero_()
        return result

    monkeypatch.setattr(TrainStep, "backward", backward_without_a_gradient)
    names = failed_checks(run_step(correctness.losses_and_gradients, tmp_path))
    assert len(names) == 3 and all(name.startswith("gradients") for name in names)


def test_bad_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(train_step, "step_unless_bad", lambda bad, optimizer: optimizer.step())
    names = failed_checks(run_step(training_checks.bad_batches, tmp_path))
    assert {"NaN in an image, fp32", "a loss that overflows, fp32"} <= names


def test_steps_as_a_graph(tmp_path, monkeypatch):
    assert run_step(training_checks.steps_as_graph, tmp_path).checks == []  # a CPU has none
    use_fake_graphs(monkeypatch)
    assert failed_checks(run_step(training_checks.steps_as_graph, tmp_path)) == set()
    monkeypatch.setattr(step_graph, "_copy", lambda source, target: None)
    names = failed_checks(run_step(training_checks.steps_as_graph, tmp_path))
    assert names == {f"losses of {parts} steps as a graph, fp32" for parts in ("frozen", "unfrozen")}


def test_checkpoints_that_lose_momenta(tmp_path, monkeypatch):
    monkeypatch.setattr(train_loop, "restore_optimizer", lambda *args: None)
    names = failed_checks(run_step(training_checks.run_and_checkpoints, tmp_path))
    assert names == {"checkpoint made there, resumed on the CPU", "checkpoint made on the CPU, resumed there"}


def test_boxes(tmp_path, monkeypatch):
    moving_square(tmp_path / "vot" / "square", frames=12)
    (tmp_path / "vot" / "list.txt").write_text("square\n")
    assert failed_checks(run_step(tracking.track, tmp_path)) == set()
    break_device_networks(
        monkeypatch, tracking, lambda model: [p.data.mul_(1.02) for p in model.rpn_head.loc.parameters()]
    )
    assert failed_checks(run_step(tracking.track, tmp_path)) == {"boxes of 8 frames, quickstart"}


def test_lockstep(tmp_path, monkeypatch):
    moving_square(tmp_path / "vot" / "square")
    (tmp_path / "vot" / "list.txt").write_text("square\n")
    findings = run_step(tracking.lockstep, tmp_path)
    assert failed_checks(findings) == set()
    names = [measurement.name for measurement in findings.measurements]
    assert "fp32, 8 targets in a step, quickstart, over the plain tracker" in names
    original = Templates.rows  # a batch tracker that mixes up its templates
    monkeypatch.setattr(Templates, "rows", lambda self, rows: [part.flip(0) for part in original(self, rows)])
    assert failed_checks(run_step(tracking.lockstep, tmp_path)) == {"boxes of 8 frames in lockstep, quickstart"}


def test_masks(tmp_path, monkeypatch):
    moving_square(tmp_path / "vot" / "square")
    (tmp_path / "vot" / "list.txt").write_text("square\n")
    findings = run_step(mask_tracking.masks, tmp_path)
    assert failed_checks(findings) == set() and len(findings.checks) == 2
    break_device_networks(monkeypatch, mask_tracking, lambda model: model.refine_head.post2.bias.data.add_(3))
    names = {f"masks of two targets, siammask_mobilev2_small, {precision}" for precision in ("fp32", "bf16")}
    assert failed_checks(run_step(mask_tracking.masks, tmp_path)) == names


def test_networks_without_anchors(tmp_path, monkeypatch):
    moving_square(tmp_path / "vot" / "square", frames=10)
    (tmp_path / "vot" / "list.txt").write_text("square\n")
    findings = run_step(without_anchors.points, tmp_path)
    assert failed_checks(findings) == set() and len(findings.checks) == 3
    values = {measurement.name: measurement.value for measurement in findings.measurements}
    assert values["bf16, 8 targets in a step, nanotrackv3"] > 0 and values["frozen step, nanotrackv3"] > 0
    break_device_networks(monkeypatch, without_anchors, lambda model: model.ban_head.bbox_pred[0].bias.data.add_(0.1))
    assert failed_checks(run_step(without_anchors.points, tmp_path)) == {check.name for check in findings.checks}


def test_forms_of_a_tracking_step(tmp_path, monkeypatch):
    moving_square(tmp_path / "vot" / "square", frames=12)
    (tmp_path / "vot" / "list.txt").write_text("square\n")
    findings = run_step(tracking_forms.forms, tmp_path)
    assert failed_checks(findings) == set() and len(findings.checks) == 3
    assert "cpu has no graphs here" in findings.notes and any(
        "fp32, two frames in flight: " in n for n in findings.notes
    )
    values = {measurement.name: measurement.value for measurement in findings.measurements}
    assert values["bf16, two frames in flight, time between results, 95 % within"] > 0
    assert 0 < values["fp32, two frames in flight, crops and decoding"] < 100

    with monkeypatch.context() as patch:
        use_fake_graphs(patch).fail_at = 1
        findings = run_step(tracking_forms.forms, tmp_path)
        assert failed_checks(findings) == set() and len(findings.checks) == 4
        assert any("cannot be captured as a graph" in note for note in findings.notes)

    def shifted(pixels, places, centers, *rest):
        return crop_squares(pixels, places, centers + 1, *rest)

    for module in (tracking_forms, device_step):
        monkeypatch.setattr(module, "crop_squares", shifted)
    names = {"crops of 3 frames against OpenCV's, largest difference"}
    assert failed_checks(run_step(tracking_forms.forms, tmp_path)) == names | {
        "boxes of 8 frames, crops on the device, quickstart"
    }


@pytest.mark.parametrize("waits", [False, True])
def test_a_step_that_waits(tmp_path, monkeypatch, waits):
    modes, step = ["default"], Trainer.step

    def step_that_may_wait(self, batch):
        if waits and modes[-1] == "error":
            raise RuntimeError("called a synchronizing CUDA operation\nand more")
        return step(self, batch)

    monkeypatch.setattr(
        correctness, "device_module", lambda device: types.SimpleNamespace(set_sync_debug_mode=modes.append)
    )
    monkeypatch.setattr(Trainer, "step", step_that_may_wait)
    findings = run_step(correctness.no_waits, tmp_path)
    assert len(findings.checks) == 1 and findings.checks[0].right != waits and modes == ["default", "error", "default"]
    assert findings.notes == (["a step in fp32 waits: called a synchronizing CUDA operation"] if waits else [])


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
    record = Record(tmp_path / "record.jsonl")
    step_speed.profile(trainer, record, step_ms=3.0)
    findings = read_record(record.path)
    values = {measurement.name: measurement.value for measurement in findings.measurements}
    assert len(steps) == 3 and values == {"kernels in a step": 3, "the device computes": pytest.approx(50)}
    assert [note.split()[-1] for note in findings.notes] == ["kernel", "gemm", "copy"]
    assert findings.notes[1].split()[:2] == ["1.000", "2.0"]


def test_variants_of_a_card_come_fastest_first_and_end_in_time(tmp_path, monkeypatch):
    names = [name for name, _ in step_speed._variants(Setting("cuda:0", tmp_path, tmp_path, short=False))]
    assert len(names) == len(set(names)) == 16
    assert names[0].startswith("fp16, channels last") and names[-1] == "fp32, contiguous, cudnn.benchmark"
    assert len(list(step_speed._variants(Setting("npu", tmp_path, tmp_path, short=False)))) == 4
    clock = itertools.count(step=2.0)
    monkeypatch.setattr(step_speed.time, "monotonic", lambda: next(clock))
    settings = types.SimpleNamespace(batch_size=2)
    trainer = types.SimpleNamespace(step=None, loader=None, device=None, settings=settings)
    monkeypatch.setattr(step_speed, "start_trainer", lambda setting, *opts: trainer)
    monkeypatch.setattr(step_speed, "seconds_per_step", lambda *args, **more: [0.5])
    record = Record(tmp_path / "record.jsonl")
    step_speed.variants(Setting("cuda", tmp_path, tmp_path, short=False, seconds=24.0), record)
    findings = read_record(record.path)
    assert 0 < len(findings.measurements) < 16 and findings.measurements[0].value == 4
    assert findings.notes[-1].startswith("left out for lack of time: ")


def test_missing_data_is_named(tmp_path):
    assert len(missing_data(tmp_path)) == 3
    (tmp_path / "training_dataset/COCO/crop511").mkdir(parents=True)
    (tmp_path / "training_dataset/COCO/train2017.json").touch()
    assert missing_data(tmp_path) == [f"sequences: no {tmp_path / 'vot' / 'list.txt'}"]


def test_versions_of_a_cuda_build(monkeypatch):
    assert device_layer.library_versions(torch.device("cpu")) == {}
    assert set(device_layer.library_versions(types.SimpleNamespace(type="cuda"))) == {"CUDA", "cuDNN"}
