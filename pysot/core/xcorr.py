"""Cross-correlation of search features with template features.

Shapes: batch B, channels C, template (kh, kw), search (H, W); the result has (H - kh + 1, W - kw + 1) cells. SiamRPN++, section 3.3.
"""

import torch
import torch.nn.functional as F


def xcorr_depthwise(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Correlate channel by channel: search (B, C, H, W) with kernel (B, C, kh, kw) to (B, C, H', W'). The batch becomes groups of one convolution."""
    batch, channels = kernel.shape[:2]
    flat = search.reshape(1, batch * channels, *search.shape[2:])
    out = F.conv2d(flat, kernel.reshape(batch * channels, 1, *kernel.shape[2:]), groups=batch * channels)
    return out.reshape(batch, channels, *out.shape[2:])


def xcorr_up_channel(search: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Correlate with several full kernels per image (SiamRPN's up-channel form): search (B, C, H, W), kernel (B, K * C, kh, kw) to (B, K, H', W')."""
    batch, channels = search.shape[:2]
    weight = kernel.reshape(-1, channels, *kernel.shape[2:])
    out = F.conv2d(search.reshape(1, batch * channels, *search.shape[2:]), weight, groups=batch)
    return out.reshape(batch, -1, *out.shape[2:])
