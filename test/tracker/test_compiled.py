"""Compiled networks: their weights are constants."""

import torch
from torch import nn

from helpers import needs_compiler
from pysot.tracker import compiled


class Network(nn.Module):
    """Kernels and match of a network, with one convolution each."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(16, 64, 3)

    def kernels(self, template):
        return [self.layer(template)[:, :, :10, :10]]

    def match(self, state, images):
        found = self.layer(images) * state[0]
        return found, found.sum((2, 3))


@needs_compiler
def test_weights_are_constants_of_each_network(monkeypatch):
    """So that they can lie in memory as oneDNN prefers."""
    monkeypatch.setattr(compiled, "_seconds", lambda ways, state, images: [1.0, 2.0])
    torch.manual_seed(0)
    networks = [Network().requires_grad_(False).to(memory_format=torch.channels_last) for _ in range(2)]
    image = torch.rand(1, 16, 12, 12).contiguous(memory_format=torch.channels_last)
    matches = [compiled.compile_match(network, network, image, image, [1]) for network in networks]
    with torch.inference_mode():
        state = networks[0].kernels(image)
        expected = [network.match(state, image)[0] for network in networks]
    for network in networks:
        network.layer.weight.mul_(2)
    with torch.inference_mode():
        for match, values in zip(matches, expected, strict=True):
            torch.testing.assert_close(match(state, image.clone())[0], values)
