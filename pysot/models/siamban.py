"""Siamese network without anchors: tensors in, tensors out, independent of config, losses and boxes."""

from typing import Any

import torch
from torch import nn

from pysot.models.siamrpn import Features, SiamRPN


class SiamBAN(SiamRPN):
    """SiamRPN with a head without anchors, see `pysot/models/head/ban.py`: SiamBAN and NanoTrack.

    forward(template (B, 3, 127, 127), search (B, 3, H, H)) returns {"cls": (B, 2, S, S), "loc": (B, 4, S, S)}; loc are
    distances in pixels of the search crop, left, top, right, bottom.
    """

    def __init__(self, backbone: nn.Module, neck: nn.Module | None, head: Any):
        SiamRPN.__init__(self, backbone, neck, head, head.name)
        if neck is not None and head.on_backbone:
            # It gets no gradients: DDP would wait for them, and weight decay alone would change it.
            neck.requires_grad_(False)

    def features(self, image: torch.Tensor) -> Features:
        """Return the input of the head for an image (B, 3, H, W): one tensor, or one per feature level.

        NanoTrack has a neck in its published weights, but its head gets the features of the backbone.
        """
        return self.backbone(image) if self._head.on_backbone else SiamRPN.features(self, image)
