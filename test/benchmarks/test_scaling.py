"""The model of more processes than there are."""

import pytest

from pysot.benchmarks.scaling import Scaling


def test_the_model_of_weak_scaling():
    seen = Scaling(processes=2, alone=1.0, apart=1.0, together=1.1, latency=0.02, reduce=0.32, gradient_bytes=1)
    assert seen.ring(2) == pytest.approx(0.32) and seen.communication == pytest.approx(0.1)
    assert seen.ring(4) == pytest.approx(
        6 * 0.01 + 1.5 * 0.3
    )  # 6 messages, and 3/4 of the bytes twice where two processes move half of them twice
    assert seen.step_of(2) == pytest.approx(1.1) and seen.efficiency_of(2) == pytest.approx(seen.efficiency)
    assert seen.step_of(4) == pytest.approx(1.1 + 0.51 - 0.32)
    slow = Scaling(
        processes=2, alone=1.0, apart=1.2, together=1.3, latency=0.0, reduce=0.01, gradient_bytes=1
    )  # waits for each other, not for bytes
    assert slow.step_of(2) == pytest.approx(1.3) and slow.step_of(8) == pytest.approx(1.3 + 0.02 * 7 / 8 - 0.01)
    hidden = Scaling(processes=2, alone=1.0, apart=1.0, together=0.99, latency=0.0, reduce=0.3, gradient_bytes=1)
    assert hidden.communication == 0 and hidden.step_of(64) == pytest.approx(1.0 + 0.6 * 63 / 64 - 0.3)
