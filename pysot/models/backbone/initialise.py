"""Initial weights of backbones."""

from torch import nn


def normal_by_fan_out(network: nn.Module) -> None:
    """Draw all convolution weights from a normal distribution of variance 2 / (kernel area * output channels).

    Source: He et al., 2015.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            nn.init.normal_(module.weight, 0, (2.0 / fan_out) ** 0.5)
