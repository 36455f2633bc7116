"""Heads by their name in RPN.TYPE, those without anchors by their name in BAN.TYPE."""

from typing import Any

from torch import nn

from pysot.models.head.ban import DepthwiseBAN, MultiBAN
from pysot.models.head.mask import MASK_HEADS, REFINE_HEADS
from pysot.models.head.nano import NanoBAN
from pysot.models.head.rpn import DepthwiseRPN, MultiRPN, UPChannelRPN
from pysot.utils.registry import lookup

HEADS: dict[str, type[nn.Module]] = {"UPChannelRPN": UPChannelRPN, "DepthwiseRPN": DepthwiseRPN, "MultiRPN": MultiRPN}
BAN_HEADS: dict[str, type[nn.Module]] = {"DepthwiseBAN": DepthwiseBAN, "MultiBAN": MultiBAN, "NanoBAN": NanoBAN}
RPNS, MASKS, REFINE = HEADS, MASK_HEADS, REFINE_HEADS  # the original's names


def get_rpn_head(name: str, **kwargs: Any) -> nn.Module:
    """Return a head with anchors by its name in RPN.TYPE. Raises ValueError for an unknown name."""
    return lookup(HEADS, name, key="RPN.TYPE")(**kwargs)


def get_mask_head(name: str, **kwargs: Any) -> nn.Module:
    """Return the mask branch of SiamMask by its name in MASK.TYPE. Raises ValueError for an unknown name."""
    return lookup(MASK_HEADS, name, key="MASK.TYPE")(**kwargs)


def get_refine_head(name: str, **kwargs: Any) -> nn.Module:
    """Return the refinement of masks by its name in REFINE.TYPE. Raises ValueError for an unknown name."""
    return lookup(REFINE_HEADS, name, key="REFINE.TYPE")(**kwargs)
