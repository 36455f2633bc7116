"""Masks as text and as boxes, and ground truth that contains masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import DAMAGED_MASKS
from pysot.utils.masks import Mask, parse_mask, parse_region_mask, region_lines


@pytest.mark.parametrize("text", DAMAGED_MASKS)
def test_damaged_masks_are_errors(tmp_path, text):
    with pytest.raises(ValueError, match="mask"):
        parse_mask(text)
    (tmp_path / "groundtruth.txt").write_text(f"1,2,3,4\n{text}\n")
    with pytest.raises(ValueError, match="groundtruth.txt line 2 .*mask"):
        region_lines(tmp_path / "groundtruth.txt")


def test_an_empty_mask():
    mask = parse_mask("m5,6,3,2,6")
    assert not mask.pixels.any() and mask.box.tolist() == [0, 0, 0, 0]
    assert parse_mask("m0,0,0,0,0").pixels.shape == (0, 0)


def test_text_by_hand_and_back():
    mask = parse_mask("m10,20,4,2,1,2,2,1,2")
    assert mask.pixels.astype(int).tolist() == [[0, 1, 1, 0], [0, 1, 0, 0]] and mask.box.tolist() == [11, 20, 2, 2]
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = Mask(3, -2, rng.random(rng.integers(1, 7, 2)) < 0.5)
        again = parse_mask(mask.text())
        np.testing.assert_array_equal(again.pixels, mask.pixels)
        assert (again.x, again.y) == (3, -2)


def test_ground_truth_with_masks(tmp_path):
    """A mask counts as its box. An empty mask, or a single number in a file with masks, is no ground truth."""
    path = tmp_path / "groundtruth.txt"
    path.write_text("\ufeffm10,20,4,2,1,2,2,1,2\nm0,0,2,2,4\n0\n1,2,3,4\n\n", encoding="utf-8")
    regions, masks = region_lines(path)
    np.testing.assert_array_equal(regions, [[11, 20, 2, 2], [np.nan] * 4, [np.nan] * 4, [1, 2, 3, 4]])
    assert list(masks) == [0, 1] and masks[0].box.tolist() == [11, 20, 2, 2] and not masks[1].pixels.any()
    path.write_text("1,2,3,4\n0\n")
    assert [region.tolist() for region in region_lines(path)[0]] == [[1, 2, 3, 4], [0]] and not region_lines(path)[1]


@given(data=st.data())
def test_a_tight_mask_is_the_same_in_its_smallest_window(data):
    """Its window has no more columns and rows than its box, but two columns at least."""
    shape = data.draw(st.tuples(st.integers(0, 6), st.integers(0, 6)))
    pixels = np.array(data.draw(st.lists(st.booleans(), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])))
    mask = Mask(4, -3, pixels.reshape(shape).astype(bool))
    tight = mask.tight()
    assert tight.box.tolist() == mask.box.tolist() and tight.pixels.sum() == mask.pixels.sum()
    assert tight.pixels.shape == ((mask.box[3], max(2, mask.box[2])) if mask.pixels.any() else (0, 0))
    on = [{(x + each.x, y + each.y) for y, x in np.argwhere(each.pixels).tolist()} for each in (mask, tight)]
    assert on[0] == on[1]
    assert parse_region_mask(tight.text()).text() == tight.text()


def test_a_mask_of_the_first_column_only_has_no_pixel():
    """So does the official toolkit read ground truth and results; see toolkit/evaluation/test_vot_toolkit_masks.py."""
    for text in ("m30,40,1,3,0,3", "m30,40,2,2,0,1,3", "m5,6,3,2,6", "m0,0,0,0,0"):
        mask = parse_region_mask(text)
        assert (mask.x, mask.y, mask.pixels.shape) == (0, 0, (0, 0))
    assert parse_region_mask("m29,40,2,3,1,1,1,1,1,1").box.tolist() == [30, 40, 1, 3]


@pytest.mark.parametrize("text", ["m3,4,10", "m3,4,10,10,5,"])
def test_text_that_is_cut_says_so(text):
    with pytest.raises(ValueError, match="this run-length text is cut"):
        parse_mask(text)


def test_runs_that_are_cut_say_how_far_they_reach():
    with pytest.raises(ValueError, match="a mask of 4 x 2 pixels is cut: its runs have 6 of 8 pixels"):
        parse_mask("m10,20,4,2,1,2,2,1")


def test_the_rotated_box_of_a_mask():
    y, x = np.mgrid[:60, :60]
    diamond = Mask(100, 50, (abs(x - 30) + abs(y - 20) <= 10) | (abs(x - 30) + abs(y - 20) == 15) & (y == 20))
    corners = sorted(map(tuple, np.rint(diamond.rotated_box()).reshape(4, 2).astype(int).tolist()))
    assert len(corners) == 4 and min(corners)[0] == 115 and max(corners)[0] == 145  # all parts of the mask are inside
    with pytest.raises(ValueError, match="a mask without pixels has no box around it"):
        Mask(0, 0, np.zeros((3, 3), bool)).rotated_box()


def test_outlines_are_in_pixels_of_the_image():
    pixels = np.zeros((9, 12), bool)
    pixels[1:4, 2:5], pixels[6:8, 8:11] = True, True
    pixels[2, 3] = False  # a hole is no outline
    outlines = Mask(100, -3, pixels).outline()
    boxes = sorted([*outline.min(axis=0), *outline.max(axis=0)] for outline in outlines)
    assert boxes == [[102, -2, 104, 0], [108, 3, 110, 4]]
    assert Mask(1, 2, np.zeros((0, 0), bool)).outline() == Mask(1, 2, np.zeros((3, 3), bool)).outline() == []
