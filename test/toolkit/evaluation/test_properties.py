"""Properties that hold for any input: overlaps in all three arithmetics, and expected average overlap."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from toolkit_data import eao_of as eao_by_tag
from toolkit_data import make_sequence

from pysot.toolkit.datasets.sequence import VotSettings
from pysot.toolkit.evaluation.accuracy_robustness import measure
from pysot.toolkit.evaluation.official import official_score
from pysot.toolkit.evaluation.ope import box_overlaps
from pysot.toolkit.region.official_raster import official_overlaps
from pysot.toolkit.region.raster import corners_of, overlaps, region_table
from pysot.toolkit.results.files import LOST, START, Trajectory

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=100)
settings.load_profile("repeatable")

# Overlaps. Coordinates are up to 20: a crossing k / n * m that is an integer is exact in floating point for n < 22, so
# a raster of fractions must agree.
SIZE, INNER = 64, 20


def pysot(a, b):
    """Return the overlaps (N,) of two lists of regions in an image of SIZE x SIZE, in pysot's arithmetic."""
    return overlaps(corners_of(region_table(a)), corners_of(region_table(b)), SIZE, SIZE)


def official(a, b):
    """Return the same in the official toolkit's arithmetic."""
    return official_overlaps(region_table(a), region_table(b), SIZE, SIZE)


both_arithmetics = pytest.mark.parametrize("overlaps_of", [pysot, official])
integers, quarters = st.integers(0, INNER), st.integers(0, 4 * INNER).map(lambda number: number / 4)
integer_boxes = st.tuples(integers, integers, integers, integers).map(np.array)
boxes = st.one_of(integer_boxes, st.tuples(quarters, quarters, quarters, quarters).map(np.array))
any_quads = st.lists(quarters, min_size=8, max_size=8).map(np.array)  # crossed and flat ones too
regions = st.one_of(boxes, any_quads)


@st.composite
def convex_quads(draw):
    """Draw four integer corners that turn in one direction."""
    points = draw(st.lists(st.tuples(integers, integers), min_size=4, max_size=4, unique=True))
    x, y = np.mean(points, axis=0)
    points.sort(key=lambda point: math.atan2(point[1] - y, point[0] - x))
    sides = [(bx - ax, by - ay) for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True)]
    assume(all(ax * by - ay * bx > 0 for (ax, ay), (bx, by) in zip(sides, sides[1:] + sides[:1], strict=True)))
    return np.array(points).ravel()


def moved_by(region, shift):
    """Return the region moved by (x, y)."""
    return region + (np.array([*shift, 0, 0]) if len(region) == 4 else np.tile(shift, 4))


@both_arithmetics
@given(a=regions, b=regions, shift=st.tuples(st.integers(-30, 70), st.integers(-30, 70)))
def test_overlap_is_symmetric_and_bounded(overlaps_of, a, b, shift):
    """Also partly or fully outside the image. Only pysot's overlap can be NaN, if neither region paints a pixel."""
    a, b = moved_by(a, shift), moved_by(b, shift)
    (forth,), (back,) = overlaps_of([a], [b]), overlaps_of([b], [a])
    assert forth == back or np.isnan([forth, back]).all()
    assert 0 <= forth <= 1 or (np.isnan(forth) and overlaps_of is pysot)


@both_arithmetics
@given(region=regions)
def test_a_region_overlaps_itself_wholly_or_paints_nothing(overlaps_of, region):
    (value,) = overlaps_of([region], [region])
    assert value in (0, 1) or np.isnan(value)


