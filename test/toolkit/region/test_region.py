import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysot.toolkit.region import raster
from pysot.toolkit.region.raster import corners_of, do_overlap, overlap, overlaps, region_table

SIZE = 60


def painted(polygon, width, height):
    """Paint a polygon by the rule of the raster, row by row, on the image (0..width, 0..height)."""
    mask = np.zeros((height + 1, width + 1), bool)
    points = [
        tuple(int(np.trunc(v + np.copysign(0.5, v))) for v in point) for point in np.float32(polygon).reshape(-1, 2)
    ]
    for y in range(height + 1):
        nodes = []
        for (xi, yi), (xj, yj) in zip(points, points[-1:] + points[:-1], strict=True):
            if yi != yj and min(yi, yj) <= y <= max(yi, yj):
                nodes.append(int(xi + (y - yi) / (yj - yi) * (xj - xi)))
        nodes.sort()
        while len(nodes) > 1:
            first, last = nodes[:2]
            if first == last:
                nodes = nodes[1:]
                continue
            if last >= 0:
                mask[y, max(first, 0) : last + 1] = True
            nodes = nodes[2:]
    return mask


def by_hand(a, b, width=SIZE, height=SIZE):
    """Return the overlap of two polygons (8 numbers, none negative) by masks that begin at their common upper left.

    The distance from there decides whether a crossing that should be an integer is truncated to it.
    """
    both = np.stack([a, b]).reshape(2, 4, 2)
    origin = np.floor(both.min(axis=(0, 1)))
    right, lower = (np.minimum(np.ceil(both.max(axis=(0, 1))), [width, height]) - origin).astype(int)
    mask_a, mask_b = (painted(points - origin, right, lower) for points in both)
    union = (mask_a | mask_b).sum()
    return (mask_a & mask_b).sum() / union if union else np.nan


def test_no_region_at_all():
    assert region_table([]).shape == (0, 8)
    assert overlaps(np.empty((0, 4, 2)), np.empty((0, 4, 2)), 10, 10).shape == (0,)


@pytest.mark.parametrize("numbers", [1, 3, 5, 6, 9])
def test_other_counts_are_refused(numbers):
    with pytest.raises(ValueError, match="4 or 8"):
        region_table([np.zeros(numbers)])


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="equal length"):
        overlaps(np.zeros((2, 4, 2)), np.zeros((3, 4, 2)), 10, 10)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_is_unknown(bad):
    assert np.isnan(overlap([1, 2, bad, 4], [1, 2, 3, 4], 20, 20))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([10, 10, 9, 9], [10, 10, 9, 9], 1.0),  # corners 10..19: 100 pixels
        ([10, 10, 9, 9], [15, 10, 9, 9], 50 / 150),
        ([10, 10, 9, 9], [30, 30, 9, 9], 0.0),
        ([10, 10, 9, 9], [10, 10, 9, 4], 0.5),
        ([-10, 10, 19, 9], [0, 10, 9, 9], 1.0),  # outside the image does not count
        ([50, 50, 30, 30], [50, 50, 10, 10], 1.0),
        ([10, 10, 0, 0], [10, 10, 9, 9], 0.0),
        ([10, 10, 9, 0.4], [10, 10, 9, 9], 0.0),  # its corners round to a line, which paints no pixel
        ([1e20, 1e20, 5, 5], [10, 10, 9, 9], 0.0),
    ],
)
def test_boxes(a, b, expected):
    assert overlap(a, b, SIZE, SIZE) == pytest.approx(expected, abs=1e-6)
    assert overlap(b, a, SIZE, SIZE) == pytest.approx(expected, abs=1e-6)


def test_two_empty_regions_are_unknown_or_zero_not_an_error():
    value = overlap([10, 10, 0, 0], [10, 10, 0, 0], SIZE, SIZE)
    assert value == 0 or np.isnan(value)


