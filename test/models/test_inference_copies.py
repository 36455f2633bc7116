"""Copies of networks for inference: batch-norm folded, weights packed, the original untouched."""

import pytest
import torch
from torch import fx, nn

from helpers import experiment
from pysot.core.config import load_config
from pysot.models.backbone import BACKBONES
from pysot.models.folding import fold_network, folded_copies
from pysot.models.model_builder import build_model
from pysot.models.packed_convolution import PackedConv2d, pack_convolutions, packed_copy
from pysot.models.packed_parts import PackedParts

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
        copy.backbone = packed_copy(copy.backbone, search[:1])
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


class Block(nn.Module):
    """Layers in the ways that a block may use them: each is named by what follows it."""

    def __init__(self):
        super().__init__()
        for name in ("relu", "relu6", "addition", "addend", "both", "twice", "used", "scaled", "broadcast", "itself"):
            self.add_module(f"to_{name}", nn.Conv2d(4, 4, 1))
        self.relu, self.relu6 = nn.ReLU(inplace=True), nn.ReLU6()

    def forward(self, x):
        x = self.relu(self.to_relu(x))
        x = self.relu6(self.to_relu6(x))
        x = x + self.to_addition(x)
        addend = self.to_addend(x)
        x = self.relu(self.to_both(x) + addend)
        x = self.relu(self.to_twice(x)) + self.to_twice(x)
        used = self.to_used(x)
        x = self.relu6(used) + used
        x = torch.add(self.to_scaled(x), x, alpha=2)
        x = self.to_broadcast(x) + x[:, :1]
        x = self.to_itself(x)
        return x + x


def test_what_follows_a_convolution_at_once_is_merged_into_it():
    torch.manual_seed(0)
    traced = fx.symbolic_trace(Block().eval())
    with torch.no_grad():
        x = torch.randn(2, 4, 9, 9)
        expected = traced(x.clone())
        packed = packed_copy(traced, x.clone())
        torch.testing.assert_close(packed(x.clone()), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(traced(x.clone()), expected, rtol=0, atol=0)
    merged = {
        name.removeprefix("to_"): (layer.activation, len(node.args))
        for node in packed.graph.nodes
        for name, layer in packed.named_modules()
        if node.target == name and isinstance(layer, PackedConv2d)
    }
    assert merged == {
        "relu": ("relu", 1),
        "relu6": ("hardtanh", 1),
        "addition": (None, 2),
        "addend": (None, 1),
        "both": ("relu", 2),
        "used": (None, 1),
        "scaled": (None, 1),
        "broadcast": (None, 1),
        "itself": (None, 1),
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_weight_that_is_not_finite_shows_in_the_features(value, name):
    """A ReLU of oneDNN would turn NaN into 0."""
    backbone = BACKBONES["resnet18"](used_layers=[2]).eval()
    layer = backbone.layer1[0].conv1 if name == "weight" else backbone.layer1[0].bn1
    with torch.no_grad():
        getattr(layer, name).view(-1)[0] = value
        packed = packed_copy(folded_copies([backbone])[0], torch.rand(1, 3, 63, 63))
        assert not packed(torch.rand(2, 3, 63, 63)).isfinite().any()


@pytest.mark.parametrize("levels", [1, 3])
def test_parts_of_a_batch_are_joined(levels):
    torch.manual_seed(0)
    backbone = BACKBONES["resnet18"](used_layers=[2, 3, 4][:levels]).eval().requires_grad_(False)
    parts = PackedParts(folded_copies([backbone])[0])
    for size, batch in ((63, 2), (255, 5), (95, 1), (63, 70)):
        x = torch.rand(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
        outputs, expected = parts(x), backbone(x)
        assert type(outputs) is type(expected)
        if levels == 1:
            outputs, expected = [outputs], [expected]
        for output, target in zip(outputs, expected, strict=True):
            torch.testing.assert_close(output, target, rtol=1e-3, atol=1e-4 * float(target.abs().max()))
    assert [tuple(size) for size in parts.packed] == [(3, 63, 63), (3, 255, 255)]


def test_a_layer_that_is_not_called_is_not_packed():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3))
    pack_convolutions(model, lambda: model[0](torch.rand(1, 3, 8, 8)))
    assert isinstance(model[1], nn.Conv2d)
