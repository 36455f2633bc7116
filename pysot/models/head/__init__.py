"""Heads by their name in RPN.TYPE."""

from torch import nn

from pysot.models.head.rpn import DepthwiseRPN, MultiRPN, UPChannelRPN

HEADS: dict[str, type[nn.Module]] = {"UPChannelRPN": UPChannelRPN, "DepthwiseRPN": DepthwiseRPN, "MultiRPN": MultiRPN}
