import math

import numpy as np
import pytest

from pysot.datasets.anchor_target import AnchorTarget
from pysot.utils.bbox import Corner

RATIOS, SCALES = (0.33, 0.5, 1, 2, 3), (8,)
SETTING = {
    "stride": 8,
    "ratios": RATIOS,
    "scales": SCALES,
    "search_size": 255,
    "output_size": 25,
    "thr_high": 0.6,
    "thr_low": 0.3,
    "pos_num": 16,
    "neg_num": 16,
    "total_num": 64,
}


def rng(seed=0):
    return np.random.default_rng(seed)


def brute_force_boxes(setting):
    """Return centre and size of every anchor, computed with loops."""
    boxes = {}
    size, stride = setting["output_size"], setting["stride"]
    for a, ratio in enumerate(setting["ratios"]):
        width = int(math.sqrt(stride * stride / ratio))
        w, h = width * 8, int(width * ratio) * 8
        for row in range(size):
            for column in range(size):
                middle = setting["search_size"] // 2
                boxes[a, row, column] = (
                    middle + (column - size // 2) * stride,
                    middle + (row - size // 2) * stride,
                    w,
                    h,
                )
    return boxes


def overlap(box, target):
    cx, cy, w, h = box
    width = min(cx + w / 2, target[2]) - max(cx - w / 2, target[0])
    height = min(cy + h / 2, target[3]) - max(cy - h / 2, target[1])
    inter = max(0, width) * max(0, height)
    return inter / (w * h + (target[2] - target[0]) * (target[3] - target[1]) - inter)


@pytest.mark.parametrize("change", [{"thr_low": 0.7}, {"thr_high": 1.2}, {"pos_num": 65}, {"neg_num": -1}])
def test_settings_that_contradict(change):
    with pytest.raises(ValueError, match="TRAIN."):
        AnchorTarget(**{**SETTING, **change})


@pytest.mark.parametrize("setting", [SETTING, {**SETTING, "search_size": 127, "output_size": 9, "ratios": (0.5, 1, 2)}])
@pytest.mark.parametrize(
    "target", [Corner(95.0, 100.0, 160.0, 150.0), Corner(60.0, 60.0, 124.5, 125.0), Corner(3.0, 5.0, 20.0, 11.0)]
)
def test_matches_brute_force(setting, target):
    labels, offsets, weights = AnchorTarget(**setting)(rng(), target, negative=False)
    count, size = len(setting["ratios"]), setting["output_size"]
    assert labels.shape == weights.shape == (count, size, size) and offsets.shape == (4, count, size, size)
    assert (labels.dtype, offsets.dtype, weights.dtype) == (np.int64, np.float32, np.float32)
    boxes = brute_force_boxes(setting)
    candidates = {1: set(), 0: set()}
    tx, ty = (target[0] + target[2]) / 2, (target[1] + target[3]) / 2
    tw, th = target[2] - target[0], target[3] - target[1]
    for index, (cx, cy, w, h) in boxes.items():
        value = overlap((cx, cy, w, h), target)
        if value > 0.6:
            candidates[1].add(index)
        elif value < 0.3:
            candidates[0].add(index)
        np.testing.assert_allclose(
            offsets[(slice(None), *index)],
            [(tx - cx) / w, (ty - cy) / h, math.log(tw / w), math.log(th / h)],
            atol=1e-5,
        )
    labelled = {label: set(zip(*np.nonzero(labels == label), strict=True)) for label in (0, 1)}
    for label, most in ((1, 16), (0, 48)):  # 48 = TOTAL_NUM - POS_NUM, also with fewer positives
        assert labelled[label] <= candidates[label] and len(labelled[label]) == min(most, len(candidates[label]))
    positives = len(labelled[1])
    np.testing.assert_allclose(weights, np.where(labels == 1, 1 / (positives + 1e-6), 0), rtol=1e-6)


def test_more_positives_than_kept_are_chosen_at_random():
    target = Corner(95.0, 95.0, 159.0, 159.0)
    anchor_target = AnchorTarget(**{**SETTING, "pos_num": 2})
    labels = [anchor_target(rng(seed), target, negative=False)[0] for seed in range(40)]
    assert all((label == 1).sum() == 2 and (label == 0).sum() == 62 for label in labels)
    assert (np.array(labels) == 1).any(axis=0).sum() > 4
    np.testing.assert_array_equal(anchor_target(rng(3), target, negative=False)[0], labels[3])


def test_no_anchor_fits():
    labels, _, weights = AnchorTarget(**SETTING)(rng(), Corner(120.0, 120.0, 124.0, 124.0), negative=False)
    assert not (labels == 1).any() and not weights.any() and np.isfinite(weights).all()


@pytest.mark.parametrize("cx, cy", [(127, 127), (190, 70), (63.5, 191), (20, 222)])
def test_negative_pair(cx, cy):
    target = Corner(cx - 20.0, cy - 10.0, cx + 20.0, cy + 10.0)
    anchor_target, seen = AnchorTarget(**SETTING), np.zeros((5, 25, 25), bool)
    for seed in range(200):
        labels, offsets, weights = anchor_target(rng(seed), target, negative=True)
        assert set(np.unique(labels)) == {-1, 0} and (labels == 0).sum() == 16
        assert not offsets.any() and not weights.any()
        seen |= labels == 0
    column, row = (12 + math.ceil((centre - 127) / 8 + 0.5) for centre in (cx, cy))
    window = np.zeros((5, 25, 25), bool)
    for r in range(25):
        for c in range(25):
            window[:, r, c] = abs(r - row) <= 3 and abs(c - column) <= 3
    np.testing.assert_array_equal(seen, window)


@pytest.mark.parametrize("cx", [-200, 500])
def test_negative_target_outside_of_the_crop(cx):
    labels, _, _ = AnchorTarget(**SETTING)(rng(), Corner(cx - 5.0, 100.0, cx + 5.0, 120.0), negative=True)
    assert (labels == -1).all()
