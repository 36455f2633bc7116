"""Check of an exported network on a device."""

import numpy as np
import pytest

from helpers import moving_square
from pysot.benchmarks import exported, exports
from pysot.benchmarks.record import Record, Setting, read_record


@pytest.fixture
def check(tmp_path):
    """Return a function that runs the step and returns its findings."""

    def check(kind="cpu"):
        moving_square(tmp_path / "vot" / "square", frames=6)
        (tmp_path / "vot" / "list.txt").write_text("square\n")
        record = Record(tmp_path / "record.jsonl")
        exported.exports(Setting(kind, tmp_path, tmp_path, short=True), record)
        return read_record(record.path)

    return check


def test_on_a_cpu(check):
    found = check()
    assert [each.name for each in found.checks] == ["outputs, quickstart, onnxruntime:cpu"]
    assert found.checks[0].right and not found.notes and len(found.measurements) == 3


def test_an_error_is_found(check, monkeypatch):
    run = exported.EngineNetwork._run
    monkeypatch.setattr(
        exported.EngineNetwork, "_run", lambda *rest: [np.float32(1.01) * output for output in run(*rest)]
    )
    assert not check().checks[0].right


def test_a_provider_that_is_missing_is_a_note(check, monkeypatch):
    monkeypatch.setitem(exported.PROVIDERS, "cpu", {"cann": "fp16", "cpu": "fp32"})
    found = check()
    assert len(found.checks) == 1 and found.notes[0].startswith("onnxruntime:cann: this onnxruntime")


def test_missing_packages_are_a_note(check, monkeypatch):
    monkeypatch.setattr(exports, "_PACKAGES", ("no_such_package",))
    found = check()
    assert found.notes == [
        "nothing was exported: exports need the packages no_such_package: pip install no_such_package"
    ]
    assert not found.checks and not found.measurements