def test_box_is_the_polygon_of_its_corners():
    assert overlap([5, 6, 20, 10], [5, 6, 25, 6, 25, 16, 5, 16], SIZE, SIZE) == 1.0
    assert corners_of(region_table([[5, 6, 20, 10]])).ravel().tolist() == [5, 6, 25, 6, 25, 16, 5, 16]


def test_any_quadrangles_agree_with_the_rule_row_by_row():
    """Tilted, thin, crossed and zigzag quadrangles; halves, corners on a row; fully and partly in the image."""
    rng = np.random.default_rng(3)
    a = np.round(rng.uniform(0, SIZE + 12, (1500, 8)) * 2) / 2
    b = np.round(a + rng.normal(0, 6, a.shape)).clip(0)
    a[:200, 1::2] = a[:200, 1:2] + np.round(rng.normal(0, 1, (200, 4)))  # nearly flat
    a[:200] = a[:200].clip(0)
    got = overlaps(a.reshape(-1, 4, 2), b.reshape(-1, 4, 2), SIZE, SIZE)
    expected = np.array([by_hand(x, y) for x, y in zip(a, b, strict=True)])
    degenerate = np.isnan(expected) | (got == 0)  # regions without area can count as apart by their bounds alone
    assert degenerate.mean() < 0.4
    np.testing.assert_allclose(got[~degenerate], expected[~degenerate], atol=1e-6)
    assert (expected[got == 0][~np.isnan(expected[got == 0])] < 0.06).all()


def test_zigzag_quadrangle_has_two_intervals_per_row():
    zigzag = [0, 0, 10, 20, 20, 0, 30, 20]
    box = [0, 0, 30, 20]
    assert overlap(zigzag, box, SIZE, SIZE) == pytest.approx(by_hand(zigzag, [0, 0, 30, 0, 30, 20, 0, 20]), abs=1e-6)


def test_moved_by_whole_pixels_nothing_changes():
    a, b = np.array([8.3, 4.2, 30.1, 9.9, 27.4, 22.6, 5.6, 16.9]), np.array([10.0, 5, 20, 15])
    moved = overlap(a + 20, b + [20, 20, 0, 0], 200, 200)
    assert 0.3 < moved < 1 and moved == overlap(a, b, 200, 200)


def test_many_at_once_are_those_one_by_one(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(0, 90, (40, 4, 2)).astype(np.float32) for _ in range(2))
    width, height = rng.integers(60, 100, (2, 40))
    complete = overlaps(a, b, width, height)
    monkeypatch.setattr("pysot.toolkit.region.raster._ROWS_AT_ONCE", 100)
    np.testing.assert_array_equal(overlaps(a, b, width, height), complete)
    single = [overlaps(a[i : i + 1], b[i : i + 1], width[i], height[i])[0] for i in range(40)]
    np.testing.assert_array_equal(single, complete)


@settings(max_examples=300, deadline=None)
@given(
    st.tuples(*[st.floats(-20, 80)] * 2, *[st.floats(0, 60)] * 2),
    st.lists(st.tuples(st.floats(-20, 80), st.floats(-20, 80)), min_size=4, max_size=4),
)
def test_do_overlap_is_an_overlap_above_zero(box, corners):
    """Also for ground truth that crosses itself or has equal corners."""
    truth = np.array(corners).ravel()
    expected = overlap(box, truth, 60, 50) > 0
    assert do_overlap(box, truth, 60, 50) == expected
    assert do_overlap(truth, truth, 60, 50) == (overlap(truth, truth, 60, 50) > 0)


def test_most_overlaps_need_no_painting(monkeypatch):
    truth = np.array([10.0, 10, 40, 14, 38, 40, 8, 36])
    monkeypatch.setattr(raster, "overlaps", None)
    assert do_overlap([12, 12, 25, 25], truth, 60, 50)
    assert do_overlap([12, 12, 25, 25], truth.reshape(4, 2)[::-1].ravel(), 60, 50)
    with pytest.raises(TypeError):
        do_overlap([12, 12, 9, 25], truth, 60, 50)
