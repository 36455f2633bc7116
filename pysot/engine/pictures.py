"""Training pairs as people look at them: template and search crop side by side, with the target, the positives and what the network says.

Shapes: batch B, A anchors per cell, S cells per side. Boxes are pixels of the search crop, xyxy.
"""

from collections.abc import Mapping

import cv2
import numpy as np
import torch
from torch import nn

from pysot.models.siamrpn import SiamRPN
from pysot.utils.anchor import grid_anchors
from pysot.utils.bbox import Center, center2corner
from pysot.utils.visualize import PREDICTED, TRUTH, draw_label, draw_region

_POSITIVE = (233, 180, 86)  # BGR, light blue
_PAIRS = 4


class PairPicture:
    """Draws the first pairs of a batch with the network's answer; the network is left as it was."""

    def __init__(self, stride: int, ratios, scales):
        self.stride, self.ratios, self.scales = stride, ratios, scales

    def __call__(self, model: nn.Module, batch: Mapping[str, torch.Tensor]) -> np.ndarray:
        """The picture (H, W, 3) uint8 RGB of a batch on the network's device with float images, as `SiamRPN` takes them."""
        batch = {name: value[:_PAIRS] for name, value in batch.items()}
        modes = {module: module.training for module in model.modules()}
        model.eval()  # batch-norm statistics are those of training alone
        try:
            with torch.no_grad():
                output = SiamRPN.forward(model, batch["template"], batch["search"])
        finally:
            for module, mode in modes.items():
                module.training = mode
        size = len(batch["search"])
        cls, loc = (output[name].float().cpu().numpy() for name in ("cls", "loc"))
        score = torch.softmax(torch.from_numpy(cls.reshape(size, 2, -1)), 1)[:, 1].numpy()
        rows = [
            self._row({name: value[i].cpu().numpy() for name, value in batch.items()}, score[i], loc[i].reshape(4, -1))
            for i in range(size)
        ]
        return np.concatenate(rows)[:, :, ::-1].copy()

    def _row(self, item: Mapping[str, np.ndarray], score: np.ndarray, loc: np.ndarray) -> np.ndarray:
        template, search = (
            np.clip(item[name].transpose(1, 2, 0), 0, 255).astype(np.uint8).copy() for name in ("template", "search")
        )
        label = item["label_cls"].reshape(-1)
        _, centres = grid_anchors(
            self.stride, self.ratios, self.scales, search.shape[0] // 2, item["label_cls"].shape[-1]
        )
        anchors = centres.reshape(4, -1)
        for x, y in anchors[:2, label == 1].T.round().astype(int):
            cv2.circle(search, (int(x), int(y)), 2, _POSITIVE, -1, cv2.LINE_AA)
        if "bbox" in item and (label == 1).any():
            draw_region(search, _xywh(item["bbox"]), TRUTH, thickness=1)
        best = int(score.argmax())
        cx, cy, w, h = anchors[:, best]
        dx, dy, dw, dh = loc[:, best]
        sides = np.exp(np.minimum((dw, dh), 5))
        draw_region(
            search,
            _xywh(center2corner(Center(cx + dx * w, cy + dy * h, w * sides[0], h * sides[1]))),
            PREDICTED,
            f"{score[best]:.2f}",
            thickness=1,
        )
        if not (label == 1).any():
            draw_label(search, "another object", (4, search.shape[0]), _POSITIVE)
        low = search.shape[0] - template.shape[0]
        return np.concatenate([np.pad(template, ((0, max(low, 0)), (0, 0), (0, 0))), search], axis=1)


def _xywh(corner) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(value) for value in corner)
    return x1, y1, x2 - x1, y2 - y1
