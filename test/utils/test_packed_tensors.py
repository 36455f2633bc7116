"""Tensors packed in one buffer: bad buffers first, then equal layouts, reading, and copies to a device."""

import pickle
import types

import pytest
import torch

from pysot.utils import streams
from pysot.utils.packed_tensors import ALIGNMENT, Layout, PackedTensors

SHAPES = {"image": ((2, 3, 5), torch.uint8), "none": ((2, 0), torch.float32), "label": ((2, 7), torch.int64)}


def packed():
    layout = Layout(SHAPES)
    batch = PackedTensors(torch.zeros(layout.size, dtype=torch.uint8), layout)
    batch["image"].copy_(torch.arange(30).reshape(2, 3, 5))
    batch["label"].fill_(-1)
    return batch


@pytest.mark.parametrize(
    "buffer", [torch.zeros(3, dtype=torch.uint8), torch.zeros(512), torch.zeros(2, 256, dtype=torch.uint8)]
)
def test_a_buffer_that_does_not_fit_is_an_error(buffer):
    with pytest.raises(ValueError, match="expected a buffer of 512 uint8 values, got torch"):
        PackedTensors(buffer, Layout(SHAPES))


def test_unknown_names():
    batch = packed()
    assert batch.get("light") is None and "light" not in batch
    with pytest.raises(KeyError, match="light"):
        batch["light"]


def test_layouts_are_equal_if_names_shapes_and_types_are():
    layout = Layout(SHAPES)
    assert layout == Layout(dict(SHAPES)) and hash(layout) == hash(Layout(SHAPES))
    assert layout != Layout({**SHAPES, "label": ((2, 8), torch.int64)})
    assert layout != Layout({**SHAPES, "label": ((2, 7), torch.float64)})
    assert layout != Layout(dict(reversed(SHAPES.items()))) and layout != SHAPES
    assert "image (2, 3, 5) torch.uint8" in repr(layout)


def test_tensors_are_aligned_views_of_the_buffer():
    batch = packed()
    assert list(batch) == [name for name, _ in batch.items()] == list(SHAPES)
    for name, (shape, dtype) in SHAPES.items():
        assert batch[name].shape == shape and batch[name].dtype == dtype and batch[name].is_contiguous()
        assert batch.layout.fields[name].start % ALIGNMENT == 0
    batch.buffer.zero_()
    assert not batch["image"].any() and not batch["label"].any()


def test_a_pickle_has_the_buffer_once():
    batch = packed()
    again = pickle.loads(pickle.dumps(batch))
    assert again.layout == batch.layout and all(torch.equal(again[name], value) for name, value in batch.items())
    again["label"].zero_()
    assert not again.buffer[again.layout.fields["label"].start :].any()


def test_a_copy_to_a_device_is_one_copy(monkeypatch):
    """On a stub of a device with streams, which is really the CPU."""
    waits, recorded, copies = [], [], []
    current = types.SimpleNamespace(wait_stream=waits.append)

    class Stream:
        def __init__(self, device):
            pass

        def __enter__(self):
            copies.append("begin")

        def __exit__(self, *args):
            copies.append("end")

    module = types.SimpleNamespace(Stream=Stream, stream=lambda stream: stream, current_stream=lambda device: current)
    monkeypatch.setattr(streams, "device_module", lambda device: module)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: recorded.append(tensor.data_ptr()))
    to = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *args, **kw: copies.append(kw) or to(tensor, *args, **kw))
    stream = streams.CopyStream(torch.device("cpu"))
    batch = packed()
    on_device = stream.copy(batch)
    assert copies == ["begin", {"non_blocking": True}, "end"] and waits == [stream.stream]
    assert recorded == [on_device.buffer.data_ptr()] and isinstance(on_device, PackedTensors)
    assert torch.equal(on_device["image"], batch["image"])
    separate = stream.copy({"a": torch.ones(2), "b": torch.zeros(3)})
    assert separate["a"].sum() == 2 and len(recorded) == 3 and len(waits) == 2


def test_pinned_tensors_stay_packed(monkeypatch):
    """The loader's thread pins whatever has a method pin_memory."""
    from torch.utils.data._utils.pin_memory import pin_memory

    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor.shape) or tensor.clone())
    batch = packed()
    again = pin_memory(batch)
    assert pinned == [(batch.layout.size,)] and again.layout == batch.layout
    assert torch.equal(again["label"], batch["label"]) and again.buffer is not batch.buffer
