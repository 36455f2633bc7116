"""Images of training pairs: template and search crop side by side, with target, positives and prediction.

Networks with masks also show the outlines of the true and the predicted mask.

Shapes: batch B, A anchors per cell (1 without anchors), S cells per side. Boxes are pixels of the search crop, xyxy.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from pysot.models.head.mask import WINDOW_SIDE, Cells, window_margin
from pysot.models.model_builder import ModelBuilder, Prediction
from pysot.utils.anchor import grid_anchors
from pysot.utils.bbox import Center, Corner, center2corner
from pysot.utils.masks import Mask
from pysot.utils.points import grid_points
from pysot.utils.visualize import PREDICTED, TRUTH, draw_label, draw_outline, draw_region

_POSITIVE = (233, 180, 86)  # BGR, light blue
_PAIRS = 4


class AnchorBoxes(NamedTuple):
    """Boxes that a network with anchors predicts."""

    stride: int
    ratios: Sequence[float]
    scales: Sequence[float]

    def centres(self, side: int, count: int) -> np.ndarray:
        """Return x and y (2, A * S * S) of the anchors of a crop of `side` pixels with S = `count`."""
        return self._anchors(side, count)[:2]

    def box(self, side: int, count: int, best: int, output: Sequence[float]) -> Corner:
        """Return the box of anchor number `best` for its `output` dx, dy, dw, dh."""
        cx, cy, w, h = self._anchors(side, count)[:, best]
        dx, dy, dw, dh = output
        sides = np.exp(np.minimum((dw, dh), 5))
        return center2corner(Center(cx + dx * w, cy + dy * h, w * sides[0], h * sides[1]))

    def _anchors(self, side: int, count: int) -> np.ndarray:
        return grid_anchors(self.stride, self.ratios, self.scales, side // 2, count)[1].reshape(4, -1)


class PointBoxes(NamedTuple):
    """Boxes that a network without anchors predicts; methods as those of `AnchorBoxes`."""

    stride: int

    def centres(self, side: int, count: int) -> np.ndarray:
        """Return x and y (2, S * S) of the points."""
        return grid_points(self.stride, side // 2, count).reshape(2, -1)

    def box(self, side: int, count: int, best: int, output: Sequence[float]) -> Corner:
        """Return the box of point number `best` for its `output`, the distances left, top, right, bottom."""
        x, y = self.centres(side, count)[:, best]
        left, top, right, bottom = output
        return Corner(x - left, y - top, x + right, y + bottom)


class PairPicture:
    """Drawing of the first pairs of a batch with the prediction of the network, which does not change."""

    def __init__(self, boxes: AnchorBoxes | PointBoxes):
        self.boxes = boxes

    def __call__(self, model: ModelBuilder, batch: Mapping[str, torch.Tensor]) -> np.ndarray:
        """Return the image (H, W, 3) uint8 RGB of a batch with float images on the network's device."""
        batch = {name: value[:_PAIRS] for name, value in batch.items()}
        modes = {module: module.training for module in model.modules()}
        model.eval()  # drawing must not change the batch-norm statistics
        try:
            with torch.no_grad():
                output = model.predict(batch)
                size = len(output.cls)
                logits = output.cls.float().reshape(size, 2, -1)
                confidence, best = torch.softmax(logits, 1)[:, 1].max(1)
                masks = self._masks(output, best, batch["search"].shape[-1])
        finally:
            for module, mode in modes.items():
                module.training = mode
        rows = []
        for i in range(size):
            item = {name: value[i].cpu().numpy() for name, value in batch.items()}
            number = int(best[i])
            values = output.loc[i].float().reshape(4, -1)[:, number].tolist()
            rows.append(self._row(item, number, float(confidence[i]), values, masks.get(i)))
        return np.concatenate(rows)[:, :, ::-1].copy()

    def _masks(self, output: Prediction, anchors: torch.Tensor, side: int) -> dict[int, Mask]:
        """Return the mask in each search crop of `side` pixels for its best anchor, by pair, if there are masks."""
        if output.masks is None:
            return {}
        count = output.cls.shape[-1]
        cells = anchors % count**2
        rows, columns = cells // count, cells % count
        logits = output.masks(Cells(torch.arange(len(cells), device=cells.device), rows, columns))
        corners = torch.stack([columns, rows], 1) * self.boxes.stride - window_margin(count, self.boxes.stride, side)
        pixels = (logits >= 0).unflatten(1, (WINDOW_SIDE, WINDOW_SIDE)).cpu().numpy()
        return {i: Mask(x, y, pixels[i]) for i, (x, y) in enumerate(corners.tolist())}

    def _row(
        self, item: Mapping[str, np.ndarray], best: int, confidence: float, output: Sequence[float], mask: Mask | None
    ) -> np.ndarray:
        """Draw a pair with the box of its anchor or point number `best`, see `AnchorBoxes.box`, and its mask."""
        template, search = (
            np.clip(item[name].transpose(1, 2, 0), 0, 255).astype(np.uint8).copy() for name in ("template", "search")
        )
        label, grid = item["label_cls"].reshape(-1), (search.shape[0], item["label_cls"].shape[-1])
        for x, y in self.boxes.centres(*grid)[:, label == 1].T.round().astype(int):
            cv2.circle(search, (int(x), int(y)), 2, _POSITIVE, -1, cv2.LINE_AA)
        if "bbox" in item and (label == 1).any():
            draw_region(search, _xywh(item["bbox"]), TRUTH, thickness=1)
        if mask is not None:
            draw_outline(search, Mask(0, 0, item["search_mask"] > 0), TRUTH, thickness=1)
            draw_outline(search, mask, PREDICTED, thickness=1)
        predicted = self.boxes.box(*grid, best, output)
        draw_region(search, _xywh(predicted), PREDICTED, f"{confidence:.2f}", thickness=1)
        if not (label == 1).any():
            draw_label(search, "another object", (4, search.shape[0]), _POSITIVE)
        below = max(search.shape[0] - template.shape[0], 0)
        return np.concatenate([np.pad(template, ((0, below), (0, 0), (0, 0))), search], axis=1)


def _xywh(corner: Sequence[float] | np.ndarray) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(value) for value in corner)
    return x1, y1, x2 - x1, y2 - y1
