"""Heads by their name in RPN.TYPE, those without anchors by their name in BAN.TYPE."""

from torch import nn

from pysot.models.head.ban import DepthwiseBAN, MultiBAN
from pysot.models.head.nano import NanoBAN
from pysot.models.head.rpn import DepthwiseRPN, MultiRPN, UPChannelRPN

HEADS: dict[str, type[nn.Module]] = {"UPChannelRPN": UPChannelRPN, "DepthwiseRPN": DepthwiseRPN, "MultiRPN": MultiRPN}
BAN_HEADS: dict[str, type[nn.Module]] = {"DepthwiseBAN": DepthwiseBAN, "MultiBAN": MultiBAN, "NanoBAN": NanoBAN}
