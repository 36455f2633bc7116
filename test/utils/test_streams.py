"""Copies from a device, by a stub of the device: which stream they wait for."""

import types

import torch

from pysot.utils import streams


def test_a_download_waits_for_the_stream_of_its_own_device(monkeypatch):
    recorded = []

    class Event:
        def record(self, stream="the stream of the current device"):
            recorded.append(stream)

        def synchronize(self):
            recorded.append("waited")

    module = types.SimpleNamespace(Event=Event, current_stream=lambda device: f"the stream of {device}")
    monkeypatch.setattr(streams, "device_module", lambda device: module)
    download = streams.Download(torch.arange(3))
    assert download.wait().tolist() == [0, 1, 2] and recorded == ["the stream of cpu", "waited"]
