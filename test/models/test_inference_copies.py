"""Copies of networks for inference: batch-norm folded, weights packed, the original untouched."""

import pytest
import torch
from torch import nn

from helpers import experiment
from pysot.core.config import load_config
from pysot.models.folding import fold_network
from pysot.models.model_builder import build_model
from pysot.models.packed_convolution import PackedConv2d, pack_convolutions

NETWORKS = ["quickstart", "siamrpn_mobilev2_small", "siamrpn_r50_l234_dwxcorr_8gpu"]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_and_packed_network_gives_the_same_outputs(name):
    torch.manual_seed(0)
    model = build_model(load_config(experiment(name))).eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    template, search = torch.rand(2, 3, 127, 127), torch.rand(2, 3, 255, 255)
    with torch.inference_mode():
        expected = model.match(model.kernels(template), search)
        copy = fold_network(model)
        pack_convolutions(copy, lambda: copy.match(copy.kernels(template[:1]), search[:1]))
        outputs = copy.match(copy.kernels(template), search)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in copy.modules())
    for output, target in zip(outputs, expected, strict=True):
        torch.testing.assert_close(output, target, rtol=1e-3, atol=1e-4 * float(target.abs().max()))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"padding": 2, "dilation": 2}, {"groups": 8}, {"bias": False}])
def test_a_packed_convolution_takes_any_size_and_keeps_the_layout(options):
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 16, 3, **options)
    model = nn.Sequential(layer)
    with torch.inference_mode():
        pack_convolutions(model, lambda: model(torch.rand(1, 8, 20, 20)))
        assert isinstance(model[0], PackedConv2d) == torch.backends.mkldnn.is_available()
        for size, batch in ((20, 1), (20, 3), (11, 2)):
            x = torch.rand(batch, 8, size, size).contiguous(memory_format=torch.channels_last)
            output = model(x)
            torch.testing.assert_close(output, layer(x), rtol=1e-4, atol=1e-5)
            assert output.is_contiguous(memory_format=torch.channels_last)


def test_a_layer_that_is_not_called_is_not_packed():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3))
    pack_convolutions(model, lambda: model[0](torch.rand(1, 3, 8, 8)))
    assert isinstance(model[1], nn.Conv2d)
