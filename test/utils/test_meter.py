"""Time and memory by the device's own counters, which a CPU has not: stand-ins for them."""

import types

import pytest
import torch

from pysot.utils import meter
from pysot.utils.meter import elapsed_ms, reserved_memory_mib

CPU = torch.device("cpu")


class Queue:
    """Stands in for torch.cuda: work and events in the order in which they were given."""

    def __init__(self):
        self.given, queue = [], self

        class Event:
            def __init__(self, enable_timing):
                assert enable_timing

            def record(self):
                queue.given.append(self)

            def synchronize(self):
                queue.given.append("waited")

            def elapsed_time(self, other):
                return 10.0 * (queue.given.index(other) - queue.given.index(self))

        self.Event = Event
        self.max_memory_reserved = lambda device: 3 * 2**20


def test_work_is_timed_between_two_events(monkeypatch):
    queue = Queue()
    monkeypatch.setattr(meter, "device_module", lambda device: queue)
    assert elapsed_ms(types.SimpleNamespace(type="npu"), lambda: queue.given.append("work")) == 20
    assert queue.given[1] == "work" and queue.given[3] == "waited"


def test_reserved_memory(monkeypatch):
    assert reserved_memory_mib(CPU) is None
    monkeypatch.setattr(meter, "device_module", lambda device: Queue())
    assert reserved_memory_mib(types.SimpleNamespace(type="npu")) == 3


def test_a_cpu_has_the_clock_of_the_host(monkeypatch):
    clock = iter([1.0, 1.25])
    monkeypatch.setattr(meter.time, "perf_counter", lambda: next(clock))
    assert elapsed_ms(CPU, lambda: None) == pytest.approx(250)
