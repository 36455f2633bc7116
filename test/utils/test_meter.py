"""Time and memory by the counters of a device. A CPU does not have them, so stubs replace them."""

import contextlib
import types

import pytest
import torch

from pysot.utils import meter
from pysot.utils.meter import elapsed_ms, reserved_memory_mib

CPU = torch.device("cpu")


class Queue:
    """Stub of torch.cuda that records work and events in their order."""

    def __init__(self):
        self.queued = []
        self.current = None
        queue = self

        class Event:
            def __init__(self, enable_timing):
                assert enable_timing

            def record(self):
                assert queue.current.type == "npu"  # otherwise the event would be on a stream of another card
                queue.queued.append(self)

            def synchronize(self):
                queue.queued.append("waited")

            def elapsed_time(self, other):
                return 10.0 * (queue.queued.index(other) - queue.queued.index(self))

        @contextlib.contextmanager
        def use(device):
            queue.current = device
            yield
            queue.current = None

        self.Event = Event
        self.device = use
        self.max_memory_reserved = lambda device: 3 * 2**20


def test_work_is_timed_between_two_events(monkeypatch):
    queue = Queue()
    monkeypatch.setattr(meter, "device_module", lambda device: queue)
    assert elapsed_ms(types.SimpleNamespace(type="npu"), lambda: queue.queued.append("work")) == 20
    assert queue.queued[1] == "work" and queue.queued[3] == "waited"


def test_reserved_memory(monkeypatch):
    assert reserved_memory_mib(CPU) is None
    monkeypatch.setattr(meter, "device_module", lambda device: Queue())
    assert reserved_memory_mib(types.SimpleNamespace(type="npu")) == 3


def test_a_cpu_has_the_clock_of_the_host(monkeypatch):
    clock = iter([1.0, 1.25])
    monkeypatch.setattr(meter.time, "perf_counter", lambda: next(clock))
    assert elapsed_ms(CPU, lambda: None) == pytest.approx(250)
