"""Anchor labels and regression targets for one search crop.

Shapes: A anchors per cell, S cells per side. Labels: 1 target, 0 background, -1 ignored. Boxes are pixels of the search
crop.
"""

from dataclasses import dataclass, field

import numpy as np

from pysot.datasets.collate import Forms
from pysot.utils.anchor import grid_anchors
from pysot.utils.bbox import Corner, IoU, corner2center

NEGATIVE_RADIUS = 3  # cells on each side of the target's cell


@dataclass(frozen=True)
class AnchorTarget:
    """Anchor labelling for search crops of `search_size` pixels and `output_size` cells per side."""

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
    _compact_corners: tuple[np.ndarray, ...] = field(init=False, repr=False, compare=False)
    _compact_centres: tuple[np.ndarray, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.thr_low <= self.thr_high <= 1:
            raise ValueError(
                f"expected 0 <= TRAIN.THR_LOW <= TRAIN.THR_HIGH <= 1, got {self.thr_low} and {self.thr_high}"
            )
        check_counts(self.pos_num, self.neg_num, self.total_num)
        anchors = grid_anchors(
            self.stride, self.ratios, self.scales, image_center=self.search_size // 2, size=self.output_size
        )
        object.__setattr__(self, "anchors", anchors)
        object.__setattr__(self, "_compact_corners", _compact(anchors[0]))
        object.__setattr__(self, "_compact_centres", _compact(anchors[1]))

    @property
    def forms(self) -> Forms:
        """Name, shape and type of each array of labels, in their order."""
        shape, float32 = self.anchors[1].shape, np.dtype(np.float32)
        return {
            "label_cls": (shape[1:], np.dtype(np.int64)),
            "label_loc": (shape, float32),
            "label_loc_weight": (shape[1:], float32),
        }

    def __call__(
        self, rng: np.random.Generator, target: Corner, negative: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return labels, box offsets and their weights for the target's box in the search crop.

        Labels are (A, S, S) int64, offsets (4, A, S, S) float32, weights (A, S, S) float32.
        """
        shape = self.anchors[1].shape
        if negative:
            # pysot-compat: offsets and weights of negative pairs stay zero.
            # test: datasets/test_anchor_target.py::test_negative_pair
            return (
                self._negative_labels(rng, target, shape[1:]),
                np.zeros(shape, np.float32),
                np.zeros(shape[1:], np.float32),
            )
        overlap = IoU(self._compact_corners, target).reshape(-1)
        positive = sample_at_most(rng, np.flatnonzero(overlap > self.thr_high), self.pos_num)
        # pysot-compat: at most TOTAL_NUM - POS_NUM anchors are background, even when fewer than POS_NUM are positive.
        # test: datasets/test_anchor_target.py::test_matches_brute_force
        background = sample_at_most(rng, np.flatnonzero(overlap < self.thr_low), self.total_num - self.pos_num)
        labels = np.full(overlap.shape, -1, np.int64)
        labels[background] = 0
        labels[positive] = 1
        weights = np.zeros(overlap.shape, np.float32)
        weights[positive] = 1.0 / (len(positive) + 1e-6)
        return labels.reshape(shape[1:]), self._offsets(target), weights.reshape(shape[1:])

    def _offsets(self, target: Corner) -> np.ndarray:
        """Return the regression targets (4, A, S, S): shift relative to the anchor's size, log of the size ratio."""
        tx, ty, tw, th = corner2center(target)
        x, y, w, h = self._compact_centres
        offsets = np.empty(self.anchors[1].shape, np.float32)
        offsets[0] = (tx - x) / w
        offsets[1] = (ty - y) / h
        offsets[2] = np.log(tw / w)
        offsets[3] = np.log(th / h)
        return offsets

    def _negative_labels(self, rng: np.random.Generator, target: Corner, shape: tuple[int, ...]) -> np.ndarray:
        """Label neg_num random anchors near the target as background, where false positives are most likely."""
        # pysot-compat: the window is 7 x 7 cells and up to one cell right and down of the target, because of
        # ceil(... + 0.5).
        # test: datasets/test_anchor_target.py::test_negative_pair
        tx, ty, _, _ = corner2center(target)
        cells = np.zeros(shape, bool)
        cells[:, self._window(ty), self._window(tx)] = True
        labels = np.full(cells.size, -1, np.int64)
        labels[sample_at_most(rng, np.flatnonzero(cells), self.neg_num)] = 0
        return labels.reshape(shape)

    def _window(self, position: float) -> slice:
        """Return the cells within NEGATIVE_RADIUS of a pixel position along one side."""
        cell = self.output_size // 2 + int(np.ceil((position - self.search_size // 2) / self.stride + 0.5))
        return slice(max(0, cell - NEGATIVE_RADIUS), max(0, min(self.output_size, cell + NEGATIVE_RADIUS + 1)))


def _compact(anchors: np.ndarray) -> tuple[np.ndarray, ...]:
    """Drop the axis along which each coordinate of anchors (4, A, S, S) is constant, for broadcasting.

    In both forms the first and third coordinate are horizontal and become (A, 1, S), the others (A, S, 1).
    """
    return anchors[0][:, :1, :], anchors[1][:, :, :1], anchors[2][:, :1, :], anchors[3][:, :, :1]


def check_counts(pos_num: int, neg_num: int, total_num: int) -> None:
    """Raise ValueError unless the numbers of labels fit together."""
    if min(pos_num, neg_num) < 0 or total_num < pos_num:
        raise ValueError(
            "expected 0 <= TRAIN.POS_NUM <= TRAIN.TOTAL_NUM and TRAIN.NEG_NUM >= 0, got "
            f"{pos_num}, {total_num} and {neg_num}"
        )


def sample_at_most(rng: np.random.Generator, candidates: np.ndarray, count: int) -> np.ndarray:
    """Return `count` of the candidates (N,), drawn at random, or all of them if there are no more."""
    return candidates if len(candidates) <= count else rng.choice(candidates, count, replace=False)
