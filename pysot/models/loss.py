"""Losses of the region proposal head, with static shapes: no index lists, no host synchronisation.

Shapes: batch B, A anchors per cell, S cells per side. Labels: 1 object, 0 background, -1 ignored.
"""

import torch
import torch.nn.functional as F


def cls_loss(cls: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of cls (B, 2A, S, S) against label (B, A, S, S).

    It is half the mean over objects plus half the mean over background. A class without any label counts as zero.
    """
    batch, channels, height, width = cls.shape
    log_prob = F.log_softmax(cls.reshape(batch, 2, channels // 2, height, width).float(), dim=1)
    return 0.5 * mean_where(-log_prob[:, 1], label == 1) + 0.5 * mean_where(-log_prob[:, 0], label == 0)


def loc_loss(loc: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the absolute error of loc (B, 4A, S, S) against target (B, 4, A, S, S).

    The error is weighted by weight (B, A, S, S), summed, and divided by the number of images.
    """
    batch, _, height, width = loc.shape
    error = (loc.reshape(batch, 4, -1, height, width).float() - target).abs().sum(dim=1)
    return (error * weight).sum() / batch


def siamrpn_loss(output: dict, target: dict, cls_weight: float, loc_weight: float) -> dict[str, torch.Tensor]:
    """Return the scalars total_loss, cls_loss and loc_loss.

    `output` holds cls and loc; `target` holds label_cls, label_loc and label_loc_weight.
    """
    parts = {
        "cls_loss": cls_loss(output["cls"], target["label_cls"]),
        "loc_loss": loc_loss(output["loc"], target["label_loc"], target["label_loc_weight"]),
    }
    return {"total_loss": cls_weight * parts["cls_loss"] + loc_weight * parts["loc_loss"], **parts}


def mean_where(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean of finite values where `mask`, of the same shape, is true; 0 if it is nowhere."""
    mask = mask.to(values.dtype)
    return (values * mask).sum() / mask.sum().clamp(min=1)
