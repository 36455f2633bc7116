"""Cross-correlation against plain loops."""

import pytest
import torch

from pysot.core.xcorr import XCORR_METHODS, grouped_correlation, xcorr_depthwise, xcorr_up_channel


def test_depthwise_equals_a_loop():
    search, kernel = torch.randn(2, 3, 7, 6), torch.randn(2, 3, 4, 3)
    got = xcorr_depthwise(search, kernel)
    assert got.shape == (2, 3, 4, 4)
    for b in range(2):
        for c in range(3):
            for i in range(4):
                for j in range(4):
                    expected = (search[b, c, i : i + 4, j : j + 3] * kernel[b, c]).sum()
                    torch.testing.assert_close(got[b, c, i, j], expected, rtol=1e-4, atol=1e-5)


def test_up_channel_equals_a_loop():
    search, kernel = torch.randn(2, 3, 6, 6), torch.randn(2, 4 * 3, 2, 2)
    got = xcorr_up_channel(search, kernel)
    assert got.shape == (2, 4, 5, 5)
    for b in range(2):
        weights = kernel[b].reshape(4, 3, 2, 2)
        torch.testing.assert_close(
            got[b], torch.nn.functional.conv2d(search[b][None], weights)[0], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(
    "shapes", [((2, 3, 12, 14), (2, 3, 4, 5)), ((1, 1, 5, 5), (1, 1, 5, 5)), ((2, 8, 29, 29), (2, 8, 5, 5))]
)
@pytest.mark.parametrize("wanted", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("way", [xcorr_depthwise, *XCORR_METHODS.values()])
def test_all_ways_have_the_values_and_gradients_of_the_grouped_convolution(shapes, wanted, way):
    gradients = []
    for correlate in (way, grouped_correlation):
        torch.manual_seed(1)
        inputs = [
            torch.randn(shape, dtype=torch.float64).requires_grad_(want)
            for shape, want in zip(shapes, wanted, strict=True)
        ]
        out = correlate(*inputs)
        (out * torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view_as(out)).sum().backward()
        gradients.append([out.detach(), *(x.grad for x in inputs if x.requires_grad)])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_gradients_under_autocast():
    search, kernel = torch.randn(2, 4, 9, 9, requires_grad=True), torch.randn(2, 4, 3, 3, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = xcorr_depthwise(search, kernel)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    exact = grouped_correlation(search.detach(), torch.ones(2, 4, 7, 7))
    assert search.grad.dtype == torch.float32 and torch.allclose(kernel.grad, exact, rtol=0.05, atol=0.3)
