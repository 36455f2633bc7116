"""Steps of tools/check_device.py that decide whether a device computes correctly, on a real or simulated NPU."""

import pytest

from pysot.benchmarks import correctness, device_limits, training_checks
from pysot.benchmarks.record import Record, Setting, read_record

pytestmark = pytest.mark.npu


@pytest.mark.parametrize(
    ("step", "checks"),
    [
        (correctness.forward, 4),
        (correctness.losses_and_gradients, 18),
        (correctness.correlation, 20),
        (training_checks.bad_batches, 12),
        (training_checks.run_and_checkpoints, 7),
        (device_limits.measure, 0),
    ],
)
def test_a_step_of_the_check(tmp_path, step, checks):
    record = Record(tmp_path / "record.jsonl")
    step(Setting("npu", tmp_path, tmp_path, short=True), record)
    findings = read_record(record.path)
    assert len(findings.checks) == checks and all(check.right for check in findings.checks), findings.checks
    assert findings.checks or len(findings.measurements) == 7
