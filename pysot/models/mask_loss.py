"""Loss of the masks of SiamMask, with static shapes: a fixed number of cells, no index lists, no host synchronisation.

Source: Wang et al., Fast Online Object Tracking and Segmentation, 2019, section 3.1. A cell of the score map takes part
if one of its anchors is positive and the pair has a mask. The published loss is the mean over all of these cells.

Shapes: batch B, S cells per side, K cells.
"""

import torch
import torch.nn.functional as F

from pysot.models.head.mask import MASK_SIDE, WINDOW_SIDE, Cells, window_margin


def object_cells(label_cls: torch.Tensor, has_mask: torch.Tensor) -> torch.Tensor:
    """Return which cells (B, S, S) take part, for label_cls (B, A, S, S) and has_mask (B,)."""
    return (label_cls == 1).any(1) & (has_mask[:, None, None] != 0)


def choose_cells(wanted: torch.Tensor, keys: torch.Tensor, count: int) -> tuple[Cells, torch.Tensor]:
    """Return K = `count` cells, at most all, and which of them (K,) are wanted, for `wanted` (B, S, S).

    These are all wanted cells, in order, and others behind them. If there are more than K wanted ones, they are those
    with the largest `keys` (B, S, S), random numbers from 0 to 1 that belong to the batch: a step gives the same result
    on every device, when it is repeated, and after resuming.
    """
    flat, cells = wanted.flatten(), wanted.shape[-1]
    chosen = torch.where(flat, 1 + keys.flatten(), 0.0).topk(min(count, len(flat))).indices
    # The order, and with it the rounding of the loss, does not depend on the keys.
    chosen = chosen[torch.where(flat[chosen], chosen, chosen + len(flat)).float().argsort()]
    within = chosen % cells**2
    return Cells(chosen // cells**2, within // cells, within % cells), flat[chosen]


def mask_windows(mask: torch.Tensor, cells: Cells, count: int, stride: int) -> torch.Tensor:
    """Return the windows (K, 127, 127) float32 of cells in masks (B, H, H) of search crops, 0 outside of the crop.

    There are `count` cells per side, `stride` pixels apart, see `window_margin`.
    """
    outside = window_margin(count, stride, mask.shape[-1])
    padded = F.pad(mask.float(), [outside] * 4)
    steps = torch.arange(WINDOW_SIDE, device=mask.device)
    rows = (stride * cells.rows[:, None] + steps)[:, :, None]
    columns = (stride * cells.columns[:, None] + steps)[:, None, :]
    return padded[cells.samples[:, None, None], rows, columns]


def enlarge_masks(logits: torch.Tensor) -> torch.Tensor:
    """Return masks (K, 127 * 127) for masks (K, 63 * 63), bilinear with aligned corners, in float32."""
    maps = logits.float().unflatten(1, (1, MASK_SIDE, MASK_SIDE))
    return F.interpolate(maps, size=(WINDOW_SIDE, WINDOW_SIDE), mode="bilinear", align_corners=True).flatten(1)


def mask_loss(logits: torch.Tensor, target: torch.Tensor, is_wanted: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the logistic loss of masks and their overlaps, means over the wanted cells, 0 if there are none.

    logits (K, 127 * 127); target (K, 127, 127) is 1 in the object and 0 outside; is_wanted (K,). The scalars are
    mask_loss, mask_iou (overlap of the pixels with a probability of 0.5 or more with the object), and mask_iou_0.5 and
    mask_iou_0.7 (shares of cells with a larger overlap).
    """
    logits, inside = logits.float(), target.flatten(1) > 0.5
    losses = F.softplus(torch.where(inside, -logits, logits)).mean(1)
    predicted = logits.detach() >= 0
    common = (predicted & inside).sum(1)
    overlaps = common / (predicted | inside).sum(1).clamp(min=1)
    weights = is_wanted.float() / is_wanted.sum().clamp(min=1)
    return {
        "mask_loss": (losses * weights).sum(),
        "mask_iou": (overlaps * weights).sum(),
        "mask_iou_0.5": ((overlaps > 0.5) * weights).sum(),
        "mask_iou_0.7": ((overlaps > 0.7) * weights).sum(),
    }
