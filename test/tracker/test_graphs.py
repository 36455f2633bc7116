"""Captures of graphs: one at a time, with one pool of memory, and the state that a failed one leaves."""

import contextlib
import threading
import weakref

import pytest
import torch

from fake_graphs import FakeGraph, use_fake_graphs
from pysot.utils.graphs import find_graphs

CPU = torch.device("cpu")


def failing_work():
    raise RuntimeError("operation not permitted when stream is capturing")


def test_a_failed_capture_ends_the_use_of_its_pool(monkeypatch):
    """torch does not end it, if the device has refused an operation."""
    fake, ended = use_fake_graphs(monkeypatch), []
    for name in ("endAllocateToPool", "releasePool"):
        monkeypatch.setattr(
            torch._C, f"_cpu_{name}", lambda *pool, name=name: ended.append((name, *pool)), raising=False
        )
    graphs = find_graphs(CPU)
    for _ in range(2):
        graphs.capture(lambda: None)
    fake.fail_at = 3
    with pytest.raises(RuntimeError, match="out of memory"):
        graphs.capture(lambda: None)
    assert ended == [("endAllocateToPool", 3, 1), ("releasePool", 3, 1)]
    assert fake.current == "the stream of the caller"
    graphs.capture(lambda: None)
    assert fake.pools == [1, 1, 1, 2]
    assert fake.streams[0] is fake.streams[2] and fake.streams[3] is not fake.streams[2]


def test_the_operation_that_was_refused_is_the_error(monkeypatch):
    """The end of the capture fails after it."""
    calls = []

    @contextlib.contextmanager
    def graph(graph, **options):
        try:
            yield
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    def work():
        calls.append(len(calls))
        if len(calls) > 1:
            failing_work()

    monkeypatch.setattr(use_fake_graphs(monkeypatch), "graph", graph)
    with pytest.raises(RuntimeError, match="operation not permitted when stream is capturing"):
        find_graphs(CPU).capture(work)


def test_a_pool_that_torch_has_ended_is_not_released_again(monkeypatch):
    fake = use_fake_graphs(monkeypatch)

    def refuse(*pool):
        raise RuntimeError("endAllocatePool: not currently recording to mempool_id")

    monkeypatch.setattr(torch._C, "_cpu_endAllocateToPool", refuse, raising=False)
    monkeypatch.setattr(torch._C, "_cpu_releasePool", lambda *pool: pytest.fail("released"), raising=False)
    fake.fail_at = 1
    with pytest.raises(RuntimeError, match="out of memory"):
        find_graphs(CPU).capture(lambda: None)


def test_work_that_fails_before_its_capture_leaves_the_pool(monkeypatch):
    fake = use_fake_graphs(monkeypatch)
    graphs = find_graphs(CPU)
    graphs.capture(lambda: None)
    with pytest.raises(RuntimeError, match="not permitted"):
        graphs.capture(failing_work)
    graphs.capture(lambda: None)
    assert fake.pools == [1, 1]


def test_threads_capture_one_after_the_other(monkeypatch):
    fake, errors, barrier = use_fake_graphs(monkeypatch), [], threading.Barrier(4)

    def capture():
        graphs = find_graphs(CPU)
        barrier.wait()
        try:
            for _ in range(10):
                graphs.capture(lambda: torch.ones(100).sum())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=capture) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and fake.captures == 40


def test_a_pool_is_kept_by_its_last_graph_until_it_is_released(monkeypatch):
    """torch refuses to capture into a pool whose graphs are gone, while tensors are left in it."""
    fake, alive = use_fake_graphs(monkeypatch), []
    monkeypatch.setattr(fake, "CUDAGraph", lambda: alive.append(weakref.ref(graph := FakeGraph())) or graph)
    graphs = find_graphs(CPU)
    graphs.capture(lambda: None)
    assert alive[0]() is not None
    graphs.capture(lambda: None)
    assert [graph() is None for graph in alive] == [True, False]
    graphs.release()
    assert alive[1]() is None
    graphs.capture(lambda: None)
    assert fake.pools == [1, 1, 2] and fake.streams[0] is fake.streams[2]
