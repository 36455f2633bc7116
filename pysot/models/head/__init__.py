"""Heads by the name that RPN.TYPE gives them."""

from torch import nn

from pysot.models.head.rpn import DepthwiseRPN, MultiRPN, UPChannelRPN

HEADS: dict[str, type[nn.Module]] = {"UPChannelRPN": UPChannelRPN, "DepthwiseRPN": DepthwiseRPN, "MultiRPN": MultiRPN}
