"""Model of more processes than were measured."""

import pytest

from pysot.benchmarks.scaling import Scaling


def scaling(**seconds) -> Scaling:
    return Scaling(processes=2, alone=1.0, gradient_bytes=1, **seconds)


def test_the_model_of_weak_scaling():
    measured = scaling(unsynchronized=1.0, synchronized=1.1, latency=0.02, all_reduce=0.32)
    assert measured.ring_seconds(2) == pytest.approx(0.32) and measured.communication == pytest.approx(0.1)
    # 6 messages. Four processes move 3/4 of the bytes twice, two processes move half of them twice.
    assert measured.ring_seconds(4) == pytest.approx(6 * 0.01 + 1.5 * 0.3)
    assert measured.predicted_step_seconds(2) == pytest.approx(1.1)
    assert measured.predicted_efficiency(2) == pytest.approx(measured.efficiency)
    assert measured.predicted_step_seconds(4) == pytest.approx(1.1 + 0.51 - 0.32)
    # Processes wait for each other, not for bytes.
    slow = scaling(unsynchronized=1.2, synchronized=1.3, latency=0.0, all_reduce=0.01)
    assert slow.predicted_step_seconds(2) == pytest.approx(1.3)
    assert slow.predicted_step_seconds(8) == pytest.approx(1.3 + 0.02 * 7 / 8 - 0.01)
    # The backward pass hides the communication.
    hidden = scaling(unsynchronized=1.0, synchronized=0.99, latency=0.0, all_reduce=0.3)
    assert hidden.communication == 0
    assert hidden.predicted_step_seconds(64) == pytest.approx(1.0 + 0.6 * 63 / 64 - 0.3)
