"""Anchors of the region proposal network.

Shapes: A anchors per cell (ratios x scales, ratios outer), S cells per side. Boxes are in pixels, relative to the crop
(`grid_anchors`) or to the centre of one cell (`base_anchors`).
"""

from collections.abc import Sequence

import numpy as np

from pysot.utils.bbox import corner2center


def base_anchors(stride: int, ratios: Sequence[float], scales: Sequence[float]) -> np.ndarray:
    """Return anchors (A, 4) xyxy around the origin, float32.

    A ratio is height / width. The area at scale 1 is stride squared.
    """
    anchors = []
    for ratio in ratios:
        width = int(np.sqrt(stride * stride / ratio))
        height = int(width * ratio)
        for scale in scales:
            half_w, half_h = width * scale * 0.5, height * scale * 0.5
            anchors.append((-half_w, -half_h, half_w, half_h))
    return np.array(anchors, dtype=np.float32)


def grid_anchors(
    stride: int, ratios: Sequence[float], scales: Sequence[float], image_center: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the anchors of every cell of a search crop as corners and as centres, float32.

    Corners are (4, A, S, S) xyxy, centres (4, A, S, S) cxcywh. `image_center` is the centre pixel of the crop (side //
    2), `size` the number of cells per side S.
    """
    origin = image_center - size // 2 * stride
    corners = base_anchors(stride, ratios, scales).T[:, :, None, None] + np.float32(origin)
    steps = np.arange(size, dtype=np.float32) * stride
    x1, y1, x2, y2 = corners
    along_x, along_y = steps[None, None, :], steps[None, :, None]
    x1, y1, x2, y2 = np.broadcast_arrays(x1 + along_x, y1 + along_y, x2 + along_x, y2 + along_y)
    corners = np.stack([x1, y1, x2, y2]).astype(np.float32)
    return corners, np.stack(corner2center(corners)).astype(np.float32)


def tracking_anchors(stride: int, ratios: Sequence[float], scales: Sequence[float], score_size: int) -> np.ndarray:
    """Return anchors (A * S * S, 4) cxcywh relative to the centre of the search crop, float32.

    Their order is that of the flattened head outputs.
    """
    _, centers = grid_anchors(stride, ratios, scales, image_center=0, size=score_size)
    return centers.reshape(4, -1).T.copy()


class Anchors:
    """Anchors with the interface of the original package's class; `anchors` is (A, 4) xyxy around the origin.

    `generate_all_anchors(im_c, size)` fills `all_anchors` with corners and centres of (4, A, size, size).
    """

    def __init__(
        self, stride: int, ratios: Sequence[float], scales: Sequence[float], image_center: int = 0, size: int = 0
    ) -> None:
        self.stride = stride
        self.ratios = ratios
        self.scales = scales
        self.image_center = image_center
        self.size = size
        self.anchor_num = len(ratios) * len(scales)
        self.anchors = base_anchors(stride, ratios, scales)
        self.all_anchors: tuple[np.ndarray, np.ndarray] | None = None

    def generate_all_anchors(self, im_c: int, size: int) -> bool:
        """Compute `all_anchors` for a crop with centre pixel `im_c` and `size` cells per side.

        Return False if they existed already.
        """
        if self.all_anchors is not None and (self.image_center, self.size) == (im_c, size):
            return False
        self.image_center = im_c
        self.size = size
        self.all_anchors = grid_anchors(self.stride, self.ratios, self.scales, im_c, size)
        return True
