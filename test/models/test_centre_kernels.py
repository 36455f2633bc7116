"""Convolutions whose kernels are zero but for the centre, which copies for inference compute as 1x1 convolutions."""

import itertools

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision_helpers import resnet_weights

from helpers import experiment
from pysot.core.config import load_config
from pysot.engine.frozen import fold_frozen
from pysot.engine.optimizer import FreezePlan
from pysot.models.centre_kernels import narrow_kernels
from pysot.models.folding import fold_network, folded_copies
from pysot.models.model_builder import build_model
from pysot.models.pretrained import convert_torchvision


def centre_only(**options) -> nn.Conv2d:
    """Return a random convolution in float64 whose other taps are zero."""
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 8, **{"kernel_size": 3, **options}).double()
    rows, columns = (size // 2 for size in layer.kernel_size)
    with torch.no_grad():
        centre = layer.weight[:, :, rows, columns].clone()
        layer.weight.zero_()[:, :, rows, columns] = centre
    return layer


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize("value", [1e-30, float("nan"), float("inf")])
def test_a_kernel_with_one_other_tap_is_kept(value):
    for tap in ((0, 0, 0, 0), (7, 3, 2, 2), (3, 1, 1, 0)):
        layer = centre_only()
        with torch.no_grad():
            layer.weight[tap] = value
        model = nn.Sequential(layer, centre_only())
        narrow_kernels(model)
        assert model[0] is layer and [c.kernel_size for c in convolutions(model)] == [(3, 3), (1, 1)]


@pytest.mark.parametrize(
    "options", [{"kernel_size": 2}, {"padding_mode": "reflect", "padding": 1}, {"padding": "same"}, {"kernel_size": 1}]
)
def test_other_convolutions_are_kept(options):
    model = nn.Sequential(nn.Conv2d(4, 8, **{"kernel_size": 3, **options}))
    nn.init.zeros_(model[0].weight)
    layer = model[0]
    narrow_kernels(model)
    assert model[0] is layer
    narrow_kernels(nn.Sequential(nn.ReLU()))


SIZES = list(itertools.product((1, 2), (0, 1, 2, 5), (1, 2, 4)))


@pytest.mark.parametrize("stride, padding, dilation", SIZES)
@pytest.mark.parametrize(
    "options", [{}, {"bias": False}, {"groups": 4}, {"kernel_size": (5, 3)}, {"kernel_size": (1, 3)}]
)
def test_the_same_numbers_with_one_tap(stride, padding, dilation, options):
    layer = centre_only(stride=stride, padding=padding, dilation=dilation, **options)
    model = nn.Sequential(layer)
    narrow_kernels(model)
    assert [c.kernel_size for c in convolutions(model)] == [(1, 1)]
    for height, width in ((20, 21), (21, 20), (23, 23)):
        x = torch.randn(2, 4, height, width, dtype=torch.float64)
        torch.testing.assert_close(model(x), layer(x), rtol=1e-14, atol=1e-14)


def test_padding_of_one_side_only():
    layer = centre_only(padding=(0, 3), stride=(2, 1))
    model = nn.Sequential(layer)
    narrow_kernels(model)
    x = torch.randn(1, 4, 11, 12, dtype=torch.float64)
    torch.testing.assert_close(model(x), layer(x), rtol=1e-14, atol=1e-14)


def converted_model():
    """Return ResNet-50 with random weights, those of its backbone in the layout that torchvision's are converted to."""
    torch.manual_seed(0)
    model = build_model(load_config(experiment("siamrpn_r50_l234_dwxcorr_8gpu"), ["BACKBONE.PRETRAINED", ""])).eval()
    model.backbone.load_state_dict(convert_torchvision(resnet_weights("resnet50"), "resnet50"))
    return model


def giga_multiply_adds(module: nn.Module, image: torch.Tensor) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(image)
    return counter.get_total_flops() / 2e9


def test_operations_of_a_converted_resnet():
    """Shortcuts are 23.8 of the 44.6 billion multiply-adds of a search crop, and eight of nine are with zeros."""
    model, image = converted_model(), torch.rand(1, 3, 255, 255)
    before = giga_multiply_adds(model.backbone, image)
    with torch.no_grad():
        expected = model.backbone(image)
    assert before == pytest.approx(44.6, abs=0.05)
    copies = {"tracking": fold_network(model).backbone}
    FreezePlan((), 99).apply(model, 0)
    fold_frozen(model.backbone)
    copies["training"] = model.backbone
    for copy in copies.values():
        assert before - giga_multiply_adds(copy, image) == pytest.approx(23.8 * 8 / 9, abs=0.05)
        for output, target in zip(copy(image), expected, strict=True):
            torch.testing.assert_close(output, target, rtol=1e-4, atol=1e-5 * float(target.abs().max()))


def test_weights_that_change_between_freeze_states():
    """Every state looks at the weights anew: what trained in between keeps its kernels."""
    model = converted_model()
    shortcuts = ("layer2.0.downsample.0", "layer3.0.downsample.0", "layer4.0.downsample.0")

    def narrow(module: nn.Module) -> list[bool]:
        return [(1, 1) == convolutions(module.get_submodule(name))[0].kernel_size for name in shortcuts]

    assert narrow(folded_copies([model.backbone])[0]) == [True, True, True]
    with torch.no_grad():
        model.backbone.layer3[0].downsample[0].weight[5, 7, 0, 2] = 0.1
    assert narrow(folded_copies([model.backbone])[0]) == [True, False, True]
    assert [model.get_submodule(f"backbone.{name}").kernel_size for name in shortcuts] == [(3, 3)] * 3


def test_all_weights_are_read_together(monkeypatch):
    reads = []
    monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: reads.append(tensor.shape) or [False] * len(tensor))
    fold_network(converted_model())
    assert len(reads) == 1
