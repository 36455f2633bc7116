"""Boxes: conversions, overlap, and the upright box of a polygon."""

import numpy as np
import pytest

from pysot.utils.bbox import (
    Center,
    Corner,
    IoU,
    center2corner,
    corner2center,
    cxy_wh_2_rect,
    get_axis_aligned_bbox,
    get_min_max_bbox,
    init_box_from_region,
    rect_2_cxy_wh,
)


@pytest.mark.parametrize("region", [[], [1, 2, 3], [1, 2, 3, 4, 5, 6]])
def test_regions_of_other_lengths(region):
    with pytest.raises(ValueError, match="4 numbers.*or 8"):
        get_axis_aligned_bbox(region)


def test_region_with_nan():
    with pytest.raises(ValueError, match="finite"):
        get_axis_aligned_bbox([1, 2, float("nan"), 4])


def test_axis_aligned_box_of_a_rectangle():
    assert get_axis_aligned_bbox([10, 20, 30, 40]) == (25, 40, 30, 40)
    # A polygon counts its border pixels: one more in width and height.
    np.testing.assert_allclose(get_axis_aligned_bbox([10, 20, 40, 20, 40, 60, 10, 60]), (25, 40, 31, 41))


def test_axis_aligned_box_keeps_the_area_of_a_rotated_one():
    angle, corners = np.radians(30), np.array([[-20, -10], [20, -10], [20, 10], [-20, 10]])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    _, _, w, h = get_axis_aligned_bbox((corners @ rotation.T).ravel())
    assert (w - 1) * (h - 1) == pytest.approx(800)


def test_a_polygon_without_area():
    assert get_axis_aligned_bbox([5, 5] * 4) == (5, 5, 1, 1)


def test_init_box_offset():
    np.testing.assert_allclose(init_box_from_region([10, 20, 30, 40]), [10.5, 20.5, 30, 40])


def test_min_max_box():
    assert get_min_max_bbox([0, 0, 10, 2, 8, 12, -2, 10]) == (4, 6, 12, 12)
    assert get_min_max_bbox([10, 20, 30, 40]) == (25, 40, 30, 40)


def test_corners_and_centres_are_inverse():
    assert corner2center(Corner(10, 20, 30, 60)) == Center(20, 40, 20, 40)
    assert center2corner(corner2center(Corner(10, 20, 30, 60))) == Corner(10, 20, 30, 60)
    assert isinstance(corner2center((1, 2, 3, 4)), tuple) and not isinstance(corner2center((1, 2, 3, 4)), Center)


def test_rect_conversions():
    position, size = rect_2_cxy_wh([10, 20, 30, 40])
    np.testing.assert_allclose(cxy_wh_2_rect(position, size), [10, 20, 30, 40])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0),
        ((0, 0, 10, 10), (5, 0, 15, 10), 1 / 3),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0),
    ],
)
def test_overlap(a, b, expected):
    assert IoU(a, b) == pytest.approx(expected)
    assert IoU(b, a) == pytest.approx(expected)


def test_overlap_of_many():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10]], float).T
    np.testing.assert_allclose(IoU(boxes, (0, 0, 10, 10)), [1, 1 / 3])
