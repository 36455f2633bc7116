"""Labels of points against their definition point by point, and boxes that the definition leaves without labels."""

import numpy as np
import pytest

from pysot.datasets.point_target import PointTarget
from pysot.utils.bbox import Corner

SETTING = {"stride": 8, "search_size": 255, "output_size": 25, "pos_num": 16, "neg_num": 16, "total_num": 64}
NANO = {**SETTING, "stride": 16, "output_size": 15}
EVEN = {**SETTING, "search_size": 240, "output_size": 16}
TARGETS = [Corner(95.0, 100.0, 160.0, 150.0), Corner(60.5, 20.0, 124.5, 235.0), Corner(3.0, 5.0, 60.0, 51.0)]


def rng(seed=0):
    return np.random.default_rng(seed)


def points(setting):
    """Return the pixel (x, y) of each point by row and column."""
    size, stride, centre = setting["output_size"], setting["stride"], setting["search_size"] // 2
    places = [centre + (index - size // 2) * stride for index in range(size)]
    return {(row, column): (x, y) for row, y in enumerate(places) for column, x in enumerate(places)}


def in_ellipse(point, target, share) -> float:
    """Return a number below 1 inside the ellipse whose half axes are this share of the target's sides."""
    x, y = point
    half_width, half_height = (target[2] - target[0]) * share, (target[3] - target[1]) * share
    dx, dy = x - (target[0] + target[2]) / 2, y - (target[1] + target[3]) / 2
    return dx**2 / half_width**2 + dy**2 / half_height**2


@pytest.mark.parametrize("change", [{"pos_num": 65}, {"neg_num": -1}, {"pos_num": -1}])
def test_settings_that_contradict(change):
    with pytest.raises(ValueError, match="TRAIN.POS_NUM"):
        PointTarget(**{**SETTING, **change})


@pytest.mark.parametrize("setting", [SETTING, NANO, EVEN])
@pytest.mark.parametrize("target", TARGETS)
def test_matches_the_definition(setting, target):
    make_labels = PointTarget(**setting)
    labels, distances = make_labels(rng(), target, negative=False)
    size = setting["output_size"]
    assert labels.shape == (size, size) and distances.shape == (4, size, size)
    found = {"label_cls": labels, "label_loc": distances}
    assert {name: (array.shape, array.dtype) for name, array in found.items()} == make_labels.forms
    assert (labels.dtype, distances.dtype) == (np.int64, np.float32)
    candidates = {1: set(), 0: set()}
    for index, (x, y) in points(setting).items():
        if in_ellipse((x, y), target, 1 / 4) < 1:
            candidates[1].add(index)
        elif in_ellipse((x, y), target, 1 / 2) > 1:
            candidates[0].add(index)
        expected = [x - target.x1, y - target.y1, target.x2 - x, target.y2 - y]
        np.testing.assert_allclose(distances[:, index[0], index[1]], expected, atol=1e-4)
    for label, most in ((1, 16), (0, 48)):  # 48 = TOTAL_NUM - POS_NUM, also with fewer targets
        labelled = set(zip(*np.nonzero(labels == label), strict=True))
        assert labelled <= candidates[label] and len(labelled) == min(most, len(candidates[label]))
    assert (distances[:, labels == 1] > 0).all()


def test_more_points_than_kept_are_chosen_at_random():
    target = Corner(63.0, 63.0, 191.0, 191.0)
    make_labels = PointTarget(**{**SETTING, "pos_num": 2})
    labels = [make_labels(rng(seed), target, negative=False)[0] for seed in range(40)]
    assert all((label == 1).sum() == 2 and (label == 0).sum() == 62 for label in labels)
    assert (np.array(labels) == 1).any(axis=0).sum() > 20
    np.testing.assert_array_equal(make_labels(rng(3), target, negative=False)[0], labels[3])


@pytest.mark.parametrize("target", TARGETS)
def test_negative_pair(target):
    """Background is where the target of the search crop is, since a wrong answer is most likely there."""
    make_labels, seen = PointTarget(**{**SETTING, "neg_num": 4}), np.zeros((25, 25), bool)
    inside = {index for index, point in points(SETTING).items() if in_ellipse(point, target, 1 / 4) < 1}
    for seed in range(300):
        labels, distances = make_labels(rng(seed), target, negative=True)
        assert set(np.unique(labels)) == {-1, 0} and (labels == 0).sum() == min(4, len(inside))
        assert distances.shape == (4, 25, 25) and not distances.any()
        seen |= labels == 0
    assert set(zip(*np.nonzero(seen), strict=True)) == inside


@pytest.mark.parametrize("target", [Corner(130.0, 130.0, 134.0, 133.0), Corner(128.0, 20.0, 133.0, 240.0)])
@pytest.mark.parametrize("setting", [SETTING, NANO])
def test_an_inner_ellipse_without_points(setting, target):
    labels, distances = PointTarget(**setting)(rng(), target, negative=False)
    assert not (labels == 1).any() and (labels == 0).sum() == 48 and np.isfinite(distances).all()
    labels, _ = PointTarget(**setting)(rng(), target, negative=True)
    assert (labels == -1).all()


@pytest.mark.parametrize("x", [-200, 500])
def test_a_target_outside_of_the_crop(x):
    target = Corner(x - 5.0, 100.0, x + 5.0, 120.0)
    assert (PointTarget(**SETTING)(rng(), target, negative=True)[0] == -1).all()
    assert set(np.unique(PointTarget(**SETTING)(rng(), target, negative=False)[0])) == {-1, 0}
