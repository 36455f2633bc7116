"""Network of a tracker for models that keep the template themselves, as those of the original package do."""

import math
from typing import Any

import numpy as np
import torch

from pysot.tracker.crop_threads import CropThreads
from pysot.tracker.frame_maths import Array
from pysot.tracker.host_step import HostStep
from pysot.tracker.network import Outputs, State, Step


class OwnTemplateNetwork:
    """Network of a tracker for a model with the interface of the original package: template(z), then track(x).

    Its template is in the model, so that it can follow only one target. The precision is that of the model. With
    `masks`, the model has mask_refine(pos) for the row and the column of a cell of the last search crop.
    """

    static = False

    def __init__(self, model: Any, masks: bool = False):
        self.model = model
        self.masks = masks

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return next(self.model.parameters()).device

    @torch.inference_mode()
    def template(self, crops: np.ndarray) -> State:
        features = self.model.template(self._images(crops))
        return [] if features is None else [features]

    @torch.inference_mode()
    def track(self, state: State, crops: np.ndarray) -> Outputs:
        outputs = self.model.track(self._images(crops), *state)
        return Outputs(*(outputs[name].float().cpu().numpy() for name in ("cls", "loc")))

    @torch.inference_mode()
    def refine(self, features: Any, cells: Array) -> Array:
        logits = self.model.mask_refine(tuple(cells[0].tolist()))
        side = math.isqrt(logits.numel())
        return logits.float().sigmoid().reshape(1, side, side).cpu().numpy()

    def array(self, values: np.ndarray) -> Array:
        return values

    def host(self, values: Array) -> np.ndarray:
        return values

    def make_step(self, slots: int, threads: CropThreads, last: Step | None) -> Step:
        return last or HostStep(self, slots, threads)

    def check_memory(self, count: int) -> None:
        if count > 1:
            raise ValueError(
                f"{type(self.model).__name__} keeps the template itself, so it can follow one target, not {count}; "
                "derive it from pysot.models.siamrpn.SiamRPN"
            )

    def _images(self, crops: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).to(self.device).float()
