"""SiamMask network: SiamRPN on the last level of the backbone, with a mask branch and its refinement.

Tensors in, tensors out, independent of config, losses and boxes. Paper: Wang et al., Fast Online Object Tracking and
Segmentation: A Unifying Approach, 2019.
"""

from typing import Any

import torch
from torch import nn

from pysot.models.head.mask import Cells, MaskFeatures
from pysot.models.siamrpn import SiamRPN


class SiamMask(SiamRPN):
    """SiamRPN with a mask branch.

    Backbone and neck are those of SiamRPN, the head is a DepthwiseRPN. The backbone returns one level; with
    `refine_head` it returns those of strides 2, 4 and 8 before it. Template (B, 3, 127, 127), search (B, 3, H, H).
    """

    def __init__(
        self,
        backbone: nn.Module,
        neck: nn.Module,
        rpn_head: nn.Module,
        mask_head: nn.Module,
        refine_head: nn.Module | None = None,
    ):
        SiamRPN.__init__(self, backbone, neck, rpn_head)
        self.mask_head: Any = mask_head
        if refine_head is not None:
            self.refine_head = refine_head

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Return the input of the heads (B, C, 7, 7) for templates (B, 3, 127, 127)."""
        return self.neck(self._levels(image)[-1])

    def search_features(self, image: torch.Tensor, margin: int = 0) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the input of the heads (B, C, h, w) for search crops (B, 3, H, H), and the levels before.

        `margin` cells are left out on each side: in a small crop those whose windows leave it.
        """
        *levels, last = self._levels(image)
        neck: Any = self.neck
        x = neck.adjust(last)
        side = x.shape[-1] - 2 * margin
        return x.narrow(2, margin, side).narrow(3, margin, side), levels

    def kernels(self, template: torch.Tensor) -> list[torch.Tensor]:
        """Return the kernels (B, C, 5, 5) of the correlations for templates; that of the masks comes last."""
        z = self.features(template)
        return [*self.rpn_head.kernels(z), self.mask_head.conv_kernel(z)]

    def match(self, kernels: list[torch.Tensor], search: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, _ = self.search_features(search)
        return self.rpn_head.match(kernels[:-1], x)

    def match_masks(
        self, kernels: list[torch.Tensor], search: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, MaskFeatures]:
        """Return cls (B, 2A, S, S) and loc (B, 4A, S, S) as `match`, and what `refine` needs of the search crops."""
        x, levels = self.search_features(search)
        cls, loc = self.rpn_head.match(kernels[:-1], x)
        return cls, loc, MaskFeatures.of(levels, self.mask_head.correlation(kernels[-1], x))

    def refine(self, features: MaskFeatures, cells: Cells) -> torch.Tensor:
        """Return the logits (K, 127 * 127) of the refined masks of cells."""
        return self.refine_head(features, cells)

    def forward(self, template: torch.Tensor, search: torch.Tensor) -> dict[str, torch.Tensor]:
        x, _ = self.search_features(search)
        cls, loc = self.rpn_head(self.features(template), x)
        return {"cls": cls, "loc": loc}

    def _levels(self, image: torch.Tensor) -> list[torch.Tensor]:
        levels = self.backbone(image)
        return list(levels) if isinstance(levels, (list, tuple)) else [levels]
