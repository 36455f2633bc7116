"""What the network should say about one search crop.

Shapes: A anchors per cell, S cells per side. Labels: 1 target, 0 background, -1 not counted. Boxes are pixels of the search crop.
"""

from dataclasses import dataclass, field

import numpy as np

from pysot.utils.anchor import grid_anchors
from pysot.utils.bbox import Corner, IoU, corner2center

NEGATIVE_REACH = 3  # cells on each side of the target's cell


@dataclass(frozen=True)
class AnchorTarget:
    """Labels for search crops of `search_size` pixels and `output_size` cells per side."""

    stride: int
    ratios: tuple[float, ...]
    scales: tuple[float, ...]
    search_size: int
    output_size: int
    thr_high: float
    thr_low: float
    pos_num: int
    neg_num: int
    total_num: int
    anchors: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        if not 0 <= self.thr_low <= self.thr_high <= 1:
            raise ValueError(
                f"expected 0 <= TRAIN.THR_LOW <= TRAIN.THR_HIGH <= 1, got {self.thr_low} and {self.thr_high}"
            )
        if min(self.pos_num, self.neg_num) < 0 or self.total_num < self.pos_num:
            raise ValueError(
                f"expected 0 <= TRAIN.POS_NUM <= TRAIN.TOTAL_NUM and TRAIN.NEG_NUM >= 0, got {self.pos_num}, {self.total_num} and "
                f"{self.neg_num}"
            )
        anchors = grid_anchors(
            self.stride, self.ratios, self.scales, image_center=self.search_size // 2, size=self.output_size
        )
        object.__setattr__(self, "anchors", anchors)
        object.__setattr__(self, "_lines", tuple(_lines(form) for form in anchors))

    def __call__(
        self, rng: np.random.Generator, target: Corner, negative: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels (A, S, S) int64, box offsets (4, A, S, S) float32 and their weights (A, S, S) float32 for the target's box in the crop."""
        shape = self.anchors[1].shape
        if negative:
            # pysot-compat: offsets and weights of negative pairs stay zero. test: datasets/test_anchor_target.py::test_negative_pair
            return (
                self._negative_labels(rng, target, shape[1:]),
                np.zeros(shape, np.float32),
                np.zeros(shape[1:], np.float32),
            )
        overlap = IoU(self._lines[0], target).reshape(-1)
        positive = _at_most(rng, np.flatnonzero(overlap > self.thr_high), self.pos_num)
        # pysot-compat: background fills TOTAL_NUM - POS_NUM places even when fewer than POS_NUM anchors are positive.
        # test: datasets/test_anchor_target.py::test_matches_brute_force
        background = _at_most(rng, np.flatnonzero(overlap < self.thr_low), self.total_num - self.pos_num)
        labels = np.full(overlap.shape, -1, np.int64)
        labels[background] = 0
        labels[positive] = 1
        weights = np.zeros(overlap.shape, np.float32)
        weights[positive] = 1.0 / (len(positive) + 1e-6)
        return labels.reshape(shape[1:]), self._offsets(target), weights.reshape(shape[1:])

    def _offsets(self, target: Corner) -> np.ndarray:
        tx, ty, tw, th = corner2center(target)
        x, y, w, h = self._lines[1]
        offsets = np.empty(self.anchors[1].shape, np.float32)
        offsets[0], offsets[1], offsets[2], offsets[3] = (tx - x) / w, (ty - y) / h, np.log(tw / w), np.log(th / h)
        return offsets

    def _negative_labels(self, rng, target: Corner, shape) -> np.ndarray:
        """Background at neg_num random anchors around the target, where the network would be most tempted."""
        # pysot-compat: the window is 7 x 7 cells and up to one cell right and down of the target, because of ceil(... + 0.5).
        # test: datasets/test_anchor_target.py::test_negative_pair
        tx, ty, _, _ = corner2center(target)
        cells = np.zeros(shape, bool)
        cells[:, self._window(ty), self._window(tx)] = True
        labels = np.full(cells.size, -1, np.int64)
        labels[_at_most(rng, np.flatnonzero(cells), self.neg_num)] = 0
        return labels.reshape(shape)

    def _window(self, position: float) -> slice:
        cell = self.output_size // 2 + int(np.ceil((position - self.search_size // 2) / self.stride + 0.5))
        return slice(max(0, cell - NEGATIVE_REACH), max(0, min(self.output_size, cell + NEGATIVE_REACH + 1)))


def _lines(anchors: np.ndarray) -> tuple[np.ndarray, ...]:
    """Anchors (4, A, S, S) by what they change with: level numbers (A, 1, S) and upright ones (A, S, 1). In both forms the first and third are level."""
    return anchors[0][:, :1, :], anchors[1][:, :, :1], anchors[2][:, :1, :], anchors[3][:, :, :1]


def _at_most(rng, places: np.ndarray, count: int) -> np.ndarray:
    return places if len(places) <= count else rng.choice(places, count, replace=False)
