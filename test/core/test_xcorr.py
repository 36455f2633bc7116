"""Cross-correlation against plain loops."""

import torch

from pysot.core.xcorr import xcorr_depthwise, xcorr_up_channel


def test_depthwise_equals_a_loop():
    search, kernel = torch.randn(2, 3, 7, 6), torch.randn(2, 3, 4, 3)
    got = xcorr_depthwise(search, kernel)
    assert got.shape == (2, 3, 4, 4)
    for b in range(2):
        for c in range(3):
            for i in range(4):
                for j in range(4):
                    expected = (search[b, c, i:i + 4, j:j + 3] * kernel[b, c]).sum()
                    torch.testing.assert_close(got[b, c, i, j], expected, rtol=1e-4, atol=1e-5)


def test_up_channel_equals_a_loop():
    search, kernel = torch.randn(2, 3, 6, 6), torch.randn(2, 4 * 3, 2, 2)
    got = xcorr_up_channel(search, kernel)
    assert got.shape == (2, 4, 5, 5)
    for b in range(2):
        weights = kernel[b].reshape(4, 3, 2, 2)
        torch.testing.assert_close(got[b], torch.nn.functional.conv2d(search[b][None], weights)[0], rtol=1e-4, atol=1e-5)
