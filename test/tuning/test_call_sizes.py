"""Sizes of calls of a network that keep the digits of each crop."""

import numpy as np
import pytest
import torch

from helpers import small_config, small_model
from pysot.tracker.network import Outputs
from pysot.tracker.torch_network import TorchNetwork
from pysot.tuning.call_sizes import CallSizes
from pysot.utils.device import one_thread


class SummingNetwork:
    """Network whose outputs change in the last digit for more than `limit` crops; counts its calls."""

    def __init__(self, limit):
        self.limit, self.calls = limit, 0

    def template(self, crops):
        return [crops.reshape(len(crops), -1)[:, :4].astype(np.float32)]

    def track(self, state, crops):
        self.calls += 1
        cls = crops.reshape(len(crops), -1)[:, :8].astype(np.float32) + state[0].sum(1, keepdims=True)
        return Outputs(cls, cls * np.float32(1 + (len(crops) > self.limit) * 1e-6))


@pytest.mark.parametrize(("limit", "sizes"), [(9, [8, 4, 2, 1]), (5, [4, 2, 1]), (1, [1])])
def test_sizes_with_the_same_outputs(limit, sizes):
    network, found = SummingNetwork(limit), CallSizes(127)
    assert found.get(network, 255) == sizes
    calls = network.calls
    assert found.get(network, 255) == sizes
    assert network.calls == calls
    found.get(network, 271)
    assert network.calls > calls


@pytest.mark.parametrize("stage", ["", "point", "nano"])
def test_networks_of_this_package(stage):
    torch.manual_seed(0)
    network = TorchNetwork(small_model(small_config(stage), stage).eval())
    network.most = 8
    with one_thread(torch.device("cpu")):
        assert CallSizes(127).get(network, 255)[0] > 1
