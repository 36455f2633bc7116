"""Common parts of the Siamese trackers: settings, and crops as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from pysot.utils.image import crop_square


@dataclass(frozen=True)
class TrackSettings:
    """Values of the TRACK and ANCHOR sections of the config, see pysot/core/config.py.

    Sizes are pixels of the network input.
    """

    penalty_k: float
    window_influence: float
    lr: float
    exemplar_size: int
    instance_size: int
    base_size: int
    context_amount: float
    stride: int
    ratios: tuple[float, ...]
    scales: tuple[float, ...]
    lost_instance_size: int = 831
    confidence_low: float = 0.85
    confidence_high: float = 0.998

    def score_size(self, instance_size: int) -> int:
        """Return the number of cells per side of the score map of a search crop of `instance_size` pixels."""
        return (instance_size - self.exemplar_size) // self.stride + 1 + self.base_size


class SiameseTracker:
    """Network together with the crops that it takes."""

    def __init__(self, model: nn.Module):
        self.model: Any = model  # a module with template(z) and track(x[, zf])

    @property
    def device(self) -> torch.device:
        """Device of the network parameters."""
        return next(self.model.parameters()).device

    def get_subwindow(
        self, im: np.ndarray, pos: np.ndarray, model_sz: int, original_sz: float, avg_chans: np.ndarray
    ) -> torch.Tensor:
        """Return a square crop of a BGR image as float32 (1, 3, model_sz, model_sz) on the network's device.

        The crop covers `original_sz` pixels around `pos` (x, y). Outside the image it has the colour `avg_chans`.
        """
        patch = crop_square(im, pos, original_sz, model_sz, avg_chans)
        tensor = torch.from_numpy(np.ascontiguousarray(patch.transpose(2, 0, 1)))[None]
        return tensor.to(self.device).float()


def check_box(box_xywh: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the box as float64 (4,).

    Raises ValueError unless it is four finite numbers with width and height above 0.
    """
    box = np.asarray(box_xywh, np.float64).reshape(-1)
    if box.shape != (4,) or not np.isfinite(box).all() or box[2] <= 0 or box[3] <= 0:
        raise ValueError(
            "expected a box x, y, width, height of finite numbers with width and height above 0; "
            f"got {np.asarray(box_xywh).tolist()}"
        )
    return box
