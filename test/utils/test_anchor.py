"""Anchors, compared with those of the original code."""

import numpy as np

from helpers import PARITY
from pysot.utils.anchor import Anchors, base_anchors, grid_anchors, tracking_anchors

RATIOS, SCALES = [0.33, 0.5, 1, 2, 3], [8]


def test_parity():
    expected = np.load(PARITY / "anchors.npz")
    np.testing.assert_allclose(base_anchors(8, RATIOS, SCALES), expected["base"], atol=1e-4)
    corners, centers = grid_anchors(8, RATIOS, SCALES, image_center=255 // 2, size=25)
    np.testing.assert_allclose(corners, expected["corners"], atol=1e-4)
    np.testing.assert_allclose(centers, expected["centers"], atol=1e-4)


def test_several_scales():
    anchors = base_anchors(8, [1], [4, 8])
    np.testing.assert_allclose(anchors, [[-16, -16, 16, 16], [-32, -32, 32, 32]])


def test_tracking_anchors_are_flattened_like_the_heads():
    anchors = tracking_anchors(8, RATIOS, SCALES, score_size=3)
    assert anchors.shape == (45, 4)
    np.testing.assert_allclose(anchors[:9, :2], [[x, y] for y in (-8, 0, 8) for x in (-8, 0, 8)])
    assert len(np.unique(anchors[:9, 2:], axis=0)) == 1


def test_class_of_the_original():
    anchors = Anchors(8, RATIOS, SCALES)
    assert anchors.anchor_num == 5 and anchors.anchors.shape == (5, 4)
    assert anchors.generate_all_anchors(127, 25) is True
    assert anchors.generate_all_anchors(127, 25) is False
    assert anchors.all_anchors[0].shape == anchors.all_anchors[1].shape == (4, 5, 25, 25)
