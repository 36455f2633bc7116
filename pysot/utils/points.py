"""Points of a head without anchors: one for each cell of the score map."""

import numpy as np


def grid_points(stride: int, image_center: int, size: int) -> np.ndarray:
    """Return x and y (2, S, S) float32 of the points of a search crop, in its pixels.

    They are `stride` pixels apart, the middle one at `image_center`, the centre pixel of the crop (side // 2). `size`
    is the number of points per side S.
    """
    steps = (np.arange(size, dtype=np.float32) - size // 2) * stride + image_center
    return np.stack(np.meshgrid(steps, steps))
