"""Losses of a head without anchors, with static shapes: no index lists, no host synchronisation.

Shapes: batch B, S cells per side. Labels: 1 object, 0 background, -1 ignored. Distances are those from the point of a
cell to the left, top, right and bottom side of a box, in pixels of the search crop.

Source: Chen et al., Siamese Box Adaptive Network for Visual Tracking, 2020, section 3.3, and its authors' code.
"""

import torch

from pysot.models.loss import cls_loss, mean_where


def iou_loss(loc: torch.Tensor, target: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Return the mean of 1 - IoU over the cells whose label (B, S, S) is object, 0 without any.

    The boxes are given by the distances loc and target, both (B, 4, S, S). As published, 1 pixel is added to
    intersection and union.
    """
    is_object = label == 1
    # Elsewhere the target may not contain the point. Both boxes are replaced, not only their loss: a division by zero
    # there would make the gradient NaN.
    found = torch.where(is_object[:, None], loc.float(), 1.0)
    true = torch.where(is_object[:, None], target, 1.0)
    intersection = _area(torch.minimum(found, true))
    union = _area(found) + _area(true) - intersection
    return mean_where(1 - (intersection + 1) / (union + 1), is_object)


def point_loss(output: dict, target: dict, cls_weight: float, loc_weight: float) -> dict[str, torch.Tensor]:
    """Return the scalars total_loss, cls_loss (see `cls_loss` in `loss`) and loc_loss (see `iou_loss`).

    `output` holds cls (B, 2, S, S) and loc (B, 4, S, S), `target` holds label_cls (B, S, S) and label_loc
    (B, 4, S, S).
    """
    label = target["label_cls"]
    parts = {
        "cls_loss": cls_loss(output["cls"], label[:, None]),
        "loc_loss": iou_loss(output["loc"], target["label_loc"], label),
    }
    return {"total_loss": cls_weight * parts["cls_loss"] + loc_weight * parts["loc_loss"], **parts}


def _area(distances: torch.Tensor) -> torch.Tensor:
    """Return the areas (B, S, S) of boxes given by distances (B, 4, S, S)."""
    left, top, right, bottom = distances.unbind(1)
    return (left + right) * (top + bottom)
