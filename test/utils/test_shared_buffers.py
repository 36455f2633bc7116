"""Shared buffers: none free, tensors that outlive their batch, processes that are started in either way."""

import gc
import multiprocessing
import os
import pickle

import pytest
import torch
from buffer_helpers import fill, fill_and_send

from pysot.utils.packed_tensors import Layout
from pysot.utils.shared_buffers import PER_PROCESS, SharedBuffers

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs memory without a name")
LAYOUT = Layout({"value": ((4,), torch.float32), "number": ((), torch.int64)})


def send(batch):
    return pickle.loads(pickle.dumps(batch))


def test_none_is_free():
    shared = SharedBuffers(LAYOUT, processes=2)
    batches = [fill(shared, 0, number) for number in range(PER_PROCESS)]
    assert shared.take(0) is None and shared.take(1) is not None
    received = [send(batch) for batch in batches]
    assert shared.take(0) is None
    assert [int(batch["number"]) for batch in received] == list(range(PER_PROCESS))
    del received[2]
    gc.collect()
    assert shared.take(0) is not None and shared.take(0) is None


def test_a_tensor_keeps_the_buffer_of_its_batch():
    shared = SharedBuffers(LAYOUT, processes=1)
    kept = [send(fill(shared, 0, number))["number"] for number in range(PER_PROCESS)]
    part = kept.pop()[None][:1].expand(3)
    gc.collect()
    assert shared.take(0) is None and part.tolist() == [PER_PROCESS - 1] * 3
    del part
    gc.collect()
    assert shared.take(0) is not None
    assert [int(number) for number in kept] == list(range(PER_PROCESS - 1))


def test_tensors_keep_the_memory():
    shared = SharedBuffers(LAYOUT, processes=1)
    batch = send(fill(shared, 0, 7))
    del shared
    gc.collect()
    assert int(batch["number"]) == 7


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_another_process_fills_them(method):
    context = multiprocessing.get_context(method)
    shared, queue = SharedBuffers(LAYOUT, processes=2), context.Queue()
    process = context.Process(target=fill_and_send, args=(shared, queue), daemon=True)
    process.start()
    batches = [pickle.loads(queue.get(timeout=60)) for _ in range(3)]
    process.join(60)
    assert process.exitcode == 0 and [int(batch["number"]) for batch in batches] == [0, 1, 2]
    assert shared.take(1) is not None and shared.take(1) is None
