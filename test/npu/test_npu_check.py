"""Steps of tools/check_device.py on an NPU, real or simulated: those that decide whether it computes right."""

import pytest

from pysot.benchmarks import ceilings, correctness, training_checks
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
        (ceilings.measure, 0),
    ],
)
def test_a_step_of_the_check(tmp_path, step, checks):
    record = Record(tmp_path / "told.jsonl")
    step(Setting("npu", tmp_path, tmp_path, short=True), record)
    told = read_record(record.path)
    assert len(told.checks) == checks and all(check.right for check in told.checks), told.checks
    assert told.checks or len(told.figures) == 7