@both_arithmetics
@given(a=regions, b=regions, position=st.integers(0, 7), value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_region_that_is_not_finite_is_unknown(overlaps_of, a, b, position, value):
    """NaN in pysot's arithmetic, 0 in the official one, on either side."""
    broken = np.array(a, float)
    broken[position % min(4, len(a))] = value
    for pair in ((broken, b), (b, broken)):
        (overlap,) = overlaps_of([pair[0]], [pair[1]])
        assert np.isnan(overlap) if overlaps_of is pysot else overlap == 0


@both_arithmetics
@given(a=regions, b=regions, shift=st.tuples(st.integers(0, 11), st.integers(0, 11)))
def test_whole_pixels_inside_the_image_change_nothing(overlaps_of, a, b, shift):
    """Moving both regions by integer pixels changes nothing.

    The official toolkit rounds halves to even, so a step of one pixel may move only one of two halves: its steps are
    of two pixels.
    """
    shift = np.array(shift) * (2 if overlaps_of is official else 1)
    np.testing.assert_array_equal(overlaps_of([moved_by(a, shift)], [moved_by(b, shift)]), overlaps_of([a], [b]))


@both_arithmetics
@given(box=integer_boxes, other=regions)
def test_a_box_is_the_polygon_of_its_corners(overlaps_of, box, other):
    """Corners are x to x + w for pysot, x to x + w - 1 for the official toolkit, whose boxes have w x h pixels.

    A box without pixels has no corners.
    """
    x, y, w, h = box - [0, 0, 1, 1] if overlaps_of is official else box
    assume(min(w, h) >= 0)
    polygon = np.array([x, y, x + w, y, x + w, y + h, x, y + h])
    for pair in ((box, polygon), (other, other)):
        np.testing.assert_array_equal(overlaps_of([pair[0]], [other]), overlaps_of([pair[1]], [other]))


def raster(corners, one_column: bool) -> set:
    """Return the pixels of a convex polygon, computed point by point in fractions.

    (x, y) belongs to it where row y of the polygon meets [x, x + 1). A row that meets one column only counts if
    `one_column`.
    """
    points, painted = [tuple(map(int, point)) for point in corners], set()
    for y in range(2 * INNER + 1):
        row = []
        for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
            if not min(ay, by) <= y <= max(ay, by):
                continue
            if ay != by:
                row.append(Fraction(ax + Fraction((y - ay) * (bx - ax), by - ay)))
            elif one_column:
                row += [ax, bx]
        cells = {(x, y) for x in range(2 * INNER + 1) if row and min(row) < x + 1 and max(row) >= x}
        painted |= cells if one_column or len(cells) > 1 else set()
    return painted


def by_raster(a, b):
    """Return the overlap in pysot's arithmetic.

    As in the original, it is 0 where the bounds have no common area. Where neither has an area it is NaN here, since
    neither paints a pixel, and may be 0 too.
    """
    bounds = [
        (region[:2], region[:2] + region[2:])
        if len(region) == 4
        else (region.reshape(4, 2).min(0), region.reshape(4, 2).max(0))
        for region in (a, b)
    ]
    (low_a, high_a), (low_b, high_b) = bounds
    shared = np.maximum(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0).prod()
    if shared == 0 and ((high_a - low_a).prod() or (high_b - low_b).prod()):
        return 0
    masks = [raster(corners_of(region_table([region]))[0], one_column=False) for region in (a, b)]
    return len(masks[0] & masks[1]) / len(masks[0] | masks[1]) if masks[0] | masks[1] else np.nan


def by_official_raster(a, b):
    """Return the overlap in the official arithmetic, in which two regions without extent count as equal."""
    masks, low, high = [], [], []
    for region in (a, b):
        x, y, w, h = region[:4]
        mask = (
            {(i, j) for i in range(x, x + w) for j in range(y, y + h)}
            if len(region) == 4
            else raster(region.reshape(4, 2), one_column=True)
        )
        masks.append(mask)
        low.append([x, y] if len(region) == 4 else region.reshape(4, 2).min(axis=0))
        high.append([x + w - 1, y + h - 1] if len(region) == 4 else region.reshape(4, 2).max(axis=0))
    if (np.min(low, axis=0) >= np.max(high, axis=0)).any():
        return 1
    return len(masks[0] & masks[1]) / len(masks[0] | masks[1]) if masks[0] | masks[1] else 0


@settings(max_examples=200)
@given(a=st.one_of(integer_boxes, convex_quads()), b=st.one_of(integer_boxes, convex_quads()))
def test_overlap_agrees_with_a_raster_point_by_point(a, b):
    """Boxes of any size, including zero, and convex quadrangles."""
    value, expected = pysot([a], [b])[0], by_raster(a, b)
    assert value == pytest.approx(expected, abs=1e-6, nan_ok=True) or (value == 0 and np.isnan(expected))
    assert official([a], [b])[0] == pytest.approx(by_official_raster(a, b), abs=1e-12)


@both_arithmetics
@given(pairs=st.lists(st.tuples(regions, regions), max_size=6))
@example(
    pairs=[
        (np.array([5, 5, 9, 0]), np.array([5, 5, 9, 0])),
        (np.array([0, 0, 9, 2, 7, 9, 1, 6]), np.array([5, 5, 9, 3])),
    ]
)
def test_many_at_once_are_those_one_by_one(overlaps_of, pairs):
    a, b = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    np.testing.assert_array_equal(overlaps_of(a, b), [overlaps_of([x], [y])[0] for x, y in pairs])


@given(
    a=integer_boxes,
    b=integer_boxes,
    shift=st.tuples(st.integers(-99, 99), st.integers(-99, 99)),
    scale=st.sampled_from([0.1, 0.5, 3, 1000]),
)
def test_overlap_of_boxes_without_pixels(a, b, shift, scale):
    """Symmetry, bounds, a count of unit cells, any position and any size."""
    cells = [{(i, j) for i in range(x, x + w) for j in range(y, y + h)} for x, y, w, h in (a, b)]
    expected = len(cells[0] & cells[1]) / len(cells[0] | cells[1]) if cells[0] | cells[1] else 0
    forth, back = box_overlaps(a[None], b[None])[0], box_overlaps(b[None], a[None])[0]
    assert forth == back == pytest.approx(expected, abs=1e-12) and 0 <= expected <= 1
    moved = [moved_by(box, shift)[None] * scale for box in (a, b)]
    assert box_overlaps(*moved)[0] == pytest.approx(expected, abs=1e-9)


real_boxes = st.tuples(*[st.floats(-5, 5)] * 2, *[st.floats(0, 10)] * 2).map(lambda box: np.array([box]))


@given(a=real_boxes, other=st.none() | real_boxes)
def test_overlap_of_any_boxes_without_pixels_is_bounded(a, other):
    """Also with itself, where rounding could exceed 1."""
    b = a if other is None else other
    (forth,), (back,) = box_overlaps(a, b), box_overlaps(b, a)
    assert 0 <= forth == back <= 1


# Expected average overlap, on a target that does not move; the height of a tracker's boxes determines their overlap.
TARGET = np.array([20.0, 20, 19, 19])


@st.composite
def runs_as_plans(draw):
    """Draw (heights, losses) of a run of up to 40 frames.

    19 is the target's height; a loss comes one or more frames after a start.
    """
    heights = draw(st.lists(st.integers(0, 19), min_size=1, max_size=40))
    losses, frame = [], 0
    for step in draw(st.lists(st.integers(1, 15), max_size=4)):
        frame += step
        losses.append(frame)
        frame += 5
    return heights, [loss for loss in losses if loss < len(heights)]


def runs_of(plans):
    """Return the runs of plans {name: (heights, losses)}."""
    sequences = [make_sequence(name=str(name), truth=[TARGET] * len(heights)) for name, (heights, _) in plans.items()]
    trajectories = []
    for heights, losses in plans.values():
        entries = [START, *(np.array([20, 20, 19, height]) for height in heights[1:])]
        for loss in losses:
            entries[loss : loss + 6] = [LOST, 0, 0, 0, 0, START][: len(heights) - loss]
        trajectories.append(Trajectory.from_frames(entries))
    return measure(sequences, trajectories)


def eao_of(plans, low, more):
    """Return pysot's and the official EAO over the lengths low to low + more."""
    runs, vot_settings = runs_of(plans), VotSettings(low, low + more, low)
    return eao_by_tag(runs, ("all",), vot_settings)["all"], official_score(runs, vot_settings).eao


lengths = {"low": st.integers(2, 30), "more": st.integers(0, 20)}
many_plans = st.lists(runs_as_plans(), min_size=1, max_size=4)


@given(plans=many_plans, data=st.data(), **lengths)
def test_more_overlap_never_lowers_eao(plans, data, low, more):
    """The losses stay, any heights are raised. A length that no fragment reaches has no EAO, before and after."""
    raised = {}
    for index, (heights, losses) in enumerate(plans):
        others = data.draw(st.lists(st.integers(0, 19), min_size=len(heights), max_size=len(heights)))
        raised[index] = np.maximum(heights, others).tolist(), losses
    for before, after in zip(eao_of(dict(enumerate(plans)), low, more), eao_of(raised, low, more), strict=True):
        assert before <= after + 1e-12 or np.isnan([before, after]).all()
        assert np.isnan(before) or (before >= 0 and after <= 1 + 1e-12)


@given(plans=many_plans, data=st.data(), **lengths)
def test_the_order_of_sequences_does_not_matter_to_eao(plans, data, low, more):
    names = data.draw(st.permutations(range(len(plans))))
    assert eao_of({name: plans[name] for name in names}, low, more) == pytest.approx(
        eao_of(dict(enumerate(plans)), low, more), nan_ok=True
    )


@given(frames=st.integers(1, 80), **lengths)
def test_eao_of_a_perfect_tracker(frames, low, more):
    """EAO is 1, or NaN if the sequence is too short; pysot's lengths begin a frame before the official ones."""
    pysot_eao, official_eao = eao_of({"v": ([19] * frames, [])}, low, more)
    assert pysot_eao == pytest.approx(1 if frames >= low else np.nan, nan_ok=True)
    assert official_eao == pytest.approx(1 if frames > low else np.nan, nan_ok=True)


@given(frames=st.integers(1, 80), **lengths)
def test_eao_of_a_dead_tracker(frames, low, more):
    """The target is lost directly after each start.

    pysot's EAO is 0 if the sequence is long enough. The official EAO does not exist, since its fragments have one
    frame; beside a perfect run each of them is a 0 in the mean.
    """
    dead = [19] * frames, list(range(1, frames, 6))
    pysot_eao, official_eao = eao_of({"v": dead}, low, more)
    assert pysot_eao == pytest.approx(0 if frames >= low else np.nan, nan_ok=True) and np.isnan(official_eao)
    _, official_eao = eao_of({"v": dead, "w": ([19] * (low + 1), [])}, low, more)
    assert official_eao == pytest.approx(1 / (1 + len(dead[1])))
