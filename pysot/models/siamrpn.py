"""SiamRPN: tensors in, tensors out. It knows neither the config nor losses nor boxes."""

import torch
from torch import nn


class SiamRPN(nn.Module):
    """A shared backbone, an optional neck, and a head that correlates template with search features.

    forward(template (B, 3, 127, 127), search (B, 3, H, H)), BGR in [0, 255], gives {"cls": (B, 2A, S, S), "loc": (B, 4A, S, S)}.
    """

    def __init__(self, backbone: nn.Module, neck: nn.Module | None, rpn_head: nn.Module):
        super().__init__()
        self.backbone = backbone
        if neck is not None:
            self.neck = neck
        self.rpn_head = rpn_head

    def features(self, image: torch.Tensor):
        """What the head takes of an image (B, 3, H, W): one tensor, or one per feature level."""
        features = self.backbone(image)
        return self.neck(features) if hasattr(self, "neck") else features

    def forward(self, template: torch.Tensor, search: torch.Tensor) -> dict[str, torch.Tensor]:
        cls, loc = self.rpn_head(self.features(template), self.features(search))
        return {"cls": cls, "loc": loc}
