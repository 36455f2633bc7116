"""J and F of masks: by hand, against a literal form of their definitions, and on the edges of the image."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pysot.toolkit.region.mask_measures import measure_masks, tolerance

# Shapes (rows, columns) whose tolerance is 1, 1, 3 and 3 pixels.
SHAPES = ((9, 12), (1, 5), (3, 330), (330, 3))


def measure(truth, result):
    region, contour = measure_masks(np.asarray(truth, np.uint8), np.asarray(result, np.uint8), [1])
    return float(region[0]), float(contour[0])


def literal_boundary(mask):
    """Return the boundary as a set of (row, column)."""
    rows, columns = mask.shape
    found = set()
    for row in range(rows):
        for column in range(columns):
            neighbours = [(row, column + 1), (row + 1, column), (row + 1, column + 1)]
            inside = [place for place in neighbours if place[0] < rows and place[1] < columns]
            if any(mask[place] != mask[row, column] for place in inside):
                found.add((row, column))
    return found


def literal_f(truth, result):
    true_boundary, boundary = literal_boundary(truth), literal_boundary(result)
    radius = math.ceil(0.008 * math.hypot(*truth.shape))

    def share_near(places, others):
        near = [
            any((row - y) ** 2 + (column - x) ** 2 <= radius**2 for y, x in others) for row, column in sorted(places)
        ]
        return sum(near) / len(near)

    if not true_boundary or not boundary:
        return float(not true_boundary and not boundary)
    precision, recall = share_near(boundary, true_boundary), share_near(true_boundary, boundary)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@st.composite
def pairs_of_masks(draw):
    """Return two label images of up to three objects, rectangles that may touch the edges, and single pixels."""
    rows, columns = draw(st.sampled_from(SHAPES))
    images = []
    for _ in range(2):
        image = np.zeros((rows, columns), np.uint8)
        for _ in range(draw(st.integers(0, 4))):
            top, left = draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))
            height, width = draw(st.integers(1, rows)), draw(st.integers(1, min(columns, 40)))
            image[top : top + height, left : left + width] = draw(st.integers(0, 3))
        images.append(image)
    return images


@given(pairs_of_masks())
def test_the_literal_definitions(images):
    truth, result = images
    region, contour = measure_masks(truth, result, [1, 2, 3])
    for place, number in enumerate([1, 2, 3]):
        a, b = truth == number, result == number
        union = (a | b).sum()
        assert region[place] == ((a & b).sum() / union if union else 1)
        assert contour[place] == pytest.approx(literal_f(a, b), abs=1e-12)


@given(arrays.arrays(np.uint8, (9, 12), elements=st.integers(0, 1)), st.data())
def test_any_pixels(truth, data):
    result = data.draw(arrays.arrays(np.uint8, (9, 12), elements=st.integers(0, 1)))
    region, contour = measure(truth, result)
    assert contour == pytest.approx(literal_f(truth, result), abs=1e-12) and 0 <= region <= 1
    assert measure(truth, truth) == (1, 1)
    swapped = measure(result, truth)
    assert swapped == pytest.approx((region, contour), abs=1e-12)


def test_empty_masks():
    mask, empty = np.zeros((20, 30)), np.zeros((20, 30))
    mask[4:9, 5:12] = 1
    assert measure(mask, empty) == (0, 0) and measure(empty, mask) == (0, 0) and measure(empty, empty) == (1, 1)
    assert measure(np.ones((20, 30)), np.ones((20, 30))) == (1, 1)
    assert measure(np.ones((20, 30)), empty) == (0, 1)  # a mask of the complete image has no boundary


def test_shifts_by_hand():
    """A square of 10 pixels has a boundary of 4 x 10 pixels, and the tolerance of 40 x 60 is one pixel."""
    truth = np.zeros((40, 60), np.uint8)
    truth[10:20, 20:30] = 1
    assert tolerance(truth.shape) == 1
    by_one, by_two = (np.roll(truth, shift, axis=1) for shift in (1, 2))
    assert measure(truth, by_one) == (90 / 110, 1)
    region, contour = measure(truth, by_two)
    assert region == 80 / 120 and contour == pytest.approx(literal_f(truth, by_two)) and 0.4 < contour < 0.8
    assert measure(truth, np.roll(truth, 25, axis=1)) == (0, 0)


def test_the_tolerance_is_a_disk():
    """On 480 x 854 it is 8 pixels: a pixel 8 to the right matches, one 6 to the right and 6 down does not."""
    truth = np.zeros((480, 854), np.uint8)
    truth[:, :100] = 1
    assert tolerance(truth.shape) == 8
    for shift, expected in ((8, 1.0), (9, 0.0)):
        assert measure(truth, np.roll(truth, shift, axis=1) | truth)[1] == expected
    corner, moved = np.zeros((2, 480, 854), np.uint8)
    corner[479, 853] = 1
    moved[473, 847] = 1
    # boundaries: three pixels around the corner, four around the pixel 6 from it, both ways
    assert measure(corner, moved)[1] == pytest.approx(literal_f(corner, moved))
    assert 0 < literal_f(corner, moved) < 1


@pytest.mark.parametrize("seed", range(3))
def test_large_frames_equal_a_dilation_of_the_whole_frame(seed):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.standard_normal((2, 480, 854)).transpose(1, 2, 0).astype(np.float32), (0, 0), 25)
    truth, result = np.zeros((2, 480, 854), np.uint8)
    truth[noise[..., 0] > 0.005], result[noise[..., 0] + 0.3 * noise[..., 1] > 0.005] = 1, 1
    truth[noise[..., 1] > 0.03] = result[noise[..., 1] > 0.025] = 2
    offsets = np.arange(-8, 9) ** 2
    disk = (np.add.outer(offsets, offsets) <= 64).astype(np.uint8)
    region, contour = measure_masks(truth, result, [1, 2])
    for place, number in enumerate([1, 2]):
        images = []
        for image in (truth, result):
            padded = np.pad((image == number).astype(np.uint8), ((0, 1), (0, 1)), mode="edge")
            shifted = (padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:])
            images.append(np.any([padded[:-1, :-1] != other for other in shifted], axis=0).astype(np.uint8))
        # beside the last row and column, the padding repeats what is there
        near = [cv2.dilate(image, disk) for image in images]
        recall, precision = (images[0] * near[1]).sum() / images[0].sum(), (images[1] * near[0]).sum() / images[1].sum()
        assert contour[place] == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-12)
        a, b = truth == number, result == number
        assert region[place] == (a & b).sum() / (a | b).sum() and 0.1 < region[place] < 0.99


def test_sizes_that_differ():
    with pytest.raises(ValueError, match=r"one size, got \(4, 5\) and \(5, 4\)"):
        measure(np.zeros((4, 5)), np.zeros((5, 4)))
