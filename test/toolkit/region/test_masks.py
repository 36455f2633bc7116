"""Masks in results, as text and in binary files, and their overlap."""

import struct

import numpy as np
import pytest
from toolkit_data import make_sequence

from helpers import DAMAGED_MASKS
from pysot.toolkit.datasets.sequence import Dataset
from pysot.toolkit.evaluation.runs import run_overlaps
from pysot.toolkit.protocols import longterm
from pysot.toolkit.region.masks import equals_none, mask_overlap
from pysot.toolkit.region.official_raster import official_overlaps
from pysot.toolkit.region.raster import region_table
from pysot.toolkit.results.files import TRACKED, ResultError, Trajectory, load_baseline, load_ope, load_run, save_vot
from pysot.toolkit.results.paths import vot_file
from pysot.utils.masks import Mask, mask_from_runs, parse_mask


@pytest.mark.parametrize("text", DAMAGED_MASKS)
def test_damaged_masks_of_results_are_errors(tmp_path, text):
    (tmp_path / "a_001.txt").write_text(f"1\n{text}\n")
    with pytest.raises(ResultError, match="a_001.txt line 2 .*mask"):
        load_run(tmp_path / "a_001.txt")


def test_overlap_by_hand():
    square = Mask(10, 10, np.ones((4, 4), bool))
    assert mask_overlap(square, square, 100, 80) == 1
    assert mask_overlap(square, np.array([10.0, 10, 4, 2]), 100, 80) == 0.5
    assert mask_overlap(np.array([12.0, 10, 4, 4]), square, 100, 80) == pytest.approx(8 / 24)
    assert mask_overlap(square, np.array([10.0, 10, 13, 10, 13, 13, 10, 13]), 100, 80) == 1
    assert mask_overlap(square, Mask(200, 10, np.ones((4, 4), bool)), 100, 80) == 0
    beyond_the_edge = Mask(-2, 10, np.ones((4, 4), bool))
    assert mask_overlap(beyond_the_edge, np.array([0.0, 10, 2, 4]), 100, 80) == 1  # only pixels of the image count
    assert mask_overlap(Mask(5, 5, np.zeros((2, 2), bool)), Mask(5, 5, np.zeros((3, 3), bool)), 100, 80) == 1


def test_regions_that_equal_none():
    """A region that does not exist has the extent of the first pixel, in the official toolkit."""
    empty = np.zeros((2, 3), bool)
    assert equals_none(Mask(0, 0, empty)) and equals_none(np.zeros(4)) and equals_none(np.array([0.0, 0, 1, 5]))
    assert not equals_none(Mask(40, 50, empty)) and not equals_none(np.array([0.0, 0, 2, 2]))
    assert not equals_none(np.array([40.0, 50, 0, 0]))


def test_masks_that_leave_the_image_on_the_left_and_above():
    """The image contains the lower right part of a mask at (-1, -2): two pixels of a row, under the box."""
    pixels = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 1, 1], [1, 0, 0, 0]], bool)
    assert mask_overlap(Mask(-1, -2, pixels), np.array([0.0, 0, 3, 2]), 100, 80) == pytest.approx(2 / 6)


def test_the_mask_of_a_result_counts_and_not_its_box():
    mask = parse_mask("m10,20,4,4,0,5,3,1,3,1,3,0")
    regions = np.full((2, 8), np.nan)
    regions[1, :4] = mask.box
    run = Trajectory(np.array([1, TRACKED], np.int8), regions, masks={1: mask})
    sequence = make_sequence("a", truth=[np.array([10.0, 20, 4, 4])] * 2)
    assert run_overlaps(sequence, run).tolist() == [0, 7 / 16]


def test_masks_of_boxes_overlap_as_boxes_do():
    rng = np.random.default_rng(1)
    boxes = np.rint(np.concatenate([rng.uniform(-10, 60, (2, 100, 2)), rng.uniform(2, 40, (2, 100, 2))], axis=2))
    expected = official_overlaps(*(region_table(list(side)) for side in boxes), 60, 50)
    for a, b, overlap in zip(*boxes, expected, strict=True):
        painted = [Mask(int(x), int(y), np.ones((int(h), int(w)), bool)) for x, y, w, h in (a, b)]
        of_masks, of_mask_and_box = mask_overlap(painted[0], painted[1], 60, 50), mask_overlap(painted[0], b, 60, 50)
        assert of_masks == of_mask_and_box == pytest.approx(overlap)


def test_results_with_masks_round_trip(tmp_path):
    mask = parse_mask("m10,20,4,2,1,2,2,1,2")
    regions = np.full((2, 8), np.nan)
    regions[1, :4] = mask.box
    path = save_vot(tmp_path / "a_00000000.txt", Trajectory(np.array([1, TRACKED], np.int8), regions, masks={1: mask}))
    assert path.read_text() == "1\nm11,20,2,2,0,3,1\n"
    loaded = load_run(path, 2)
    np.testing.assert_array_equal(loaded.regions, regions)
    assert loaded.masks[1].text() == mask.tight().text()


def test_masks_are_not_scored_as_their_boxes(tmp_path):
    """Where only boxes and polygons count, a mask is an error, not its box."""
    (tmp_path / "a_001.txt").write_text("1\nm10,20,4,2,1,2,2,1,2\n")
    with pytest.raises(ResultError, match="a_001.txt line 2 is a mask"):
        load_baseline(tmp_path / "a_001.txt")
    (tmp_path / "a_001.txt").write_text("m10,20,4,2,1,2,2,1,2\n")
    with pytest.raises(ResultError, match="a_001.txt line 1 is a mask"):
        load_ope(tmp_path / "a_001.txt")
    sequence = make_sequence("a", truth=[np.array([10.0, 20, 4, 4])])
    path = vot_file(tmp_path, "a", experiment="longterm")
    path.parent.mkdir(parents=True)
    path.write_text("m10,20,4,2,1,2,2,1,2\n")
    with pytest.raises(ResultError, match="a_001.txt has masks, which long-term scores do not support"):
        longterm.load(Dataset("VOT2018-LT", [sequence], (), None, "longterm"), sequence, tmp_path, [])


def test_binary_results(tmp_path):
    """A file as the official toolkit writes it: a start, a box, a polygon, and a mask."""
    path = tmp_path / "a_001.bin"
    data = (
        struct.pack("<hI", 1, 4)
        + struct.pack("<BI", 0, 1)
        + struct.pack("<Bffff", 1, 1, 2, 3, 4)
        + struct.pack("<BH8f", 2, 4, *range(8))
    )
    data += struct.pack("<BhhHHH5H", 3, 10, 20, 4, 2, 5, 1, 2, 2, 1, 2)
    path.write_bytes(data)
    run = load_run(path, 4)
    assert run.codes.tolist() == [1, 3, 3, 3]
    assert run.regions[1, :4].tolist() == [1, 2, 3, 4]
    assert run.regions[2].tolist() == list(range(8))
    np.testing.assert_array_equal(run.masks[3].pixels, mask_from_runs(10, 20, 4, 2, [1, 2, 2, 1, 2]).pixels)
    for damaged, reason in (
        (data[:-3], "cut off"),
        (b"", "cut off"),
        (b"\2\0\1\0\0\0", "empty or no binary"),
        (data[:6] + b"\7" + data[7:], "kind 7"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ResultError, match=f"a_001.bin.*{reason}"):
            load_run(path, 4)
    path.write_bytes(data)
    with pytest.raises(ResultError, match="4 entries for 5 frames"):
        load_run(path, 5)
