"""Images of training pairs: template and search crop side by side, with target, positives and prediction.

Shapes: batch B, A anchors per cell, S cells per side. Boxes are pixels of the search crop, xyxy.
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch

from pysot.models.siamrpn import SiamRPN
from pysot.utils.anchor import grid_anchors
from pysot.utils.bbox import Center, center2corner
from pysot.utils.visualize import PREDICTED, TRUTH, draw_label, draw_region

_POSITIVE = (233, 180, 86)  # BGR, light blue
_PAIRS = 4


class PairPicture:
    """Drawing of the first pairs of a batch with the prediction of the network, which does not change."""

    def __init__(self, stride: int, ratios: Sequence[float], scales: Sequence[float]):
        self.stride = stride
        self.ratios = ratios
        self.scales = scales

    def __call__(self, model: SiamRPN, batch: Mapping[str, torch.Tensor]) -> np.ndarray:
        """Return the image (H, W, 3) uint8 RGB of a batch with float images on the network's device."""
        batch = {name: value[:_PAIRS] for name, value in batch.items()}
        modes = {module: module.training for module in model.modules()}
        model.eval()  # drawing must not change the batch-norm statistics
        try:
            with torch.no_grad():
                output = SiamRPN.forward(model, batch["template"], batch["search"])
        finally:
            for module, mode in modes.items():
                module.training = mode
        size = len(batch["search"])
        cls, loc = (output[name].float().cpu().numpy() for name in ("cls", "loc"))
        confidence = torch.softmax(torch.from_numpy(cls.reshape(size, 2, -1)), 1)[:, 1].numpy()
        rows = []
        for i in range(size):
            item = {name: value[i].cpu().numpy() for name, value in batch.items()}
            rows.append(self._row(item, confidence[i], loc[i].reshape(4, -1)))
        return np.concatenate(rows)[:, :, ::-1].copy()

    def _row(self, item: Mapping[str, np.ndarray], confidence: np.ndarray, loc: np.ndarray) -> np.ndarray:
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
        best = int(confidence.argmax())
        cx, cy, w, h = anchors[:, best]
        dx, dy, dw, dh = loc[:, best]
        sides = np.exp(np.minimum((dw, dh), 5))
        predicted = center2corner(Center(cx + dx * w, cy + dy * h, w * sides[0], h * sides[1]))
        draw_region(search, _xywh(predicted), PREDICTED, f"{confidence[best]:.2f}", thickness=1)
        if not (label == 1).any():
            draw_label(search, "another object", (4, search.shape[0]), _POSITIVE)
        below = max(search.shape[0] - template.shape[0], 0)
        return np.concatenate([np.pad(template, ((0, below), (0, 0), (0, 0))), search], axis=1)


def _xywh(corner: Sequence[float] | np.ndarray) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(value) for value in corner)
    return x1, y1, x2 - x1, y2 - y1
