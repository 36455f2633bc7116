"""SiamRPN network: tensors in, tensors out, independent of config, losses and boxes."""

from typing import Any

import torch
from torch import nn

# One tensor, or one per feature level.
Features = torch.Tensor | list[torch.Tensor]


class SiamRPN(nn.Module):
    """Shared backbone, optional neck, and head that correlates template features with search features.

    forward(template (B, 3, 127, 127), search (B, 3, H, H)) returns {"cls": (B, 2A, S, S), "loc": (B, 4A, S, S)}. Images
    are BGR in [0, 255].
    """

    rpn_head: Any  # the name of the head, unless another one is given

    def __init__(self, backbone: nn.Module, neck: nn.Module | None, head: nn.Module, head_name: str = "rpn_head"):
        super().__init__()
        self.backbone = backbone
        if neck is not None:
            self.neck = neck
        self.head_name = head_name
        self.add_module(head_name, head)

    @property
    def _head(self) -> Any:
        return getattr(self, self.head_name)

    def features(self, image: torch.Tensor) -> Features:
        """Return the input of the head for an image (B, 3, H, W): one tensor, or one per feature level."""
        features = self.backbone(image)
        return self.neck(features) if hasattr(self, "neck") else features

    def kernels(self, template: torch.Tensor) -> list[torch.Tensor]:
        """Return what `match` needs of a template (B, 3, 127, 127): tensors (B, ...), the kernels of the correlations.

        They depend on the template only, so that a tracker computes them once.
        """
        return self._head.kernels(self.features(template))

    def match(self, kernels: list[torch.Tensor], search: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cls (B, 2A, S, S) and loc (B, 4A, S, S) of search crops (B, 3, H, H) for the kernels of templates."""
        return self._head.match(kernels, self.features(search))

    def forward(self, template: torch.Tensor, search: torch.Tensor) -> dict[str, torch.Tensor]:
        cls, loc = self._head(self.features(template), self.features(search))
        return {"cls": cls, "loc": loc}
