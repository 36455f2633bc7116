"""Maths of a frame: without torch, on tensors as on arrays, for N targets as for one, without reads on the host."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers import ROOT
from pysot.tracker.frame_maths import (
    Grid,
    anchor_cells,
    decode_boxes,
    find_targets,
    keep_lost_targets,
    make_grid,
    mask_squares,
    object_confidences,
    output_boxes,
    search_sides,
    start_targets,
)
from pysot.tracker.settings import TrackSettings

SETTINGS = TrackSettings(0.16, 0.4, 0.3, 127, 255, 0, 0.5, 8, (0.33, 0.5, 1, 2, 3), (8,))


def random_frame(count: int, seed: int = 0):
    """Return cls, loc and targets as of `find_targets`, in float32, float32 and float64."""
    rng, cells = np.random.default_rng(seed), SETTINGS.score_size(255)
    cls = rng.normal(size=(count, 10, cells, cells)).astype(np.float32)
    loc = (0.3 * rng.normal(size=(count, 20, cells, cells))).astype(np.float32)
    targets = np.column_stack([rng.uniform(0, 300, (count, 2)), rng.uniform(10, 90, (count, 2)), [[320, 240]] * count])
    return cls, loc, targets


def find(cls, loc, targets):
    return find_targets(cls, loc, make_grid(SETTINGS, 255), targets, SETTINGS)[0]


def test_the_maths_and_the_batch_tracker_do_not_need_torch():
    program = (
        "import sys; sys.modules['torch'] = None; import pysot.tracker.frame_maths, pysot.tracker.batch_tracker, "
        "pysot.tracker.network"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_tensors_give_the_numbers_of_arrays():
    cls, loc, targets = random_frame(5)
    expected, grid = find(cls, loc, targets), make_grid(SETTINGS, 255)
    tensors = [torch.from_numpy(values) for values in (cls, loc, targets)]
    found, anchors = find_targets(*tensors[:2], Grid(*map(torch.from_numpy, grid)), tensors[2], SETTINGS)
    assert found.dtype == torch.float64 and expected.dtype == np.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)  # exp() of float32 differs in the last digit
    # float32, as on an NPU
    small = Grid(*(torch.from_numpy(values).float() for values in grid))
    found = find_targets(*tensors[:2], small, tensors[2].float(), SETTINGS)[0]
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(("anchor", "row", "column"), [(0, 0, 0), (2, 3, 11), (4, 16, 5)])
def test_the_mask_of_the_best_anchor(anchor, row, column):
    """Its square is the literal one of the original."""
    cls, loc, targets = random_frame(2)
    cls.reshape(2, 2, 5, 17, 17)[:, :, anchor, row, column] = [[-30, 30]] * 2
    loc[:] = 0
    settings = replace(SETTINGS, penalty_k=0.0)
    _, anchors = find_targets(cls, loc, make_grid(settings, 255), targets, replace(settings, window_influence=0.0))
    cells = anchor_cells(anchors, settings, 255)
    assert cells.tolist() == [[row, column]] * 2
    for target, square in zip(targets, mask_squares(targets, cells, settings, 255), strict=True):
        context = 0.5 * target[2:4].sum()
        side = round(np.sqrt((target[2] + context) * (target[3] + context)) * (255 / 127))
        crop, scale = target[:2] - side / 2, side / 255
        corner = [crop[0] + (column - 0 / 2) * 8 * scale, crop[1] + (row - 0 / 2) * 8 * scale]
        np.testing.assert_allclose(square, [*corner, scale * 127, scale * 127])
    tensors = (torch.from_numpy(values) for values in (anchors, targets))
    anchors, targets = (values.to("meta") for values in tensors)  # nothing is read on the host
    assert mask_squares(targets, anchor_cells(anchors, settings, 255), settings, 255).shape == (2, 4)


def test_nothing_is_read_on_the_host():
    """A tensor on the device `meta` has no values, so that a read of one, or a shape that depends on one, fails."""
    cls, loc, targets = (torch.from_numpy(values).to("meta") for values in random_frame(3))
    grid = Grid(*(torch.from_numpy(values).to("meta") for values in make_grid(SETTINGS, 255)))
    assert find_targets(cls, loc, grid, targets, SETTINGS)[0].shape == (3, 5)


def test_many_targets_give_the_rows_of_each():
    cls, loc, targets = random_frame(6)
    expected = [find(cls[i : i + 1], loc[i : i + 1], targets[i : i + 1])[0] for i in range(6)]
    np.testing.assert_array_equal(find(cls, loc, targets), expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("output", [0, 1])
def test_a_target_without_finite_outputs_is_nan_and_no_other(value, output):
    frame = random_frame(3)
    expected = find(*frame)
    frame[output][1, 3, 4, 5] = value
    with np.errstate(invalid="ignore"):
        found = find(*frame)
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[[0, 2]], expected[[0, 2]])


def test_a_target_stays_in_the_frame():
    cls, loc, targets = random_frame(4)
    targets[:, :2] = [[-500, 10], [900, 900], [160, -1e6], [160, 120]]
    targets[:, 2:4] = [[5000, 3], [10, 10], [50, 50], [320, 240]]
    found = find(cls, loc, targets)
    assert (found[:, :2] >= 0).all() and (found[:, :2] <= [320, 240]).all()
    assert (found[:, 2:4] >= 10).all() and (found[:, 2:4] <= [320, 240]).all()


def test_the_best_anchor_is_the_one_with_confidence_in_the_window():
    cells = SETTINGS.score_size(255)
    cls, loc = np.zeros((1, 10, cells, cells), np.float32), np.zeros((1, 20, cells, cells), np.float32)
    cls[0, 5 + 2, 10, 12] = 9.0  # `object` of the square anchor, two cells right of the centre
    targets = np.array([[100.0, 80.0, 64.0, 64.0, 320.0, 240.0]])
    found = find(cls, loc, targets)[0]
    scale = 127 / 128  # the template crop covers 64 + 0.5 * 128 pixels
    rows, columns = 10 - cells // 2, 12 - cells // 2
    np.testing.assert_allclose(found[:2], [100 + 8 * columns / scale, 80 + 8 * rows / scale])
    assert found[4] == pytest.approx(1 / (1 + np.exp(-9.0)))


def test_decode_of_zero_deltas_is_the_anchors():
    anchors = np.array([[-8, 0, 10, 20], [8, 0, 10, 20]], np.float64).T
    np.testing.assert_allclose(decode_boxes(np.zeros((2, 4, 1, 2)), anchors), [anchors, anchors])
    assert np.isfinite(decode_boxes(np.full((1, 4, 1, 2), 1e4), anchors)).all()


def test_confidences_are_the_softmax_of_object():
    cls = np.array([0.0, 2.0, 1000.0, 0.0], np.float32).reshape(2, 2, 1, 1)
    np.testing.assert_allclose(object_confidences(cls)[:, 0], [1 / (1 + np.exp(-2)), 0], atol=1e-7)


def test_a_target_starts_half_a_pixel_away():
    centers, sizes = start_targets(np.array([[100.0, 80.0, 60.0, 40.0]]))
    np.testing.assert_array_equal(centers, [[129.5, 99.5]])
    np.testing.assert_array_equal(output_boxes(np.hstack([centers, sizes])), [[99.5, 79.5, 60, 40]])


def test_sides_of_crops():
    np.testing.assert_allclose(search_sides(np.array([[64.0, 64.0]]), SETTINGS, 255), [128 * 255 / 127])


def test_a_lost_target_keeps_its_box():
    before, found = np.zeros((4, 4)), np.ones((4, 5))
    found[:, 4] = [0.5, 0.9, 0.9, 0.9999]  # unsure; between the limits; between the limits; found again
    targets, lost = keep_lost_targets(before, found, np.array([False, False, True, True]), SETTINGS)
    assert lost.tolist() == [True, False, True, False]
    assert targets[:, 0].tolist() == [0, 1, 1, 1] and targets[:, 4].tolist() == found[:, 4].tolist()
