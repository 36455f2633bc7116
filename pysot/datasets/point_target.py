"""Labels and distances of the points of one search crop, for a head without anchors.

Shapes: S points per side. Labels: 1 target, 0 background, -1 ignored. Boxes are pixels of the search crop.

Source: Chen et al., Siamese Box Adaptive Network for Visual Tracking, 2020, section 3.3, and its authors' code.
"""

from dataclasses import dataclass, field

import numpy as np

from pysot.datasets.anchor_target import check_counts, sample_at_most
from pysot.datasets.collate import Forms
from pysot.utils.bbox import Corner, corner2center
from pysot.utils.points import grid_points

# Half axes of the two ellipses around the target's centre, as shares of its width and height.
_INNER, _OUTER = 1 / 4, 1 / 2


@dataclass(frozen=True)
class PointTarget:
    """Point labelling for search crops of `search_size` pixels with `output_size` points per side.

    Points inside the inner ellipse of the target are target, those outside the outer ellipse background, those between
    the two are ignored. At most `pos_num` and `total_num` - `pos_num` of them are chosen at random, the others are
    ignored.
    """

    stride: int
    search_size: int
    output_size: int
    pos_num: int
    neg_num: int
    total_num: int
    _points: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_counts(self.pos_num, self.neg_num, self.total_num)
        points = grid_points(self.stride, self.search_size // 2, self.output_size)
        object.__setattr__(self, "_points", points.astype(np.float64))

    @property
    def forms(self) -> Forms:
        """Name, shape and type of each array of labels, in their order."""
        shape = self._points.shape[1:]
        return {"label_cls": (shape, np.dtype(np.int64)), "label_loc": ((4, *shape), np.dtype(np.float32))}

    def __call__(self, rng: np.random.Generator, target: Corner, negative: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and distances for the target's box in the search crop.

        Labels are (S, S) int64. Distances (4, S, S) float32 are those from each point to the left, top, right and
        bottom side of the box in pixels, below 0 for a side that the point is beyond.

        A negative pair has no target: at most `neg_num` points inside the inner ellipse are background, all others are
        ignored, and distances are 0. The inner ellipse of a small or thin box may contain no point. Then a pair has no
        target point, as published, and a negative pair no label.
        """
        x, y = self._points
        cx, cy, w, h = corner2center(target)
        distance = np.hypot((x - cx) / w, (y - cy) / h).reshape(-1)
        inside = np.flatnonzero(distance < _INNER)
        labels = np.full(distance.shape, -1, np.int64)
        if negative:
            labels[sample_at_most(rng, inside, self.neg_num)] = 0
            return labels.reshape(x.shape), np.zeros((4, *x.shape), np.float32)
        labels[sample_at_most(rng, inside, self.pos_num)] = 1
        outside = np.flatnonzero(distance > _OUTER)
        labels[sample_at_most(rng, outside, self.total_num - self.pos_num)] = 0
        sides = np.stack([x - target.x1, y - target.y1, target.x2 - x, target.y2 - y])
        return labels.reshape(x.shape), sides.astype(np.float32)
