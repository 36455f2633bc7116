"""SiamMask as three functions of tensors, template, track and refine, which torch.export takes as they are."""

import pytest
import torch
from torch import nn

from helpers import tiny_mask_config
from pysot.models.head.mask import Cells, MaskFeatures
from pysot.models.model_builder import build_model


class Function(nn.Module):
    """Part of a network with tensors as arguments and a tuple of tensors as result."""

    def __init__(self, network, part):
        super().__init__()
        self.network, self.part = network, part

    def forward(self, *tensors):
        return self.part(self.network, *tensors)


def template(network, z):
    return tuple(network.kernels(z))


def track(network, x, *kernels):
    cls, loc, features = network.match_masks(list(kernels), x)
    return cls, loc, *features


def refine(network, cells, *features):
    samples = torch.arange(len(cells), device=cells.device)
    return (network.refine(MaskFeatures(*features), Cells(samples, *cells.unbind(1))),)


@pytest.mark.parametrize("part", [template, track, refine])
@torch.no_grad()
def test_the_functions_can_be_exported(part):
    torch.manual_seed(0)
    network = build_model(tiny_mask_config("refine")).eval()
    z, x = 255 * torch.rand(2, 3, 127, 127), 255 * torch.rand(2, 3, 255, 255)
    kernels = template(network, z)
    arguments = {
        template: (z,),
        track: (x, *kernels),
        refine: (torch.tensor([[3, 20], [12, 0]]), *track(network, x, *kernels)[2:]),
    }[part]
    function = Function(network, part)
    exported = torch.export.export(function, arguments).module()
    for found, expected in zip(exported(*arguments), function(*arguments), strict=True):
        torch.testing.assert_close(found, expected)
