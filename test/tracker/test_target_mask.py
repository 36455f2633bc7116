"""Masks in the frame: where they lie, polygons, targets without a contour, frames of any size."""

import cv2
import numpy as np
import pytest

from pysot.tracker.target_mask import TargetMask

BOX = np.array([30.0, 40.0, 20.0, 10.0])
CORNERS = [30, 40, 50, 40, 50, 50, 30, 50]  # of BOX
SQUARES = [
    ([30.3, 20.7, 90.2, 90.2], (320, 240)),
    ([-50.5, -20.0, 200.7, 200.7], (320, 240)),
    ([250.0, 200.0, 127.0, 127.0], (320, 240)),
    ([-400.0, -300.0, 1500.0, 1500.0], (640, 480)),
    ([3.2, 1.0, 30.0, 30.0], (41, 23)),
]


def ellipse(centers=((63, 63),), radii=(40, 25)):
    """Return the smooth probabilities of ellipses, (127, 127) float32."""
    ys, xs = np.mgrid[:127, :127]
    inside = [1 - np.hypot((xs - x) / radii[0], (ys - y) / radii[1]) for x, y in centers]
    return (1 / (1 + np.exp(-8 * np.max(inside, axis=0)))).astype(np.float32)


def make_mask(probabilities, square=(30.3, 20.7, 90.2, 90.2), size=(320, 240), threshold=0.3):
    return TargetMask(probabilities, np.array(square, np.float64), size, threshold, BOX)


def original_mask(probabilities, square, size):
    """Return the mask in the frame as the original lays it back."""
    scale = len(probabilities) / square[2]
    left, top, width, height = -square[0] * scale, -square[1] * scale, size[0] * scale, size[1] * scale
    a, b = (size[0] - 1) / width, (size[1] - 1) / height
    mapping = np.array([[a, 0, -a * left], [0, b, -b * top]])
    return cv2.warpAffine(probabilities, mapping, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def test_a_target_without_a_contour_has_the_corners_of_its_box():
    mask = make_mask(np.full((127, 127), 0.29, np.float32))
    assert mask.polygon().tolist() == CORNERS and mask.region().outline() == []


@pytest.mark.parametrize(("side", "is_target"), [(11, False), (12, True)])
def test_a_contour_of_a_hundred_pixels_is_too_small(side, is_target):
    """A contour runs through the centres of its pixels: that of 11 x 11 has an area of 100."""
    probabilities = np.zeros((127, 127), np.float32)
    probabilities[40 : 40 + side, 50 : 50 + side] = 1
    mask = make_mask(probabilities, (100.0, 100.0, 127.0, 127.0), (100_000, 1000), threshold=0.5)
    assert mask.region().pixels.sum() == side * side
    assert (mask.polygon().tolist() != CORNERS) == is_target


@pytest.mark.parametrize(
    ("square", "size"),
    [
        ([400.0, 20.0, 90.0, 90.0], (320, 240)),
        ([-200.0, -200.0, 90.0, 90.0], (320, 240)),
        ([500.0, 500.0, 90.0, 90.0], (320, 240)),
        ([0.0, 0.0, 10.0, 10.0], (1, 1)),
        ([-5.0, 0.0, 10.0, 10.0], (1, 240)),
    ],
)
def test_a_square_outside_the_frame_and_frames_of_one_pixel(square, size):
    mask = make_mask(np.ones((127, 127), np.float32), square, size)
    assert mask.in_frame().shape == size[::-1] and mask.polygon().tolist() == CORNERS


@pytest.mark.parametrize(("square", "size"), SQUARES)
def test_a_mask_lies_where_the_original_puts_it(square, size):
    """OpenCV 4 rounds positions to 1/32 pixel, OpenCV 5 does not."""
    probabilities = ellipse()
    found, expected = make_mask(probabilities, square, size).in_frame(), original_mask(probabilities, square, size)
    assert found.dtype == np.float32 and expected.max() > 0.5
    slope = np.abs(np.diff(probabilities)).max()
    np.testing.assert_allclose(found, expected, atol=slope * max(1, 127 / square[2]) / 16)


@pytest.mark.parametrize(("square", "size"), SQUARES)
@pytest.mark.parametrize("centers", [((63, 63),), ((20, 30), (90, 100)), ((0, 0), (126, 60))])
def test_a_polygon_from_a_part_of_the_frame_is_that_of_the_frame(square, size, centers):
    mask = make_mask(ellipse(centers, (30, 15)), square, size)
    polygon = mask.polygon()
    pixels = (make_mask(ellipse(centers, (30, 15)), square, size).in_frame() > 0.3).astype(np.uint8)
    contours = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[-2]
    large = [contour for contour in contours if cv2.contourArea(contour) > 100]
    expected = cv2.boxPoints(cv2.minAreaRect(max(large, key=cv2.contourArea))).ravel() if large else CORNERS
    np.testing.assert_array_equal(polygon, expected)
    for found, contour in zip(mask.region().outline(), contours, strict=True):
        np.testing.assert_array_equal(found, contour.reshape(-1, 2))


def test_a_polygon_is_around_the_largest_contour():
    probabilities = np.maximum(ellipse(((30, 100),), (8, 8)), ellipse(((90, 40),), (30, 12)))
    x, y, w, h = cv2.boundingRect(make_mask(probabilities).polygon().astype(np.float32).reshape(-1, 2))
    center = 30.3 + 90.2 * 90 / 127, 20.7 + 90.2 * 40 / 127
    assert x < center[0] < x + w and y < center[1] < y + h and w > h > 10


def test_contours_of_opencv_3(monkeypatch):
    """It returns the image, too."""
    mask, find = make_mask(ellipse()), cv2.findContours
    expected = mask.polygon()
    monkeypatch.setattr(cv2, "findContours", lambda *args, **kwargs: (None, *find(*args, **kwargs)))
    np.testing.assert_array_equal(mask.polygon(), expected)


def test_nothing_is_laid_back_before_it_is_asked_for():
    mask = make_mask(ellipse())
    assert "window" not in vars(mask)
    mask.polygon()
    assert "window" in vars(mask)
